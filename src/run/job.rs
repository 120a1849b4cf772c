//! One step made ready: every text known, every private file named. Still data; nothing has been started.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use crate::environ::Environ;
use crate::id::{EnvName, RepoPath};
use crate::plan::evaluate::{self, EvalError, Scope};
use crate::plan::facts::PathProblem;
use crate::plan::inputs;
use crate::plan::model::{Plan, PlannedStep, Program};
use crate::record::Outcome;
use crate::run::confine::{self, Ground};
use crate::run::interpreter;
use crate::sandbox::confinement::PrivateFile;
use crate::sandbox::launch::Launch;
use crate::sandbox::layout::Layout;
use crate::workspace::writable;

/// Variables that name the files by which a step hands something on, and the files' names.
const HANDED_ON: [(&str, &str); 4] = [
    ("GITHUB_OUTPUT", "output"),
    ("GITHUB_ENV", "env"),
    ("GITHUB_PATH", "path"),
    ("GITHUB_STEP_SUMMARY", "summary"),
];

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
    /// What it is to write cannot be provided.
    #[error("`write: {path}` cannot be used: it {source}")]
    Write {
        /// The path, as written.
        path: RepoPath,
        /// Why.
        #[source]
        source: PathProblem,
    },
}

impl PrepareError {
    /// How the step ends that cannot be prepared: by what it is, or by what the host lacks.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Value { .. } | Self::Dash { .. } => Outcome::Failure,
            Self::Write { .. } => Outcome::SetupFailed,
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

/// What every step of a run is prepared with.
pub(super) struct Surroundings<'a> {
    pub(super) plan: &'a Plan,
    pub(super) environ: &'a Environ,
    pub(super) workspace: &'a Path,
    pub(super) ground: &'a Ground,
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

/// The process that `step` is, with its private folders as `layout` says. `env` of `scope` is what [`written_env`] gave.
pub(super) fn launch(
    step: &PlannedStep,
    around: &Surroundings<'_>,
    layout: &Layout,
    inherited: &Inherited,
    scope: &Scope<'_>,
) -> Result<Launch, PrepareError> {
    let args = arguments(step, scope)?;
    // They must exist: the usual libraries refuse to append to a file that is not there.
    let mut private: Vec<PrivateFile> =
        HANDED_ON.map(|(_, name)| PrivateFile { name: name.to_owned(), bytes: Vec::new() }).into();
    let mut put = |name: &str, bytes: Vec<u8>| {
        private.push(PrivateFile { name: name.to_owned(), bytes });
        layout.files.join(name)
    };
    let mut file = match &step.program {
        Program::Run { text, .. } => {
            put(&format!("run.{}", interpreter::extension(step.shell)), text.as_bytes().to_vec())
        }
        Program::Script { path, .. } => around.workspace.join(path.as_str()),
    };
    if interpreter::needs_wrapper(step.shell) {
        file = put("wrapper.ps1", interpreter::powershell_wrapper(&file).into_vec());
    }
    let mut env = environment(step, around, layout, inherited, scope.env);
    let inputs = serde_json::to_vec(&around.plan.inputs).unwrap_or_default();
    env.insert("RUNGATE_INPUTS".into(), put("inputs.json", inputs).into());
    if let Some(files) = &step.files {
        let mut list = files.join("\0");
        if !list.is_empty() {
            list.push('\0');
        }
        env.insert("RUNGATE_FILES".into(), put("changed-files", list.into_bytes()).into());
    }
    Ok(Launch {
        program: step.interpreter.clone(),
        args: interpreter::arguments(step.shell, &file, &args),
        env: env.into_iter().collect(),
        cwd: around.workspace.join(step.working_directory.as_str()),
        confinement: confine::confinement(step, around.ground, around.workspace, layout),
        private,
    })
}

/// Finds or makes the places that `step` writes. A step before it may have put a link where one of them was.
pub(super) fn provide(step: &PlannedStep, workspace: &Path) -> Result<(), PrepareError> {
    for path in &step.sandbox.write {
        writable::provide(workspace, Path::new(path.as_str()))
            .map_err(|source| PrepareError::Write { path: path.clone(), source })?;
    }
    Ok(())
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
    layout: &Layout,
    inherited: &Inherited,
    written: &BTreeMap<String, String>,
) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    for name in &step.pass {
        if let Some(value) = around.environ.os(name.as_str()) {
            env.insert(name.as_str().into(), value.to_owned());
        }
    }
    for (name, value) in interpreter::variables(step.shell) {
        env.insert((*name).into(), (*value).into());
    }
    env.insert("HOME".into(), layout.home.clone().into());
    env.insert("TMPDIR".into(), layout.tmp.clone().into());
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
    for (variable, name) in HANDED_ON {
        env.insert(variable.into(), layout.files.join(name).into());
    }
    env.insert("GITHUB_WORKSPACE".into(), around.workspace.into());
    for (name, value) in &around.plan.inputs {
        env.insert(inputs::env_name(name).into(), inputs::as_text(value).into());
    }
    env
}
