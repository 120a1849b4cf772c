//! One program in a sandbox, without a manifest: what `sandbox exec` asks for, as a launch.

mod asked;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::admit::Power;
use crate::app::exec::asked::{absolute, refuse_weakening, within};
use crate::app::failure::{Failure, host};
use crate::app::folders::Temporary;
use crate::app::policy;
use crate::app::run::tool_cache;
use crate::app::secrets::registry;
use crate::app::tell::event_loop;
use crate::environ::Environ;
use crate::manifest::model::Network;
use crate::plan::facts::Interpreter;
use crate::policy::model::{Asked, Verb};
use crate::redact::guard::Form;
use crate::redact::writer::Writer;
use crate::run::passthrough::{self, Pass, PassError, Passed};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier, View};
use crate::sandbox::launch::Launch;
use crate::sandbox::layers::HostLayers;
use crate::sandbox::layout::{Layout, hidden};
use crate::sandbox::spawn::Sandbox;
use crate::workspace::interpreters;
use crate::workspace::writable;

/// Between the polite signal and the next, when the time is up.
const GRACE: Duration = Duration::from_secs(3);

/// What is to be run, and how it is to be confined.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The program's name or path, and its arguments.
    pub argv: Vec<OsString>,
    /// The folder that it sees as its workspace; the current one when absent.
    pub workspace: Option<PathBuf>,
    /// Further paths that it may read.
    pub read: Vec<PathBuf>,
    /// Paths that it may write.
    pub write: Vec<PathBuf>,
    /// The network.
    pub network: Network,
    /// How it is confined, when that was said.
    pub tier: Option<Tier>,
    /// Memory in bytes.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Private writable space in bytes.
    pub scratch: u64,
    /// When it is stopped.
    pub timeout: Option<Duration>,
    /// Variables beside the usual ones: a value, or nothing for the caller's own.
    pub env: Vec<(String, Option<OsString>)>,
}

/// Runs what `exec` asks for and passes its output on. How it ended is no failure.
///
/// # Errors
/// Fails when the program could not be started as it was asked for.
pub fn exec(exec: &Exec, environ: &Environ, sandbox: &Sandbox) -> Result<Passed, Failure> {
    // Without links: the kernel knows only folders, not by which way somebody came to them.
    let here = std::env::current_dir().map_err(|error| {
        usage(format!("the current folder is not usable: {error}"), "change to another one")
    })?;
    let workspace = workspace(exec, &here)?;
    let verdict = policy::allow(&Asked::plain(Verb::Exec), None, environ).map_err(Failure::Policy)?;
    let cgroups = Cgroups::of_this_host();
    let bounded = match verdict.power(environ) {
        Power::Policy(bounds) => within(exec, bounds, (&workspace, &here), sandbox, &cgroups)?,
        Power::Nobody => {
            refuse_weakening(exec, &workspace, &here)?;
            exec.clone()
        }
        Power::Person => exec.clone(),
    };
    let exec = &bounded;
    prepare()?;
    // The helper gets going while the rest is worked out here.
    make_ready(sandbox, exec.tier != Some(Tier::Landlock));
    let place = Place { exec, environ, here: &here, workspace: &workspace, sandbox };
    // Trying the layers first would cost more than the sandbox itself. Where one is missing, its set-up says so, and
    // nothing has been started.
    match place.run(exec.tier.unwrap_or(Tier::Namespaces), &cgroups)? {
        Ok(passed) => Ok(passed),
        Err(error) => match tier(exec.tier, sandbox.layers())? {
            Tier::Landlock if exec.tier.is_none() && matches!(error, PassError::Setup(_)) => {
                place.run(Tier::Landlock, &cgroups)?.map_err(|error| not_started(&error))
            }
            Tier::Namespaces | Tier::Landlock | Tier::None => Err(not_started(&error)),
        },
    }
}

/// Has `sandbox` make ready what a program needs, with `namespaces` of its own or without. What is ready for something else is
/// replaced when it is used.
pub fn make_ready(sandbox: &Sandbox, namespaces: bool) {
    sandbox.expect_namespaces(namespaces);
    sandbox.make_ready();
}

