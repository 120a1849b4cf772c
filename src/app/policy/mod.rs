//! The host's policies: which there are, and what they say to what somebody wants to do here.
//!
//! `/etc/rungate/policy.yml` holds wherever it exists. A job's environment may name a further one, which can only take
//! something away. Neither is read unless nobody but root can have written it; a policy that cannot be read refuses
//! everything, because it might.

pub(in crate::app) mod bind;
mod facts;
mod references;
mod teams;

use std::path::Path;

use crate::app::admit::Power;
use crate::environ::Environ;
use crate::github::host::Host;
use crate::manifest::diagnostic::{Diagnostic, Severity, Source};
use crate::policy::decide::{Decision, decide};
use crate::policy::model::{Asked, Basis, Facts, HostApp, Policy, Verb};
use crate::policy::read::{self, Standing};
use crate::workspace::trusted::{self, Distrust};

pub use references::{Unavailable, credentials, secret};

/// Where the host's own policy is.
pub const HOST_POLICY: &str = "/etc/rungate/policy.yml";

/// Who has to have written it.
const ROOT: u32 = 0;

/// Largest policy that is read; the reader's own limit is smaller and says more.
const MAX_READ: u64 = 1 << 20;

/// The policies that hold here, the host's own first.
#[derive(Clone, Debug, Default)]
pub struct Policies(Vec<Policy>);

impl Policies {
    /// Those of this host, with the one that the environment names.
    ///
    /// # Errors
    /// Says which one cannot be relied on, and what to do.
    pub fn of_host(environ: &Environ) -> Result<Self, String> {
        Self::load(Path::new(HOST_POLICY), environ.path("RUNGATE_POLICY").as_deref(), ROOT)
    }

    /// Those at these places, when nobody but `owner` can have written them. Where the host has none, that is all right;
    /// where a further one is named, it has to be there.
    ///
    /// # Errors
    /// Says which one cannot be relied on, and what to do.
    pub fn load(host: &Path, further: Option<&Path>, owner: u32) -> Result<Self, String> {
        let mut policies = Vec::new();
        match trusted::read(host, &[owner], MAX_READ) {
            Ok(bytes) => policies.push(parsed(host, &bytes, Standing::Host)?),
            Err(Distrust::Missing) => {}
            Err(distrust) => return Err(distrusted(host, "", &distrust)),
        }
        if let Some(path) = further {
            let from = ", which RUNGATE_POLICY names";
            let bytes = trusted::read(path, &[owner], MAX_READ)
                .map_err(|distrust| distrusted(path, from, &distrust))?;
            policies.push(parsed(path, &bytes, Standing::Further)?);
        }
        Ok(Self(policies))
    }

    /// The policies.
    #[must_use]
    pub fn all(&self) -> &[Policy] {
        &self.0
    }

    /// The first, which is the host's own where it has one; a further one names neither an App nor secrets.
    #[must_use]
    pub fn host(&self) -> Option<&Policy> {
        self.0.first()
    }

    /// The App that it names, and the policy.
    fn app(&self) -> Option<(&Policy, &HostApp)> {
        self.0.iter().find_map(|policy| Some((policy, policy.app.as_ref()?)))
    }

    /// Whether this host works for `server`: a job's environment could name one that collects tokens, or that says of
    /// everybody that they are in every team.
    ///
    /// # Errors
    /// Names the line that says another one.
    pub fn serves(&self, server: &Host) -> Result<(), String> {
        for policy in &self.0 {
            let Some(only) = &policy.server else { continue };
            if Host::of_name(&only.value).as_ref() != Ok(server) {
                let place = policy.source.position(only.span.start);
                return Err(format!(
                    "{}:{place}: this host works for {}, and the server here is {}, with its API at {}",
                    policy.source.path,
                    only.value,
                    server.name(),
                    server.api()
                ));
            }
        }
        Ok(())
    }

    /// Judges what somebody wants to do. Where a policy wants facts to be verified, the issuer is asked; where a team
    /// decides, GitHub is.
    ///
    /// # Errors
    /// Says why facts cannot be had, which refuses as much as a rule would.
    pub fn judge(&self, asked: &Asked, environ: &Environ) -> Result<Verdict, String> {
        if self.0.iter().any(|policy| policy.server.is_some()) {
            let host = Host::of_environ(environ).map_err(|error| format!("{error}; {}", error.remedy()))?;
            self.serves(&host)?;
        }
        let mut facts = crate::workspace::github::facts(environ);
        if self.0.iter().any(|policy| policy.facts.value == Basis::Verified) {
            facts = facts::verified(self, facts, environ)?;
        }
        if !self.0.is_empty() {
            teams::look_up(self, asked, &mut facts, environ);
        }
        let decision = decide(&self.0, asked, &facts);
        Ok(Verdict { facts, decision: (!self.0.is_empty()).then_some(decision) })
    }
}

