//! From a request to a plan: the manifest is read, what the plan asks is answered, and the plan is made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::app::failure::Failure;
use crate::app::policy::bind;
use crate::app::policy::{Policies, Verdict};
use crate::environ::Environ;
use crate::id::EnvName;
use crate::manifest::availability;
use crate::manifest::diagnostic::Severity;
use crate::manifest::model::Command;
use crate::manifest::read::{self, Parsed};
use crate::plan::make::{self, PlanError};
use crate::plan::model::Plan;
use crate::plan::questions;
use crate::policy::model::{Asked, Reference, Verb};
use crate::request::RunRequest;
use crate::sandbox::spawn::Sandbox;
use crate::workspace;

/// Where a manifest is looked for.
pub const DEFAULT_MANIFEST: &str = ".github/rungate.yml";

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

/// What was asked for and what the policies say, before anything of the workspace was looked at.
#[derive(Debug)]
pub struct Considered {
    /// The manifest.
    pub parsed: Parsed,
    /// The policies.
    pub policies: Policies,
    /// What they say.
    pub verdict: Verdict,
}

/// A plan that may be carried out.
#[derive(Debug)]
pub struct Admitted {
    /// The plan, within the bounds of the policies.
    pub plan: Plan,
    /// What admits it.
    pub verdict: Verdict,
    /// Where those of its secrets are that are the host's own.
    pub sources: BTreeMap<EnvName, Reference>,
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
            help: self.way_to_a_manifest(&error),
            path,
        })?;
        read::manifest(&shown, &bytes).map_err(|invalid| Failure::Manifest {
            source_text: Box::new(invalid.source),
            diagnostics: invalid.diagnostics,
        })
    }

    /// What to do when the manifest cannot be read because of `error`.
    fn way_to_a_manifest(&self, error: &std::io::Error) -> String {
        if error.kind() != std::io::ErrorKind::NotFound {
            return "check that it is a regular file that this user can read".to_owned();
        }
        if self.manifest.is_some() {
            return format!("name another file with --manifest; without it, {DEFAULT_MANIFEST} is read");
        }
        // Whoever stands in a folder of a repository means the repository.
        let above = self.workspace.ancestors().skip(1).find(|folder| folder.join(DEFAULT_MANIFEST).is_file());
        above.map_or_else(
            || "`rungate init` writes a first one; another file is named with --manifest".to_owned(),
            |folder| format!("there is one above: add --workspace {}, or go there", folder.display()),
        )
    }

    /// Reads what `request` asks for, and what the host's policies say to it.
    ///
    /// # Errors
    /// Fails when a policy cannot be relied on, and when there is no such command. That it is refused is a verdict.
    pub fn consider(&self, request: &RunRequest) -> Result<Considered, Failure> {
        let policies = Policies::of_host(&self.environ).map_err(Failure::Policy)?;
        let parsed = self.read_manifest()?;
        let command = find_command(&parsed, &request.command)?;
        let asked =
            Asked { verb: Verb::Run, command: Some(command.id.value.clone()), manifest: Some(parsed.sha256) };
        let verdict = policies.judge(&asked, &self.environ).map_err(Failure::Policy)?;
        Ok(Considered { parsed, policies, verdict })
    }

    /// Makes the plan of what was considered, within the bounds of the policies that admit it.
    ///
    /// # Errors
    /// Fails with everything that stands against it, of the first kind that there is: policy, manifest, inputs, host.
    pub fn admitted(&self, request: &RunRequest, considered: Considered) -> Result<Admitted, Failure> {
        let Considered { parsed, policies, verdict } = considered;
        let verdict = verdict.admitted().map_err(Failure::Policy)?;
        let command = find_command(&parsed, &request.command)?;
        let sources = bind::secrets(command, &policies, &verdict).map_err(Failure::Policy)?;
        let mut plan = self.made(&parsed, command, request, sources.keys())?;
        bind::plan(&mut plan, &verdict).map_err(Failure::Policy)?;
        Ok(Admitted { plan, verdict, sources })
    }

    /// The plan of `command`, where these secrets are there whatever the environment holds.
    fn made<'s>(
        &self,
        parsed: &Parsed,
        command: &Command,
        request: &RunRequest,
        of_host: impl Iterator<Item = &'s EnvName>,
    ) -> Result<Plan, Failure> {
        let missing = availability::unavailable(command);
        if missing.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(manifest_failure(parsed, missing));
        }
        let questions = questions::questions(&parsed.manifest, command);
        let mut facts = workspace::facts(&questions, &self.workspace, &self.environ, request, &self.sandbox);
        facts.secrets.extend(of_host.cloned());
        make::plan(parsed, command, request, &facts).map_err(|error| match error {
            PlanError::Manifest(diagnostics) => manifest_failure(parsed, diagnostics),
            PlanError::Inputs(errors) => Failure::Inputs(errors),
            PlanError::Usage { message, help } => Failure::Usage { message, help: Some(help) },
            PlanError::Host(problems) => Failure::Host(problems),
        })
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