/// The tier that was asked for, else the best that there is.
fn tier(asked: Option<Tier>, layers: &HostLayers) -> Result<Tier, Failure> {
    let problem = match asked {
        Some(Tier::Namespaces) => layers.namespaces.as_ref().err().or(layers.seccomp.as_ref().err()),
        Some(Tier::Landlock) => layers.landlock.as_ref().err().or(layers.seccomp.as_ref().err()),
        Some(Tier::None) => None,
        None if layers.tier() != Tier::None => return Ok(layers.tier()),
        None => layers.seccomp.as_ref().err().or(layers.namespaces.as_ref().err()),
    };
    match (problem, asked) {
        (None, Some(tier)) => Ok(tier),
        (problem, _) => Err(host(
            problem.map_or_else(|| "this host has no sandbox".to_owned(), ToString::to_string),
            problem.map_or("`rungate doctor` tells what this host can do", |problem| problem.remedy),
        )),
    }
}

/// A private folder on the host, in the tier that has no file system of its own.
fn private_folder(tier: Tier, sandbox: &Sandbox, environ: &Environ) -> Result<Option<Temporary>, Failure> {
    match tier {
        Tier::Namespaces => return Ok(None),
        Tier::Landlock | Tier::None => {}
    }
    let folder = Temporary::make(sandbox, environ)?;
    for name in ["home", "tmp", "files"] {
        std::fs::create_dir(folder.path().join(name)).map_err(|error| {
            host(
                format!("no private folder can be created: {error}"),
                "free some space, or set TMPDIR to another folder",
            )
        })?;
    }
    Ok(Some(folder))
}

fn prepare() -> Result<(), Failure> {
    Sandbox::prepare_process().map_err(|error| {
        host(
            format!("this process cannot be made the reaper of its children: {error}"),
            "use Linux 3.4 or newer",
        )
    })
}

fn usage(message: String, help: &str) -> Failure {
    Failure::Usage { message, help: Some(help.to_owned()) }
}

/// The folder that is shown as the workspace.
fn workspace(exec: &Exec, here: &Path) -> Result<PathBuf, Failure> {
    let folder = match &exec.workspace {
        None => here.to_owned(),
        Some(named) => named.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
            usage(format!("the workspace {} is not a folder", named.display()), "name one with --workspace")
        })?,
    };
    if folder.parent().is_none() {
        let help = "name the folder that the program works in with --workspace";
        return Err(usage("the workspace cannot be the root of the file system".to_owned(), help));
    }
    Ok(folder)
}

/// Where and how the program is to run.
struct Place<'a> {
    exec: &'a Exec,
    environ: &'a Environ,
    here: &'a Path,
    workspace: &'a Path,
    sandbox: &'a Sandbox,
}

