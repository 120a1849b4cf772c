# shellcheck shell=bash
# Sourced by the steps that call rungate. An input that was not given must not hide what the host has set, so only what is
# there is exported; and nothing stays under a second name.

# give NAME VARIABLE: exports $VARIABLE as NAME where it has a value, and takes VARIABLE out of the environment.
give() {
  local value=${!2-}
  unset "$2"
  if [ -n "$value" ]; then
    export "$1=$value"
  fi
}

give RUNGATE_APP_ID APP_ID
give RUNGATE_APP_PRIVATE_KEY PRIVATE_KEY
give RUNGATE_INSTALLATION_ID INSTALLATION_ID
give RUNGATE_TOKEN TOKEN
