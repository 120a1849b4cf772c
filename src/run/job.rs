//! One step made ready: every text known, every private file named. Still data; nothing has been started.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::id::EnvName;
use crate::plan::evaluate::{self, EvalError, Scope};
use crate::plan::inputs;
use crate::plan::model::{Plan, PlannedStep, Program};
use crate::record::Outcome;
use crate::run::interpreter;
use crate::sandbox::launch::Launch;

/// Why a step cannot be started although its turn has come. Says nothing about the script.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    /// A text of it has no value.
    #[error("{what}: {source}")]
    Value {
        /// Which text.
        what: String,
        /// Why.
        #[source]
        source: EvalError,
    },
    /// A value would be read as an option.
    #[error(
        "argument {index} would be {value:?}, which a program reads as an option: write the option before it, as in \
         --name=${{{{ … }}}}, or give the input a pattern that excludes a leading `-`"
    )]
    Dash {
        /// Index of the argument, from 1.
        index: usize,
        /// The value, cut.
        value: String,
    },
    /// A private file cannot be written.
    #[error("failed to write {path}: {source}")]
    Scratch {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PrepareError {
    /// How the step ends that cannot be prepared: by what it is, or by what the host lacks.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Value { .. } | Self::Dash { .. } => Outcome::Failure,
            Self::Scratch { .. } => Outcome::SetupFailed,
        }
    }
}

/// What a step takes over from the steps that it needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited {
    /// Environment, in the order of the steps that set it.
    pub(super) env: Vec<(EnvName, String)>,
    /// Directories to search first, the latest first.
    pub(super) path: Vec<String>,
}

/// The private folder of a step: its HOME and TMPDIR, and the files by which it hands something on.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    root: PathBuf,
}

/// What a step finds in its private folder.
const FOLDERS: [&str; 3] = ["home", "tmp", "files"];

impl Scratch {
    /// Creates the folders of a step below `parent`.
    pub(super) fn create(parent: &Path, folder: &str) -> Result<Self, PrepareError> {
        let scratch = Self { root: parent.join(folder) };
        scratch.folder("")?;
        scratch.fill()?;
        Ok(scratch)
    }

