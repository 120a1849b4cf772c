//! Questions to git about a repository that is hostile: its own configuration, hooks and helpers must not run.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::plan::diff::Diff;
use crate::sandbox::confinement::View;
use crate::sandbox::layout::is_system;
use crate::sandbox::probe::{Output, Question};
use crate::sandbox::spawn::Sandbox;
use crate::workspace::files::{self, Beneath};
use crate::workspace::{git_folders, interpreters};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 20;

/// Most bytes of a reference that is read without git, and of the file that packs all of them.
const MAX_REFERENCES: u64 = 4 << 20;

/// Configuration that outweighs the repository's: nothing of it may name a program. Drivers of attributes, whose names
/// the repository chooses, come on top.
const OVERRIDES: [(&str, &str); 12] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.pager", "cat"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("core.quotePath", "false"),
    ("credential.helper", ""),
    ("diff.external", ""),
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("uploadpack.packObjectsHook", ""),
];

/// Everything that git sees of the environment, beside its PATH and the repository's place.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    // Unlike `protocol.allow`, which `protocol.ext.allow` of the repository would outweigh.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("LC_ALL", "C"),
    ("HOME", "/nonexistent"),
];

/// A git repository.
#[derive(Debug)]
pub(super) struct Git<'a> {
    /// The program, or why there is none.
    program: Result<PathBuf, String>,
    /// Where the working tree begins; the workspace is it, or lies in it.
    top: &'a Path,
    workspace: &'a Path,
    sandbox: &'a Sandbox,
    environ: &'a Environ,
    /// `-c` options against the repository's filters, once they were asked for.
    filters: OnceCell<Result<Vec<OsString>, String>>,
}

