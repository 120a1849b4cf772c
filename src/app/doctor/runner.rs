//! The runner that calls: as whom it runs, and how its unit ends what it started.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::app::doctor::{Check, Patient, State};

/// Where units of runners are, as GitHub's own script installs them.
const UNITS: &str = "/etc/systemd/system";

/// Units that are looked at.
const MOST: usize = 16;

pub(super) fn checks(_patient: Patient<'_>) -> Vec<Check> {
    let mut checks = vec![user(geteuid().is_root())];
    let units = units(Path::new(UNITS));
    if units.is_empty() {
        let found = format!("there is no actions.runner.*.service in {UNITS}");
        checks.push(Check::good("runner-unit", found));
    }
    for unit in units {
        let name = unit.file_name().unwrap_or_default().to_string_lossy().into_owned();
        checks.push(match text_of(&unit) {
            Ok(text) => of_unit(&name, &text),
            Err(error) => Check {
                id: "runner-unit",
                state: State::Lacking,
                found: format!("{name} cannot be read: {error}"),
                cause: None,
                remedies: vec!["run `rungate doctor` as a user who can".to_owned()],
            },
        });
    }
    checks
}

fn user(is_root: bool) -> Check {
    if !is_root {
        return Check::good("runner-user", "not root".to_owned());
    }
    Check {
        id: "runner-user",
        state: State::Lacking,
        found: "this is root".to_owned(),
        cause: Some("whatever a workflow runs outside of the sandbox can change the host".to_owned()),
        remedies: vec!["run the runner as a user of its own: `./svc.sh install USER`".to_owned()],
    }
}

fn units(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_runner = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("actions.runner.") && name.ends_with(".service")
    };
    let mut units: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_runner).take(MOST).collect();
    units.sort();
    units
}

/// A unit's text with those of its drop-ins, in the order in which systemd reads them.
fn text_of(unit: &Path) -> io::Result<String> {
    let mut text = std::fs::read_to_string(unit)?;
    let mut folder = unit.as_os_str().to_owned();
    folder.push(".d");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut parts: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    parts.retain(|part| part.extension().is_some_and(|kind| kind == "conf"));
    parts.sort();
    for part in parts {
        text.push('\n');
        text.push_str(&std::fs::read_to_string(part)?);
    }
    Ok(text)
}

/// What a unit's text says, as far as it matters here.
fn of_unit(name: &str, text: &str) -> Check {
    let says = |key: &str| {
        let line = |line: &'_ str| Some(line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().to_owned());
        text.lines().rev().find_map(line)
    };
    let is_root = says("User").is_none_or(|user| matches!(user.as_str(), "" | "root" | "0"));
    if is_root {
        return Check {
            id: "runner-unit",
            state: State::Lacking,
            found: format!("{name} runs as root"),
            cause: Some("whatever a workflow runs outside of the sandbox can change the host".to_owned()),
            remedies: vec![format!("systemctl edit {name}, and write `User=` with a user of its own")],
        };
    }
    // Without a group that is handed over, steps have no limits as a whole.
    if says("Delegate").is_none_or(|delegate| matches!(delegate.as_str(), "no" | "false" | "0" | "off")) {
        return Check {
            id: "runner-unit",
            state: State::Lacking,
            found: format!("{name} hands no control group over"),
            cause: Some("memory and processes of a step are then limited one process at a time".to_owned()),
            remedies: vec![delegation(name)],
        };
    }
    if says("DelegateSubgroup").is_none_or(|group| group.is_empty()) {
        return Check {
            id: "runner-unit",
            state: State::Lacking,
            found: format!("{name} hands a control group over, and the runner sits in it"),
            cause: Some("the kernel then lets no control group below it limit anything".to_owned()),
            remedies: vec![delegation(name)],
        };
    }
    Check::good("runner-unit", format!("{name}, as {}", says("User").unwrap_or_default()))
}

/// What gives rungate control groups below that of the unit.
fn delegation(name: &str) -> String {
    format!(
        "systemctl edit {name}, write `Delegate=cpu memory pids` and `DelegateSubgroup=runner` below [Service] (systemd 254 \
         or newer), and restart it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_runs_as_root_or_hands_nothing_over_is_named() {
        let found = |text: &str| {
            let check = of_unit("actions.runner.acme.one.service", text);
            (check.state, check.found)
        };
        let delegated = "[Service]\nUser=runner\nDelegate=yes\n";
        assert_eq!(found(&format!("{delegated}DelegateSubgroup=runner\n")).0, State::Good);
        assert!(found(delegated).1.ends_with("and the runner sits in it"));
        assert!(found("[Service]\nExecStart=/x\n").1.ends_with("runs as root"));
        assert!(found("[Service]\nUser=runner\nUser=root\n").1.ends_with("runs as root"));
        assert!(found("[Service]\nUser=runner\n").1.ends_with("hands no control group over"));
        assert!(found("[Service]\nUser=runner\nDelegate=no\n").1.ends_with("hands no control group over"));
    }

    #[test]
    fn drop_ins_are_part_of_a_unit() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("a.service");
        std::fs::write(&unit, "[Service]\nUser=root\nDelegate=no").unwrap();
        std::fs::create_dir(folder.path().join("a.service.d")).unwrap();
        for (name, text) in
            [("b.conf", "[Service]\nUser=two"), ("a.conf", "[Service]\nUser=one"), ("c.txt", "User=three")]
        {
            std::fs::write(folder.path().join("a.service.d").join(name), text).unwrap();
        }
        assert_eq!(
            text_of(&unit).unwrap(),
            "[Service]\nUser=root\nDelegate=no\n[Service]\nUser=one\n[Service]\nUser=two"
        );
    }

    #[test]
    fn only_units_of_runners_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["actions.runner.acme.one.service", "actions.runner.acme.one.service.d", "ssh.service"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(units(folder.path()).len(), 1);
        assert_eq!(user(true).state, State::Lacking);
    }
}
