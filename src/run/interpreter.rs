//! How each interpreter is called. Pure: the same flags as GitHub Actions uses, and every argument an element of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::manifest::model::Shell;

/// Extension of a file that holds a step's text. PowerShell insists on its own.
pub(super) const fn extension(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash | Shell::Sh => "sh",
        Shell::Pwsh | Shell::Powershell => "ps1",
        Shell::Python => "py",
        Shell::Cmd => "cmd",
    }
}

/// Whether a step of this shell is started through [`powershell_wrapper`].
pub(super) const fn needs_wrapper(shell: Shell) -> bool {
    matches!(shell, Shell::Pwsh | Shell::Powershell)
}

/// Arguments of the interpreter that runs `file` with `args`.
pub(super) fn arguments(shell: Shell, file: &Path, args: &[OsString]) -> Vec<OsString> {
    let flags: &[&str] = match shell {
        Shell::Bash => &["--noprofile", "--norc", "-eo", "pipefail"],
        Shell::Sh => &["-e"],
        Shell::Pwsh | Shell::Powershell => &["-NoProfile", "-NonInteractive", "-File"],
        Shell::Python => &[],
        Shell::Cmd => &["/D", "/E:ON", "/V:OFF", "/S", "/C"],
    };
    let flags = flags.iter().map(OsString::from);
    flags.chain([file.as_os_str().to_owned()]).chain(args.iter().cloned()).collect()
}

/// The text that runs the PowerShell script `file` by Actions' rules: the first error ends it, and the exit code of the
/// last native program is the step's.
///
/// Actions prepends and appends these lines to the script itself; here the script's bytes stay as they are, and its
/// arguments stay an argument list. `-Command` was rejected: it joins its arguments to one text and evaluates it.
pub(super) fn powershell_wrapper(file: &Path) -> OsString {
    let mut quoted = Vec::new();
    for &byte in OsStr::new(file).as_bytes() {
        quoted.push(byte);
        if byte == b'\'' {
            quoted.push(byte);
        }
    }
    let mut text = b"$ErrorActionPreference = 'stop'\n. '".to_vec();
    text.extend_from_slice(&quoted);
    text.extend_from_slice(
        b"' @args\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }\n",
    );
    OsString::from_vec(text)
}

/// Variables that an interpreter needs to behave in a sandbox, under the author's own.
pub(super) const fn variables(shell: Shell) -> &'static [(&'static str, &'static str)] {
    match shell {
        Shell::Pwsh | Shell::Powershell => &[
            ("DOTNET_EnableDiagnostics", "0"),
            ("POWERSHELL_DIAGNOSTICS_OPTOUT", "1"),
            ("POWERSHELL_TELEMETRY_OPTOUT", "1"),
            ("POWERSHELL_UPDATECHECK", "Off"),
        ],
        Shell::Bash | Shell::Sh | Shell::Python | Shell::Cmd => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(shell: Shell) -> String {
        let args = [OsString::from("$(touch x)"), OsString::from("-rf"), OsString::from("")];
        format!("{:?}", arguments(shell, Path::new("/w/a b.x"), &args))
    }

    #[test]
    fn every_argument_stays_an_element_of_its_own() {
        insta::assert_snapshot!(line(Shell::Bash), @r#"["--noprofile", "--norc", "-eo", "pipefail", "/w/a b.x", "$(touch x)", "-rf", ""]"#);
        insta::assert_snapshot!(line(Shell::Sh), @r#"["-e", "/w/a b.x", "$(touch x)", "-rf", ""]"#);
        insta::assert_snapshot!(line(Shell::Python), @r#"["/w/a b.x", "$(touch x)", "-rf", ""]"#);
        insta::assert_snapshot!(line(Shell::Pwsh), @r#"["-NoProfile", "-NonInteractive", "-File", "/w/a b.x", "$(touch x)", "-rf", ""]"#);
    }

    #[test]
    fn a_quote_in_a_path_cannot_end_the_powershell_string() {
        let text = powershell_wrapper(Path::new("/w/it's; exit 0 #.ps1"));
        insta::assert_snapshot!(text.to_str().unwrap(), @r"
        $ErrorActionPreference = 'stop'
        . '/w/it''s; exit 0 #.ps1' @args
        if ((Test-Path -LiteralPath variable:\LASTEXITCODE)) { exit $LASTEXITCODE }
        ");
    }
}
