//! Interpreters of the host: found on the caller's PATH, before anything runs.
//!
//! What PATH finds may be a shim of a version manager, which works by its own folders, or belong to a virtual
//! environment. A sandbox shows neither the manager nor the rest of its home, so the interpreter itself is asked, once,
//! where it really is and what it needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::manifest::model::Shell;
use crate::plan::facts::{Interpreter, MissingShell};
use crate::sandbox::confinement::View;
use crate::sandbox::layout::{hidden, is_system};
use crate::sandbox::probe::Question;
use crate::sandbox::spawn::Sandbox;

/// Where programs are looked for when PATH is not set.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

/// Most bytes that an interpreter may say about itself.
const MAX_ANSWER: usize = 64 << 10;

/// Longest chain of symbolic links from a name to a program, as the kernel has it.
const MAX_LINKS: usize = 40;

/// Variables by which version managers find their folders.
const MANAGERS: [&str; 6] =
    ["PYENV_ROOT", "PYENV_VERSION", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "DOTNET_ROOT"];

/// What Python says of itself: its program, then every folder that it needs, each ended by a NUL byte.
const ASK_PYTHON: &str = "import sys; sys.stdout.write(''.join(x + '\\0' for x in (sys.executable, sys.prefix, \
                          sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)))";

/// The same of PowerShell, which does not know its program.
const ASK_POWERSHELL: &str = "[Console]::Out.Write(\"$([Environment]::ProcessPath)`0$PSHOME`0\")";

/// The file that stands beside every PowerShell.
const POWERSHELL_LIBRARY: &str = "System.Management.Automation.dll";

/// Where interpreters are looked for, and asked.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The workspace, as an absolute path without links.
    pub workspace: &'a Path,
    /// The caller's environment.
    pub environ: &'a Environ,
    /// Where children come from.
    pub sandbox: &'a Sandbox,
}

/// How a program is asked where it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Python,
    PowerShell,
    /// Not at all: where it is says enough.
    Other,
}

/// Finds the interpreter of `shell`.
///
/// # Errors
/// Says what is missing, and what to do.
pub fn find(shell: Shell, place: Place<'_>) -> Result<Interpreter, MissingShell> {
    let names: &[&str] = match shell {
        Shell::Bash => &["bash"],
        Shell::Sh => &["sh"],
        Shell::Pwsh => &["pwsh"],
        Shell::Python => &["python3", "python"],
        // There is neither on the platforms that rungate runs on, whatever PATH says.
        Shell::Powershell | Shell::Cmd => &[],
    };
    let found = names.iter().find_map(|name| on_path(OsStr::new(name), place.environ));
    let found = found.ok_or_else(|| MissingShell {
        what: format!("{} is not installed", names.first().map_or(shell.as_str(), |name| name)),
        remedy: remedy(shell).to_owned(),
    })?;
    place.describe(&found)
}