/// What the policies come to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is known of the job.
    pub facts: Facts,
    /// The decision; absent where there is no policy.
    pub decision: Option<Decision>,
}

impl Verdict {
    /// The verdict, when it is not refused.
    ///
    /// # Errors
    /// Says which line refuses it, and why.
    pub fn admitted(self) -> Result<Self, String> {
        match self.decision.as_ref().and_then(Decision::refusal) {
            Some(refusal) => Err(refusal),
            None => Ok(self),
        }
    }

    /// Who may consent to what loosens the sandbox: the policy where there is one, and nobody but a person elsewhere.
    #[must_use]
    pub fn power(&self, environ: &Environ) -> Power<'_> {
        match &self.decision {
            Some(decision) => Power::Policy(&decision.bounds),
            None if environ.in_actions() => Power::Nobody,
            None => Power::Person,
        }
    }
}

/// Whether `asked` may be done for `repository`. A job may only work on the repository that it is of.
///
/// # Errors
/// Says why not.
pub fn allow(asked: &Asked, repository: Option<&str>, environ: &Environ) -> Result<Verdict, String> {
    let verb = asked.verb;
    let policies = Policies::of_host(environ)?;
    let verdict = policies.judge(asked, environ)?.admitted()?;
    if let (Some(_), Some(wanted)) = (&verdict.decision, repository)
        && !verdict.facts.repository.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(wanted))
    {
        let own = verdict.facts.repository.as_deref().unwrap_or("an unknown repository");
        let path = policies.host().map_or(HOST_POLICY, |policy| policy.source.path.as_str());
        return Err(format!("{path}: a job of {own} may not `{}` for {wanted}", verb.as_str()));
    }
    Ok(verdict)
}

/// Whether what a dead run of `repository` has left open may be closed. Where somebody asks from makes no difference: the
/// run is another one's, and what is closed never passes.
///
/// # Errors
/// Says why not.
pub fn may_reconcile(repository: &str, environ: &Environ) -> Result<(), String> {
    let policies = Policies::of_host(environ)?;
    let facts = Facts { repository: Some(repository.to_owned()), ..Facts::default() };
    decide(policies.all(), &Asked::plain(Verb::Reconcile), &facts).refusal().map_or(Ok(()), Err)
}

/// Reads a policy that is not in force, to say what is wrong with it. Who owns it is of no matter here.
///
/// # Errors
/// Fails when it cannot be read.
pub fn look_at(path: &Path) -> std::io::Result<Result<read::Parsed, read::Invalid>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(read::policy(&path.display().to_string(), &bytes, Standing::Host))
}

/// What would keep the policy at `path` from being accepted where it stands.
#[must_use]
pub fn distrust(path: &Path) -> Option<Distrust> {
    let path =
        if path.is_absolute() { path.to_owned() } else { std::path::absolute(path).unwrap_or_default() };
    trusted::check(&path, &[ROOT]).err()
}

fn parsed(path: &Path, bytes: &[u8], standing: Standing) -> Result<Policy, String> {
    let parsed = read::policy(&path.display().to_string(), bytes, standing);
    parsed.map(|parsed| parsed.policy).map_err(|invalid| first_of(&invalid.source, &invalid.diagnostics))
}

/// The first error of a policy as a sentence. All of them are shown by `rungate validate --policy`.
fn first_of(source: &Source, diagnostics: &[Diagnostic]) -> String {
    let errors: Vec<&Diagnostic> =
        diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
    let (place, message) = errors.first().map_or_else(
        || (source.path.clone(), "is not valid"),
        |first| (format!("{}:{}", source.path, source.position(first.span.start)), first.message.as_str()),
    );
    let more = match errors.len() {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    format!("{place}: {message}{more}; `rungate validate --policy {}` shows all", source.path)
}

fn distrusted(path: &Path, from: &str, distrust: &Distrust) -> String {
    format!("{}{from}, cannot be relied on: {distrust}; {}", path.display(), distrust.remedy())
}
