//! Interpreters of the host: found on the caller's PATH, before anything runs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::manifest::model::Shell;
use crate::plan::facts::MissingShell;

/// Where programs are looked for when PATH is not set.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

/// Finds the interpreter of `shell`.
pub(super) fn find(shell: Shell, environ: &Environ) -> Result<PathBuf, MissingShell> {
    let names: &[&str] = match shell {
        Shell::Bash => &["bash"],
        Shell::Sh => &["sh"],
        Shell::Pwsh => &["pwsh"],
        Shell::Python => &["python3", "python"],
        // There is neither on the platforms that rungate runs on, whatever PATH says.
        Shell::Powershell | Shell::Cmd => &[],
    };
    let searched = searched(environ, |_| true);
    names.iter().find_map(|name| which::which_in_global(name, Some(&searched)).ok()?.next()).ok_or_else(
        || MissingShell {
            program: names.first().map_or(shell.as_str(), |name| name).to_owned(),
            remedy: remedy(shell).to_owned(),
        },
    )
}

/// The program called `name`, found on PATH outside of `workspace`: one that rungate itself trusts must not come from
/// the repository under test.
pub(super) fn trusted(name: &str, environ: &Environ, workspace: &Path) -> Option<PathBuf> {
    let searched = searched(environ, |folder| {
        !folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).starts_with(workspace)
    });
    which::which_in_global(name, Some(searched)).ok()?.next()
}

/// Folders of the caller's PATH that are `wanted`. Relative ones would find programs in the repository under test.
fn searched(environ: &Environ, wanted: impl Fn(&Path) -> bool) -> OsString {
    let path = environ.os("PATH").map_or_else(|| USUAL.into(), OsStr::to_owned);
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute() && wanted(folder));
    std::env::join_paths(folders).unwrap_or_default()
}

const fn remedy(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "install bash (apt-get install bash), or give the step `shell: sh`",
        Shell::Sh => "put the folder of sh on PATH",
        Shell::Pwsh => {
            "install PowerShell 7 and put pwsh on PATH: https://learn.microsoft.com/powershell/scripting/install"
        }
        Shell::Python => "install Python 3 (apt-get install python3) and put python3 on PATH",
        Shell::Powershell => "Windows PowerShell is not available here: use `shell: pwsh`",
        Shell::Cmd => "cmd is not available here: use `shell: bash`, `sh` or `pwsh`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_a_relative_folder_of_path_is_not_found() {
        let relative = Environ::of([("PATH", "bin:.:")]);
        assert!(find(Shell::Sh, &relative).is_err());
        assert!(find(Shell::Sh, &Environ::of([("PATH", "/usr/bin:/bin")])).unwrap().is_absolute());
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let missing = find(Shell::Pwsh, &Environ::of([("PATH", "/nonexistent")])).unwrap_err();
        assert_eq!(missing.program, "pwsh");
        assert!(missing.remedy.contains("PowerShell 7"));
        assert!(find(Shell::Cmd, &Environ::default()).unwrap_err().remedy.contains("bash"));
    }
}