/// The program called `name`, found on the caller's PATH.
#[must_use]
pub fn on_path(name: &OsStr, environ: &Environ) -> Option<PathBuf> {
    which::which_in_global(name, Some(searched(environ, |_| true))).ok()?.next()
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

impl Place<'_> {
    /// What must be visible so that the program at `found` runs, and by which path it is started then.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn describe(self, found: &Path) -> Result<Interpreter, MissingShell> {
        let broken = |why: String| MissingShell {
            what: format!("{} is not usable: {why}", found.display()),
            remedy: "put the folder of an interpreter that works first on PATH".to_owned(),
        };
        let found = &named_plainly(found);
        let real = found.canonicalize().map_err(|error| broken(error.to_string()))?;
        let own = |path: &Path| is_system(path) || path.starts_with(self.workspace);
        let whole = |program: &Path, prefixes: Vec<PathBuf>| {
            let prefixes = self.acceptable(prefixes).map_err(broken)?;
            Ok(Interpreter { program: program.to_owned(), prefixes })
        };
        if own(found) && own(&real) {
            return whole(found, Vec::new());
        }
        // A program of the repository could say anything, so it is not asked; what it leads to is no part of it.
        let asked = if found.starts_with(self.workspace) { &real } else { found };
        match kind(found) {
            Kind::Other => {
                let program = if own(found) { found } else { &real };
                whole(program, vec![installation(&real)])
            }
            Kind::PowerShell if beside(&real, POWERSHELL_LIBRARY) => {
                whole(if own(found) { found } else { &real }, vec![folder(&real)])
            }
            kind @ (Kind::PowerShell | Kind::Python) => {
                let (program, prefixes) = self.ask(kind, asked, &real).map_err(broken)?;
                let program = if found.starts_with(self.workspace) { found } else { &program };
                whole(program, prefixes)
            }
        }
    }

    /// Asks the program at `path`, which is really the one at `real`, for its own path and the folders that it needs.
    fn ask(self, kind: Kind, path: &Path, real: &Path) -> Result<(PathBuf, Vec<PathBuf>), String> {
        let args: &[&str] = match kind {
            Kind::Python => &["-I", "-c", ASK_PYTHON],
            Kind::PowerShell => &["-NoProfile", "-NonInteractive", "-Command", ASK_POWERSHELL],
            Kind::Other => &[],
        };
        let mut env: Vec<(OsString, OsString)> = vec![("LC_ALL".into(), "C".into())];
        for name in ["PATH", "HOME"].into_iter().chain(MANAGERS) {
            env.extend(self.environ.os(name).map(|value| (name.into(), value.to_owned())));
        }
        let question = Question {
            program: path,
            args: &args.iter().map(OsString::from).collect::<Vec<_>>(),
            env: &env,
            // Version managers read which version is wanted from a file of the repository.
            cwd: self.workspace,
            view: View {
                workspace: Some(self.workspace.to_owned()),
                hidden: hidden(),
                read: self.neighbourhood(path, real),
                write: Vec::new(),
            },
            limit: MAX_ANSWER,
        };
        let output = self.sandbox.probe(&question).map_err(|error| format!("it gave no answer: {error}"))?;
        let said = output
            .stdout
            .split(|&byte| byte == 0)
            .map(|part| PathBuf::from(OsString::from_vec(part.to_vec())));
        let mut said = said.filter(|path| path.is_absolute());
        let program = said.next().filter(|_| output.code == Some(0)).ok_or_else(|| {
            let words = String::from_utf8_lossy(&output.stderr);
            let first = words.lines().next().unwrap_or("it does not say where it is");
            first.chars().take(200).collect::<String>()
        })?;
        let real = program.canonicalize().map_err(|error| format!("it is not where it says: {error}"))?;
        let said: Vec<PathBuf> = said.collect();
        credible(kind, &program, &said)?;
        let prefixes = said.into_iter().chain([folder(&program), installation(&real)]).collect();
        Ok((program, prefixes))
    }

    /// What the program at `path` may need to answer: its version manager's folder, its virtual environment, and
    /// everything that its links lead through.
    fn neighbourhood(self, path: &Path, real: &Path) -> Vec<PathBuf> {
        let mut places = vec![installation(real)];
        for link in links(path) {
            let folder = folder(&link);
            let above = folder.parent().map(Path::to_owned).unwrap_or_default();
            if folder.file_name().is_some_and(|name| name == "shims") || above.join("pyvenv.cfg").exists() {
                places.push(above);
            }
            places.push(folder);
        }
        places
            .extend(MANAGERS.iter().filter_map(|name| self.environ.path(name)).filter(|path| path.is_dir()));
        self.acceptable(places).unwrap_or_default()
    }

    /// `prefixes` as real folders, without those that everybody sees.
    fn acceptable(self, prefixes: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
        let home = self.environ.path("HOME").and_then(|home| home.canonicalize().ok());
        let mut accepted: Vec<PathBuf> = Vec::new();
        for prefix in prefixes {
            // One that does not exist is of no use to anybody.
            let Ok(real) = prefix.canonicalize() else { continue };
            if is_system(&real) || real.starts_with(self.workspace) {
                continue;
            }
            let too_much = real.parent().is_none()
                || self.workspace.starts_with(&real)
                || home.as_ref().is_some_and(|home| home.starts_with(&real));
            if too_much {
                return Err(format!("it is installed in {}, which scripts must not read", real.display()));
            }
            accepted.push(real);
        }
        accepted.sort();
        accepted.dedup_by(|later, earlier| later.starts_with(&*earlier));
        Ok(accepted)
    }
}