impl Place<'_> {
    /// Runs the program in `tier`. The inner error is that of a program that was not started.
    fn run(&self, tier: Tier, cgroups: &Cgroups) -> Result<Result<Passed, PassError>, Failure> {
        let scratch = private_folder(tier, self.sandbox, self.environ)?;
        let launch = self.launch(tier, scratch.as_ref().map_or(Path::new("/"), Temporary::path))?;
        // What is closed must be known before anything is started.
        let streams = [stream(&io::stdout())?, stream(&io::stderr())?];
        let private = scratch.as_ref().map(Temporary::path);
        let mut begun = match passthrough::begin(self.sandbox, &launch, cgroups, private) {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        // Groups of an earlier program whose rungate was killed are nobody's but ours to remove.
        let _count = cgroups.sweep();
        let sinks = streams.map(|stream| sink(self.environ, stream));
        let pass = Pass { sinks, timeout: self.exec.timeout, grace: GRACE };
        let passed = event_loop().map(|event_loop| event_loop.block_on(begun.attend(pass)));
        begun.end(scratch);
        passed
    }

    fn launch(&self, tier: Tier, scratch: &Path) -> Result<Launch, Failure> {
        let layout = Layout::of(tier, scratch);
        let mut view = View {
            workspace: Some(self.workspace.to_owned()),
            hidden: hidden(),
            read: self.readable()?,
            write: self.writable()?.into_iter().chain(layout.on_the_host(tier)).collect(),
        };
        view.read.extend(tool_cache(self.workspace, self.environ));
        let Some((name, args)) = self.exec.argv.split_first() else {
            return Err(usage("there is no program".to_owned(), "write it after `--`"));
        };
        let program = self.program(name)?;
        view.read.extend(program.prefixes);
        Ok(Launch {
            program: program.program,
            args: args.to_vec(),
            env: self.environment(&layout),
            cwd: if self.here.starts_with(self.workspace) { self.here } else { self.workspace }.to_owned(),
            confinement: Some(Confinement {
                tier,
                view,
                network: self.exec.network,
                ports: Vec::new(),
                unix_sockets: false,
                limits: self.limits(),
            }),
            private: Vec::new(),
        })
    }

    fn limits(&self) -> KernelLimits {
        KernelLimits {
            memory: self.exec.memory,
            processes: self.exec.processes,
            // A program without a time limit may compute for as long as it lives: a year says that.
            cpu: self.exec.timeout.map_or(Duration::from_hours(24 * 365), |timeout| timeout * 2),
            scratch: self.exec.scratch,
            inodes: KernelLimits::inodes_of(self.exec.scratch),
        }
    }

    /// The program, with what it needs: what a path names from here, else what the caller's PATH finds.
    fn program(&self, name: &OsStr) -> Result<Interpreter, Failure> {
        let path = Path::new(name);
        let found = if path.components().count() > 1 || path.is_absolute() {
            absolute(path, self.here)
        } else {
            interpreters::on_path(name, self.environ).ok_or_else(|| {
                let what = format!("{} is not found on PATH", path.display());
                host(what, "name it by its whole path, or install it")
            })?
        };
        let place =
            interpreters::Place { workspace: self.workspace, environ: self.environ, sandbox: self.sandbox };
        place.describe(&found).map_err(|missing| host(missing.what, missing.remedy))
    }

    fn readable(&self) -> Result<Vec<PathBuf>, Failure> {
        let canonical = |path: &PathBuf| {
            self.here.join(path).canonicalize().map_err(|error| {
                usage(format!("--read {} cannot be used: {error}", path.display()), "name a path that exists")
            })
        };
        self.exec.read.iter().map(canonical).collect()
    }

    fn writable(&self) -> Result<Vec<PathBuf>, Failure> {
        self.exec.write.iter().map(|path| self.writable_at(path)).collect()
    }

    fn writable_at(&self, path: &Path) -> Result<PathBuf, Failure> {
        let wrong = |why: String, help: &str| usage(format!("--write {} {why}", path.display()), help);
        let whole = absolute(path, self.here);
        let Ok(inside) = whole.strip_prefix(self.workspace) else {
            let there = whole.canonicalize();
            let there =
                there.map_err(|error| wrong(format!("cannot be used: {error}"), "create it first"))?;
            if self.workspace.starts_with(&there) {
                return Err(wrong(
                    "would make .git writable".to_owned(),
                    "name a folder beside the workspace",
                ));
            }
            return Ok(there);
        };
        let covers = inside.as_os_str().is_empty()
            || hidden().iter().any(|hidden| inside.components().any(|part| part.as_os_str() == hidden));
        if covers {
            let help = "name the folders that the program writes, such as `build`";
            return Err(wrong("would make .git or .rungate writable".to_owned(), help));
        }
        writable::provide(self.workspace, inside).map_err(|problem| {
            wrong(problem.to_string(), "name a path that is no link and leads through none")
        })
    }

    /// The whole environment: what every program may know, and what was asked for by name.
    fn environment(&self, layout: &Layout) -> Vec<(OsString, OsString)> {
        let mut env: std::collections::BTreeMap<OsString, OsString> = ["PATH", "LANG", "TZ"]
            .into_iter()
            .filter_map(|name| Some((name.into(), self.environ.os(name)?.to_owned())))
            .collect();
        env.insert("HOME".into(), layout.home.clone().into());
        env.insert("TMPDIR".into(), layout.tmp.clone().into());
        for (name, value) in &self.exec.env {
            let value = value.clone().or_else(|| self.environ.os(name).map(ToOwned::to_owned));
            env.extend(value.map(|value| (name.into(), value)));
        }
        env.into_iter().collect()
    }
}

/// One of this process's streams.
fn stream(stream: &impl AsFd) -> Result<File, Failure> {
    stream.as_fd().try_clone_to_owned().map(File::from).map_err(|error| {
        host(format!("standard output cannot be used: {error}"), "start rungate with its three streams open")
    })
}

/// A way out for one of the program's streams: nothing that is known to be secret passes, and under Actions no command.
fn sink(environ: &Environ, file: File) -> Writer<File> {
    let registry = registry(environ);
    if environ.in_actions() {
        Writer::guarded(&registry, Form::Text, file)
    } else {
        Writer::new(&registry, file)
    }
}

fn not_started(error: &PassError) -> Failure {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let remedy = match error {
        PassError::Setup(setup) => setup.call.remedy(setup.errno),
        PassError::Group(_) | PassError::Spawn(_) | PassError::Watch(_) => None,
    };
    host(format!("{error}{source}"), remedy.unwrap_or("`rungate doctor` tells what this host can do"))
}