impl<'a> Git<'a> {
    /// The repository that `workspace` is the top of, or lies in.
    pub(super) fn of(workspace: &'a Path, sandbox: &'a Sandbox, environ: &'a Environ) -> Option<Self> {
        let top = workspace.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())?;
        let program = interpreters::trusted("git", environ, top).ok_or_else(|| {
            "git is not installed, and the workspace is a git repository: install git, or put it on PATH"
                .to_owned()
        });
        Some(Self { program, top, workspace, sandbox, environ, filters: OnceCell::new() })
    }

    /// Whether there is a program to ask.
    pub(super) fn usable(&self) -> Result<&Path, String> {
        self.program.as_deref().map_err(Clone::clone)
    }

    /// Git's answer to `args`, or what it said against them.
    fn ask(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        self.ask_with(&[], args)
    }

    fn ask_with(&self, options: &[OsString], args: &[&str]) -> Result<Vec<u8>, String> {
        let asked = args.first().unwrap_or(&"");
        let output = self.run(options, args).map_err(|problem| format!("git {asked}: {problem}"))?;
        if output.code == Some(0) {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let first: String =
            said.lines().next().unwrap_or("it failed without a word").chars().take(200).collect();
        Err(format!("git {asked}: {first}"))
    }

    fn run(&self, options: &[OsString], args: &[&str]) -> Result<Output, String> {
        let program = self.usable()?;
        let mut all: Vec<OsString> = Vec::new();
        for (name, value) in OVERRIDES {
            all.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        all.extend(options.iter().cloned());
        all.extend(["--no-pager", "--literal-pathspecs"].map(OsString::from));
        all.extend(args.iter().map(OsString::from));
        let mut env: Vec<(OsString, OsString)> =
            ENVIRONMENT.map(|(name, value)| (name.into(), value.into())).into();
        // Named outright, it may belong to another user, as a checkout in a container does: what git fears there is
        // switched off above. And `core.worktree` cannot lead the questions elsewhere.
        env.push(("GIT_DIR".into(), self.top.join(".git").into()));
        env.push(("GIT_WORK_TREE".into(), self.top.into()));
        if let Some(path) = self.environ.os("PATH") {
            env.push(("PATH".into(), path.to_owned()));
        }
        let question = Question {
            program,
            args: &all,
            env: &env,
            cwd: self.workspace,
            view: self.view(program),
            limit: MAX_ANSWER,
        };
        self.sandbox.probe(&question).map_err(|error| error.to_string())
    }

    /// What git sees: the repository with its own files, which scripts do not, and itself.
    fn view(&self, program: &Path) -> View {
        let mut read = git_folders::of(self.top);
        if let Ok(program) = program.canonicalize()
            && !is_system(&program)
        {
            read.push(interpreters::installation(&program));
        }
        View { workspace: None, hidden: Vec::new(), read, write: Vec::new() }
    }

    fn line(&self, args: &[&str]) -> Result<String, String> {
        let output = self.ask(args)?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// The commit that is checked out. Nothing before the first commit.
    pub(super) fn head(&self) -> Option<String> {
        self.head_by_hand().or_else(|| {
            let named = self.line(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).ok();
            named.filter(|sha| is_sha(sha))
        })
    }

    /// The commit that is checked out, where the plainest form of a repository says so: a process costs more than all
    /// the rest of a plan. Anything else (another worktree's `.git`, other stores of references) is git's to read.
    fn head_by_hand(&self) -> Option<String> {
        let folder = Beneath::open_plain(&self.top.join(".git")).ok()?;
        let read = |path: &str| files::text(folder.file(path).ok()?, MAX_REFERENCES).ok();
        let head = read("HEAD")?;
        let Some(reference) = head.trim_end().strip_prefix("ref: ") else {
            return Some(head.trim_end().to_owned()).filter(|sha| is_sha(sha));
        };
        if !reference.starts_with("refs/heads/") {
            return None;
        }
        if let Some(loose) = read(reference) {
            return Some(loose.trim_end().to_owned()).filter(|sha| is_sha(sha));
        }
        let packed = read("packed-refs")?;
        let found = packed.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' '));
        found.filter(|sha| is_sha(sha)).map(str::to_owned)
    }

    /// The commit that `revision` names.
    pub(super) fn commit(&self, revision: &str) -> Result<String, String> {
        let wanted = format!("{revision}^{{commit}}");
        let missing = || {
            let shown: String = revision.chars().take(80).collect();
            format!("the commit {shown:?} is not in this clone")
        };
        if revision.is_empty() || revision.contains('\0') {
            return Err(missing());
        }
        self.usable()?;
        let sha = self
            .line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])
            .map_err(|_| missing())?;
        if is_sha(&sha) { Ok(sha) } else { Err(missing()) }
    }

    /// The best common ancestor of two commits.
    pub(super) fn merge_base(&self, one: &str, other: &str) -> Result<String, String> {
        self.usable()?;
        let sha = self
            .line(&["merge-base", one, other])
            .map_err(|_| format!("{one} and {other} have no common ancestor in this clone"))?;
        if is_sha(&sha) { Ok(sha) } else { Err("git merge-base gave no commit".to_owned()) }
    }

    /// The commit of the branch that others are merged into.
    pub(super) fn default_branch(&self, named: Option<&str>) -> Option<String> {
        let of_remote = self.line(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]).ok();
        let named = named.map(|name| format!("refs/remotes/origin/{name}"));
        let usual = [
            "refs/remotes/origin/main",
            "refs/remotes/origin/master",
            "refs/heads/main",
            "refs/heads/master",
        ];
        of_remote
            .into_iter()
            .chain(named)
            .chain(usual.map(str::to_owned))
            .find_map(|name| self.commit(&name).ok())
    }

    /// Files that git tracks and that are there, relative to the workspace, sorted.
    pub(super) fn tracked(&self) -> Result<Vec<String>, String> {
        let listed = self.ask(&["ls-files", "-z", "-t", "--cached", "--deleted"])?;
        let (mut present, mut deleted) = (Vec::new(), Vec::new());
        for entry in paths(&listed) {
            match entry.split_once(' ') {
                Some(("R", path)) => deleted.push(path.to_owned()),
                Some((_, path)) => present.push(path.to_owned()),
                None => return Err("git ls-files gave something else than files".to_owned()),
            }
        }
        // While a merge is unfinished, a file is listed once for each of its versions.
        present.sort_unstable();
        present.dedup();
        deleted.sort_unstable();
        present.retain(|path| deleted.binary_search(path).is_err());
        Ok(present)
    }

    /// Files that git tracks, and those that it would if they were added; sorted.
    pub(super) fn files(&self) -> Result<Vec<String>, String> {
        let mut files = self.tracked()?;
        files.extend(self.new_files()?);
        files.sort_unstable();
        Ok(files)
    }

    /// The name of the branch that others are merged into: what the remote says, else the one that is checked out.
    pub(super) fn branch(&self) -> Option<String> {
        let named = |reference: &str| self.line(&["symbolic-ref", "--quiet", "--short", reference]).ok();
        let of_remote = named("refs/remotes/origin/HEAD");
        let of_remote = of_remote.and_then(|name| name.strip_prefix("origin/").map(str::to_owned));
        of_remote.or_else(|| named("HEAD")).filter(|name| !name.is_empty())
    }

    /// Those of `wanted` that git tracks.
    pub(super) fn tracked_among(&self, wanted: &[&str]) -> Result<Vec<String>, String> {
        let mut args = vec!["ls-files", "-z", "--cached", "--"];
        args.extend(wanted);
        self.ask(&args).map(|output| paths(&output))
    }

    /// Paths that differ between `base` and the working tree and are still there, new files that git does not ignore
    /// included.
    pub(super) fn changed(&self, base: &str) -> Result<Vec<String>, String> {
        let mut changed =
            self.ask_diff(&["--name-only", "-z", "--no-renames"], base).map(|output| paths(&output))?;
        changed.extend(self.new_files()?);
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// What differs between `base` and the working tree, line by line, files that git does not know and does not ignore
    /// included.
    pub(super) fn diff(&self, base: &str) -> Result<Diff, String> {
        let text = ["--no-color", "--unified=3", "--find-renames", "--src-prefix=a/", "--dst-prefix=b/"];
        let patch = self.ask_diff(&text, base)?;
        let mut diff = Diff::parse(&patch).map_err(|error| format!("git diff: {error}"))?;
        for path in self.changed(base)? {
            diff.add_file(path);
        }
        for path in self.new_files()? {
            diff.add_new_file(path);
        }
        Ok(diff)
    }

    /// `git diff` between `base` and the working tree with `options`.
    fn ask_diff(&self, options: &[&str], base: &str) -> Result<Vec<u8>, String> {
        let mut args = vec!["diff"];
        args.extend(options);
        args.extend([
            "--no-ext-diff",
            "--no-textconv",
            "--relative",
            "--diff-filter=d",
            // A submodule's own working tree has a configuration of its own, which nothing here switches off.
            "--ignore-submodules=dirty",
            base,
            "--",
        ]);
        self.ask_with(self.filters()?, &args)
    }

    /// Files that git neither tracks nor ignores.
    fn new_files(&self) -> Result<Vec<String>, String> {
        let listed = self.ask_with(self.filters()?, &["ls-files", "-z", "--others", "--exclude-standard"])?;
        // A repository inside this one is listed as a folder.
        Ok(paths(&listed).into_iter().filter(|path| !path.ends_with('/')).collect())
    }

    /// Options that switch off the filters of the repository's configuration. Git runs them as soon as it compares a
    /// file of the working tree, and only their names, which the repository chooses, switch them off.
    fn filters(&self) -> Result<&[OsString], String> {
        let options = self.filters.get_or_init(|| {
            let output = self.run(&[], &["config", "-z", "--name-only", "--get-regexp", r"^filter\..*"])?;
            let listed = match output.code {
                Some(0) => String::from_utf8(output.stdout).map_err(|_| "a filter's name is not UTF-8")?,
                // There is none.
                Some(1) => return Ok(Vec::new()),
                _ => return Err("the repository's configuration cannot be read".to_owned()),
            };
            let mut options = Vec::new();
            let keys = listed.split('\0').filter_map(|key| key.rsplit_once('.'));
            let names: BTreeSet<&str> = keys.map(|(name, _)| name).collect();
            for name in names {
                if name.contains(['=', '\n']) {
                    return Err(format!("the repository configures {name:?}, which cannot be switched off"));
                }
                for (key, value) in [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")] {
                    options.extend(["-c".into(), OsString::from(format!("{name}.{key}={value}"))]);
                }
            }
            Ok(options)
        });
        options.as_deref().map_err(Clone::clone)
    }
}

/// Whether `text` is a whole object id.
pub(super) fn is_sha(text: &str) -> bool {
    (text.len() == 40 || text.len() == 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// NUL-separated paths. One that is not UTF-8 can be no path in a manifest or a list, and is left out.
fn paths(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|&byte| byte == 0)
        .filter(|path| !path.is_empty())
        .filter_map(|path| std::str::from_utf8(path).ok().map(str::to_owned))
        .collect()
}
