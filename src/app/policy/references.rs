//! Secrets of the host: followed from a policy to where they are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::policy::Policies;
use crate::environ::Environ;
use crate::github::credentials::{AppCredentials, Credentials, CredentialsError};
use crate::github::host::Host;
use crate::github::key::{KeyError, PemKey};
use crate::policy::model::{HostApp, Policy, Reference};
use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::signer::Signer;
use crate::workspace::trusted::{self, Distrust};

/// Largest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// This version cannot look there.
    #[error("{0} cannot be followed yet in this version of rungate")]
    NotYet(String),
    /// The service was given no credentials.
    #[error("systemd:{0} is meant, and systemd has given this process no credentials")]
    NoCredentials(String),
    /// The file is not as it has to be.
    #[error("{} is not usable: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Distrust,
    },
    /// Everybody can read it.
    #[error("{} can be read by everybody", .0.display())]
    Open(PathBuf),
    /// It is no text.
    #[error("{0} holds something else than text")]
    NoText(String),
    /// The key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Unavailable {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotYet(_) => "write `file:/PATH` or `systemd:NAME`".to_owned(),
            Self::NoCredentials(name) => {
                format!("give the runner's unit `LoadCredentialEncrypted={name}` and start it again")
            }
            Self::File { source, .. } => source.remedy(),
            Self::Open(path) => format!("chmod o-r {}", path.display()),
            Self::NoText(_) => "store it as UTF-8".to_owned(),
            Self::Key(error) => error.remedy().to_owned(),
        }
    }
}

/// The text that `reference` leads to, without the line break at its end. It is hidden from now on.
///
/// # Errors
/// Says why it is not to be had.
pub fn secret(reference: &Reference, environ: &Environ, registry: &Registry) -> Result<Secret, Unavailable> {
    let path = match reference {
        Reference::File(path) => path.clone(),
        Reference::Systemd(name) => {
            let folder = environ.path("CREDENTIALS_DIRECTORY").filter(|folder| folder.is_absolute());
            folder.ok_or_else(|| Unavailable::NoCredentials(name.clone()))?.join(name)
        }
        Reference::Other(text) => return Err(Unavailable::NotYet(text.clone())),
    };
    let owners = [0, trusted::own_user()];
    let bytes = trusted::read(&path, &owners, MAX_SECRET)
        .map_err(|source| Unavailable::File { path: path.clone(), source })?;
    if trusted::is_open_to_all(&path) {
        return Err(Unavailable::Open(path));
    }
    let text = String::from_utf8(bytes).map_err(|_| Unavailable::NoText(reference.to_string()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text), registry))
}

/// As whom this host speaks to `server`: as the App that its policy names, else as what the environment says.
///
/// # Errors
/// Fails when there is nothing to speak as, or something of it cannot be used.
pub fn credentials(
    server: &Host,
    environ: &Environ,
    registry: &Registry,
) -> Result<Credentials, CredentialsError> {
    let policies = Policies::of_host(environ).map_err(CredentialsError::Policy)?;
    policies.serves(server).map_err(CredentialsError::Policy)?;
    match policies.app() {
        Some((policy, app)) => of_app(policy, app, environ, registry).map(Credentials::App),
        None => Credentials::of_environ(environ, registry),
    }
}

/// The App of a policy. A key that is not to be had is passed over while another one is.
fn of_app(
    policy: &Policy,
    app: &HostApp,
    environ: &Environ,
    registry: &Registry,
) -> Result<AppCredentials, CredentialsError> {
    let mut keys: Vec<Arc<dyn Signer>> = Vec::new();
    let mut trouble = None;
    for reference in &app.keys {
        let read = secret(&reference.value, environ, registry)
            .and_then(|text| Ok(PemKey::all(text.expose(), &reference.value.to_string(), registry)?));
        match read {
            Ok(found) => keys.extend(found.into_iter().map(|key| Arc::new(key) as Arc<dyn Signer>)),
            Err(error) => {
                let line = policy.source.position(reference.span.start);
                let said = format!("{}:{line}: {error}; {}", policy.source.path, error.remedy());
                trouble.get_or_insert(said);
            }
        }
    }
    match trouble {
        Some(trouble) if keys.is_empty() => Err(CredentialsError::Policy(trouble)),
        _ => Ok(AppCredentials { id: app.id.clone(), keys, installation: app.installation }),
    }
}