fn kind(program: &Path) -> Kind {
    match program.file_name().and_then(OsStr::to_str).unwrap_or_default() {
        name if name.starts_with("python") => Kind::Python,
        name if name.starts_with("pwsh") => Kind::PowerShell,
        _ => Kind::Other,
    }
}

/// Whether an answer can be true. A version manager may have asked a program of the repository, since it reads there which
/// one is wanted, and whatever is named here becomes readable for scripts.
fn credible(asked: Kind, program: &Path, prefixes: &[PathBuf]) -> Result<(), String> {
    let is_named_so = match program.file_name().and_then(OsStr::to_str).unwrap_or_default() {
        name if asked == Kind::Python => {
            ["python", "pypy", "graalpy"].iter().any(|own| name.starts_with(own))
        }
        _ => kind(program) == asked,
    };
    let is_program =
        program.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if !is_named_so || !is_program {
        return Err(format!("it says that it is {}, which is no such program", program.display()));
    }
    let stranger = prefixes.iter().find(|prefix| !is_system(prefix) && !holds_library(asked, prefix));
    match stranger {
        Some(prefix) => Err(format!("it says that it is installed in {}, where it is not", prefix.display())),
        None => Ok(()),
    }
}

/// Whether `prefix` is what an interpreter of this kind is installed in: its own library is there, or the file that makes
/// the folder a virtual environment.
fn holds_library(kind: Kind, prefix: &Path) -> bool {
    let entries = |folder: &str| std::fs::read_dir(prefix.join(folder)).into_iter().flatten().flatten();
    match kind {
        Kind::Python => {
            prefix.join("pyvenv.cfg").is_file()
                || prefix.join("lib-python").is_dir()
                || ["lib", "lib64"]
                    .into_iter()
                    .any(|lib| entries(lib).any(|version| version.path().join("os.py").is_file()))
        }
        Kind::PowerShell => prefix.join(POWERSHELL_LIBRARY).is_file(),
        Kind::Other => false,
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn beside(path: &Path, name: &str) -> bool {
    folder(path).join(name).is_file()
}

/// `path` with a folder that is reached without links. The last name may still be a link: some programs go by it.
fn named_plainly(path: &Path) -> PathBuf {
    match (folder(path).canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// The folder that the program at `real` and its libraries lie in, as far as its path tells.
pub(super) fn installation(real: &Path) -> PathBuf {
    // Package managers that keep each package apart, and let them use one another.
    if let Some(store) =
        ["/nix/store", "/gnu/store"].map(Path::new).into_iter().find(|store| real.starts_with(store))
    {
        return store.to_owned();
    }
    if let Some(cellar) =
        real.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "Cellar"))
    {
        return folder(cellar);
    }
    let folder = folder(real);
    match (folder.file_name().and_then(OsStr::to_str), folder.parent()) {
        (Some("bin" | "sbin"), Some(above)) if above.join("lib").is_dir() || above.join("lib64").is_dir() => {
            above.to_owned()
        }
        _ => folder,
    }
}

/// `path` and everything that it leads to, link by link.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut chain = vec![path.to_owned()];
    while let Some(target) = chain.last().and_then(|link| std::fs::read_link(link).ok())
        && chain.len() < MAX_LINKS
    {
        let next = chain.last().map(|link| folder(link).join(target)).unwrap_or_default();
        chain.push(named_plainly(&next));
    }
    chain
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
    use std::os::unix::fs::symlink;

    fn sandbox() -> Sandbox {
        Sandbox::with_helper("/nonexistent/helper".into())
    }

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_program_in_a_relative_folder_of_path_is_not_found() {
        let (sandbox, relative) = (sandbox(), Environ::of([("PATH", "bin:.:")]));
        let place = |environ| Place { workspace: Path::new("/w"), environ, sandbox: &sandbox };
        assert!(find(Shell::Sh, place(&relative)).is_err());
        let usual = Environ::of([("PATH", "/usr/bin:/bin")]);
        let found = find(Shell::Sh, place(&usual)).unwrap();
        assert!(found.program.is_absolute());
        assert_eq!(found.prefixes, Vec::<PathBuf>::new(), "the system's folders are visible anyway");
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let (sandbox, environ) = (sandbox(), Environ::of([("PATH", "/nonexistent")]));
        let place = Place { workspace: Path::new("/w"), environ: &environ, sandbox: &sandbox };
        let missing = find(Shell::Pwsh, place).unwrap_err();
        assert_eq!(missing.what, "pwsh is not installed");
        assert!(missing.remedy.contains("PowerShell 7"));
        assert!(find(Shell::Cmd, place).unwrap_err().remedy.contains("bash"));
    }

    #[test]
    fn where_a_program_is_installed_is_read_from_its_path() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        let (sandbox, environ) = (sandbox(), Environ::default());
        let place = Place { workspace: Path::new("/w"), environ: &environ, sandbox: &sandbox };
        program(&root.join("tool/bin/bash"));
        std::fs::create_dir(root.join("tool/lib")).unwrap();
        std::fs::create_dir(root.join("names")).unwrap();
        symlink("../tool/bin/bash", root.join("names/bash")).unwrap();
        let found = place.describe(&root.join("names/bash")).unwrap();
        assert_eq!(found.program, root.join("tool/bin/bash"), "the name's folder is not shown");
        assert_eq!(found.prefixes, [root.join("tool")]);
        // PowerShell lies in one folder with all that belongs to it.
        program(&root.join("ps/pwsh"));
        std::fs::write(root.join("ps").join(POWERSHELL_LIBRARY), "").unwrap();
        let found = place.describe(&root.join("ps/pwsh")).unwrap();
        assert_eq!((found.program, found.prefixes), (root.join("ps/pwsh"), vec![root.join("ps")]));
    }

    #[test]
    fn an_answer_that_names_what_is_no_interpreter_is_not_believed() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path();
        program(&root.join("py/bin/python3.12"));
        std::fs::create_dir_all(root.join("py/lib/python3.12")).unwrap();
        std::fs::write(root.join("py/lib/python3.12/os.py"), "").unwrap();
        std::fs::create_dir(root.join("venv")).unwrap();
        std::fs::write(root.join("venv/pyvenv.cfg"), "").unwrap();
        // What a user has installed without an interpreter, beside much else.
        std::fs::create_dir_all(root.join("keys/lib/python3.12/site-packages")).unwrap();
        std::fs::write(root.join("keys/python-key"), "").unwrap();
        program(&root.join("keys/tool"));
        let believed = |program: &str, prefixes: &[&str]| {
            let prefixes: Vec<_> = prefixes.iter().map(|prefix| root.join(prefix)).collect();
            credible(Kind::Python, &root.join(program), &prefixes).is_ok()
        };
        assert!(believed("py/bin/python3.12", &["py", "venv", "/usr"]));
        assert!(!believed("py/bin/python3.12", &["py", "keys"]));
        assert!(!believed("keys/python-key", &[]) && !believed("keys/tool", &[]));
        assert!(!believed("py/bin", &[]) && !believed("nothing/python3", &[]));
        let powershell = |prefix: &str| holds_library(Kind::PowerShell, &root.join(prefix));
        assert!(!powershell("py") && !powershell("keys"));
    }

    #[test]
    fn an_interpreter_cannot_open_more_than_its_own_folder() {
        let host = tempfile::tempdir().unwrap();
        let home = host.path().canonicalize().unwrap();
        let (sandbox, environ) = (sandbox(), Environ::of([("HOME", home.to_str().unwrap())]));
        let workspace = home.join("work/repo");
        program(&workspace.join("bin/python3"));
        let place = Place { workspace: &workspace, environ: &environ, sandbox: &sandbox };
        for wide in [home.clone(), home.join("work"), workspace.clone(), PathBuf::from("/")] {
            let accepted = place.acceptable(vec![wide.clone()]);
            assert!(accepted.is_err() || accepted == Ok(Vec::new()), "{}", wide.display());
        }
        // What the repository itself put on PATH is visible anyway, and nobody asks it for more.
        let found = place.describe(&workspace.join("bin/python3")).unwrap();
        assert_eq!((found.program, found.prefixes), (workspace.join("bin/python3"), Vec::new()));
    }
}
