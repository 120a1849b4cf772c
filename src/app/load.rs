//! From a request to a plan: the manifest is read, what the plan asks is answered, and the plan is made.

use std::path::{Path, PathBuf};

use crate::app::failure::Failure;
use crate::environ::Environ;
use crate::manifest::availability;
use crate::manifest::diagnostic::Severity;
use crate::manifest::model::Command;
use crate::manifest::read::{self, Parsed};
use crate::plan::make::{self, PlanError};
use crate::plan::model::Plan;
use crate::plan::questions;
use crate::request::RunRequest;
use crate::sandbox::child::Sandbox;
use crate::workspace;

/// Where a manifest is looked for.
pub const DEFAULT_MANIFEST: &str = ".github/rungate.yml";

/// Where the administrator's policy stands.
const POLICY: &str = "/etc/rungate/policy.yml";

/// Largest manifest that is read; the reader's own limit is smaller and says more.
const MAX_READ: u64 = 1 << 20;

/// Where a request is looked at.
#[derive(Clone, Debug)]
pub struct Site {
    /// The workspace, as an absolute path without links.
    pub workspace: PathBuf,
    /// The manifest, when another one than the default was named.
    pub manifest: Option<PathBuf>,
    /// The caller's environment.
    pub environ: Environ,
    /// Where children come from.
    pub sandbox: Sandbox,
}

impl Site {
    /// Looks at `workspace`, else `GITHUB_WORKSPACE` under Actions, else the current folder.
    ///
    /// # Errors
    /// Fails when that is not a folder.
    pub fn new(
        workspace: Option<PathBuf>,
        manifest: Option<PathBuf>,
        environ: Environ,
        sandbox: Sandbox,
    ) -> Result<Self, Failure> {
        let actions = || environ.in_actions().then(|| environ.path("GITHUB_WORKSPACE")).flatten();
        let named = workspace.or_else(actions).unwrap_or_else(|| PathBuf::from("."));
        let usable = named.canonicalize().ok().filter(|path| path.is_dir());
        let workspace = usable.ok_or_else(|| Failure::Usage {
            message: format!("the workspace {} is not a folder", named.display()),
            help: Some("name the repository's folder with --workspace".to_owned()),
        })?;
        Ok(Self { workspace, manifest, environ, sandbox })
    }

    /// The manifest's path as people know it, and where it is.
    fn manifest_path(&self) -> (String, PathBuf) {
        match &self.manifest {
            Some(path) => (path.display().to_string(), path.clone()),
            None => (DEFAULT_MANIFEST.to_owned(), self.workspace.join(DEFAULT_MANIFEST)),
        }
    }

    /// Reads and checks the manifest.
    ///
    /// # Errors
    /// Fails when there is none or when it has errors, all of which are in the failure.
    pub fn read_manifest(&self) -> Result<Parsed, Failure> {
        let (shown, path) = self.manifest_path();
        let bytes = read_limited(&path).map_err(|error| Failure::NoManifest {
            reason: error.to_string(),
            help: if error.kind() == std::io::ErrorKind::NotFound {
                format!("create {DEFAULT_MANIFEST}, or name another file with --manifest")
            } else {
                "check that it is a regular file that this user can read".to_owned()
            },
            path,
        })?;
        read::manifest(&shown, &bytes).map_err(|invalid| Failure::Manifest {
            source_text: Box::new(invalid.source),
            diagnostics: invalid.diagnostics,
        })
    }

    /// Makes the plan of what `request` asks for.
    ///
    /// # Errors
    /// Fails with everything that stands against it, of the first kind that there is: policy, manifest, inputs, host.
    pub fn plan(&self, request: &RunRequest) -> Result<Plan, Failure> {
        refuse_policy(&self.environ).map_err(Failure::Policy)?;
        let parsed = self.read_manifest()?;
        let command = find_command(&parsed, &request.command)?;
        let missing = availability::unavailable(command);
        if missing.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(manifest_failure(&parsed, missing));
        }
        let questions = questions::questions(&parsed.manifest, command);
        let facts = workspace::facts(&questions, &self.workspace, &self.environ, request, &self.sandbox);
        make::plan(&parsed, command, request, &facts).map_err(|error| match error {
            PlanError::Manifest(diagnostics) => manifest_failure(&parsed, diagnostics),
            PlanError::Inputs(errors) => Failure::Inputs(errors),
            PlanError::Usage { message, help } => Failure::Usage { message, help: Some(help) },
            PlanError::Host(problems) => Failure::Host(problems),
        })
    }
}

/// A policy that this version cannot read must not be passed over: it may forbid everything.
///
/// # Errors
/// Says which policy there is.
pub fn refuse_policy(environ: &Environ) -> Result<(), String> {
    let named = environ.path("RUNGATE_POLICY");
    let found = [Some(PathBuf::from(POLICY)), named.clone()]
        .into_iter()
        .flatten()
        .find(|path| path.symlink_metadata().is_ok() || Some(path) == named.as_ref());
    match found {
        None => Ok(()),
        Some(path) => Err(format!(
            "{} exists, and this version of rungate cannot read host policies yet",
            path.display()
        )),
    }
}

fn manifest_failure(parsed: &Parsed, diagnostics: Vec<crate::manifest::diagnostic::Diagnostic>) -> Failure {
    Failure::Manifest { source_text: Box::new(parsed.source.clone()), diagnostics }
}

/// The command called `name`.
///
/// # Errors
/// Names the commands that there are.
pub fn find_command<'a>(parsed: &'a Parsed, name: &str) -> Result<&'a Command, Failure> {
    make::command(&parsed.manifest, name).map_err(|unknown| Failure::UnknownCommand {
        name: unknown.name,
        manifest: parsed.source.path.clone(),
        nearest: unknown.nearest,
        known: unknown.known,
    })
}

/// Reads a regular file of bounded size, without waiting for a FIFO's other end.
fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}