    fn folder(&self, name: &str) -> Result<(), PrepareError> {
        let path = self.root.join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| PrepareError::Scratch { path, source })
    }

    /// Where the files for outputs, environment and search path are.
    pub(super) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Makes everything that a step can write to anew, before a further attempt. The last one could put anything there,
    /// folders and links too, or take it away.
    pub(super) fn reset(&self) -> Result<(), PrepareError> {
        for name in FOLDERS {
            let path = self.root.join(name);
            match fs::remove_dir_all(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(PrepareError::Scratch { path, source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        self.fill()
    }

    /// Removes everything. What cannot be removed is tried again with the run's private folder.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.root);
    }

    fn fill(&self) -> Result<(), PrepareError> {
        for name in FOLDERS {
            self.folder(name)?;
        }
        // They must exist: the usual libraries refuse to append to a file that is not there.
        for name in ["output", "env", "path", "summary"] {
            self.write(&format!("files/{name}"), b"")?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, PrepareError> {
        let path = self.root.join(name);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = opened.and_then(|mut file| io::Write::write_all(&mut file, bytes));
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(PrepareError::Scratch { path, source }),
        }
    }
}

/// What every step of a run is prepared with.
pub(super) struct Surroundings<'a> {
    pub(super) plan: &'a Plan,
    pub(super) environ: &'a Environ,
    pub(super) workspace: &'a Path,
    /// The file with all inputs as JSON.
    pub(super) inputs_file: &'a Path,
}

/// The step's environment as far as its author wrote it, evaluated in `scope` from the outermost map inwards.
/// Expressions on `env` see what stands further out.
pub(super) fn written_env(
    step: &PlannedStep,
    scope: &Scope<'_>,
    inherited: &Inherited,
) -> Result<BTreeMap<String, String>, PrepareError> {
    layered(step, scope, inherited, |name, value| match value {
        Ok(value) => Ok(Some(value)),
        Err(source) => Err(PrepareError::Value { what: format!("env {name}"), source }),
    })
}

/// What a condition sees of the same environment: everything but values that need a secret, which no condition may read.
pub(super) fn visible_env(
    step: &PlannedStep,
    scope: &Scope<'_>,
    inherited: &Inherited,
) -> BTreeMap<String, String> {
    let kept = layered(step, scope, inherited, |_, value| Ok::<_, Infallible>(value.ok()));
    kept.unwrap_or_else(|never| match never {})
}

fn layered<E>(
    step: &PlannedStep,
    scope: &Scope<'_>,
    inherited: &Inherited,
    keep: impl Fn(&EnvName, Result<String, EvalError>) -> Result<Option<String>, E>,
) -> Result<BTreeMap<String, String>, E> {
    let of_others = inherited.env.iter().map(|(name, value)| (name.to_string(), value.clone()));
    let mut env: BTreeMap<String, String> = of_others.collect();
    for (name, text) in &step.env {
        let value = evaluate::text(text, &Scope { env: &env, ..*scope });
        if let Some(value) = keep(name, value)? {
            env.insert(name.to_string(), value);
        }
    }
    Ok(env)
}

/// The process that `step` is. `env` is what [`written_env`] gave.
pub(super) fn launch(
    step: &PlannedStep,
    around: &Surroundings<'_>,
    scratch: &Scratch,
    inherited: &Inherited,
    scope: &Scope<'_>,
) -> Result<Launch, PrepareError> {
    let args = arguments(step, scope)?;
    let file = match &step.program {
        Program::Run { text, .. } => {
            scratch.write(&format!("run.{}", interpreter::extension(step.shell)), text.as_bytes())?
        }
        Program::Script { path, .. } => around.workspace.join(path.as_str()),
    };
    let file = if interpreter::needs_wrapper(step.shell) {
        use std::os::unix::ffi::OsStrExt as _;
        scratch.write("wrapper.ps1", interpreter::powershell_wrapper(&file).as_bytes())?
    } else {
        file
    };
    Ok(Launch {
        program: step.interpreter.clone(),
        args: interpreter::arguments(step.shell, &file, &args),
        env: environment(step, around, scratch, inherited, scope.env)?,
        cwd: around.workspace.join(step.working_directory.as_str()),
        confinement: None,
        private: Vec::new(),
    })
}

fn arguments(step: &PlannedStep, scope: &Scope<'_>) -> Result<Vec<OsString>, PrepareError> {
    let mut args = Vec::with_capacity(step.args.len());
    for (index, arg) in step.args.iter().enumerate() {
        let value = evaluate::text(&arg.text, scope)
            .map_err(|source| PrepareError::Value { what: format!("argument {}", index + 1), source })?;
        if arg.refuse_dash && value.starts_with('-') {
            let value = value.chars().take(60).collect();
            return Err(PrepareError::Dash { index: index + 1, value });
        }
        args.push(value.into());
    }
    Ok(args)
}

/// The whole environment, built from nothing: what may pass from the caller, what the interpreter needs, what the
/// author wrote, and last what rungate itself says.
fn environment(
    step: &PlannedStep,
    around: &Surroundings<'_>,
    scratch: &Scratch,
    inherited: &Inherited,
    written: &BTreeMap<String, String>,
) -> Result<Vec<(OsString, OsString)>, PrepareError> {
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    for name in &step.pass {
        if let Some(value) = around.environ.os(name.as_str()) {
            env.insert(name.as_str().into(), value.to_owned());
        }
    }
    for (name, value) in interpreter::variables(step.shell) {
        env.insert((*name).into(), (*value).into());
    }
    env.insert("HOME".into(), scratch.root.join("home").into());
    env.insert("TMPDIR".into(), scratch.root.join("tmp").into());
    for (name, value) in written {
        env.insert(name.into(), value.into());
    }
    if !inherited.path.is_empty() {
        let rest = env.remove(OsStr::new("PATH")).unwrap_or_default();
        let mut path = OsString::from(inherited.path.join(":"));
        if !rest.is_empty() {
            path.push(":");
            path.push(rest);
        }
        env.insert("PATH".into(), path);
    }
    for (variable, name) in [
        ("GITHUB_OUTPUT", "output"),
        ("GITHUB_ENV", "env"),
        ("GITHUB_PATH", "path"),
        ("GITHUB_STEP_SUMMARY", "summary"),
    ] {
        env.insert(variable.into(), scratch.files().join(name).into());
    }
    env.insert("GITHUB_WORKSPACE".into(), around.workspace.into());
    env.insert("RUNGATE_INPUTS".into(), around.inputs_file.into());
    for (name, value) in &around.plan.inputs {
        env.insert(inputs::env_name(name).into(), inputs::as_text(value).into());
    }
    if let Some(files) = &step.files {
        let mut list = files.join("\0");
        if !list.is_empty() {
            list.push('\0');
        }
        env.insert("RUNGATE_FILES".into(), scratch.write("changed-files", list.as_bytes())?.into());
    }
    Ok(env.into_iter().collect())
}
