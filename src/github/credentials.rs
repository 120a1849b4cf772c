//! As whom rungate speaks to GitHub, by what the runner's administrator set.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environ::Environ;
use crate::github::key::{KeyError, PemKey};
use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::signer::Signer;

/// Largest file with keys, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// As whom.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A GitHub App, which makes its own tokens.
    App(AppCredentials),
    /// A token that somebody else made.
    Token(Secret),
}

/// What proves to be an App.
#[derive(Clone)]
pub struct AppCredentials {
    /// Client id or numeric id.
    pub id: String,
    /// Its keys, in the order in which they are tried.
    pub keys: Vec<Arc<dyn Signer>>,
    /// Its installation, where it is not to be looked up.
    pub installation: Option<u64>,
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.origin()).collect();
        f.debug_struct("AppCredentials")
            .field("id", &self.id)
            .field("keys", &keys)
            .field("installation", &self.installation)
            .finish()
    }
}

/// Why there are no usable credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing is set.
    #[error("there are no credentials for GitHub")]
    Missing,
    /// An id without a key.
    #[error("RUNGATE_APP_ID is set, and no private key")]
    NoKey,
    /// A key without an id.
    #[error("{variable} is set, and RUNGATE_APP_ID is not")]
    NoId {
        /// The variable with the key.
        variable: &'static str,
    },
    /// The id is none. Its value is not shown: people paste a key into the wrong field.
    #[error("RUNGATE_APP_ID is neither a client id nor a number")]
    Id,
    /// The installation's id is no number.
    #[error("RUNGATE_INSTALLATION_ID is no number")]
    Installation,
    /// References to secrets cannot be followed.
    #[error(
        "RUNGATE_APP_PRIVATE_KEY_REF is set, and this version of rungate cannot follow references to secrets"
    )]
    Reference,
    /// The file with the key cannot be read.
    #[error("failed to read the private key in {path}, which RUNGATE_APP_PRIVATE_KEY_FILE names")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The host's policy stands in the way, or names an App that is not to be had.
    #[error("the App of this host is not usable: {0}")]
    Policy(String),
    /// The token is none.
    #[error("RUNGATE_TOKEN holds characters that no token has")]
    Token,
}

impl CredentialsError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => {
                "the administrator of the runner has to set RUNGATE_APP_ID and RUNGATE_APP_PRIVATE_KEY_FILE, or \
                 RUNGATE_TOKEN"
            }
            Self::NoKey => {
                "set RUNGATE_APP_PRIVATE_KEY_FILE to the App's .pem file, or RUNGATE_APP_PRIVATE_KEY to its text"
            }
            Self::NoId { .. } => "set RUNGATE_APP_ID to the client id on the App's settings page",
            Self::Id => "set it to the client id on the App's settings page, such as Iv23liAbCdEfGhIjKlMn",
            Self::Installation => {
                "set it to the number at the end of the installation's address, or unset it so that it is looked up"
            }
            Self::Reference => {
                "set RUNGATE_APP_PRIVATE_KEY_FILE or RUNGATE_APP_PRIVATE_KEY instead, and unset it"
            }
            Self::File { .. } => "check the path, and that the user of the runner can read the file",
            Self::Key(error) => error.remedy(),
            Self::Policy(_) => "ask the administrator of this host; `rungate doctor` tells more",
            Self::Token => "set it again, as one line",
        }
    }
}

impl Credentials {
    /// What the environment holds; a ready token counts only where no App is set. All of it is hidden from now on.
    ///
    /// # Errors
    /// Fails when nothing is set ([`CredentialsError::Missing`]), and when something is set that cannot be used: that is
    /// never passed over for something else.
    pub fn of_environ(environ: &Environ, registry: &Registry) -> Result<Self, CredentialsError> {
        let token = environ.text("RUNGATE_TOKEN").map(|text| Secret::new(text.trim(), registry));
        match (AppCredentials::of_environ(environ, registry), token) {
            (Err(CredentialsError::Missing), Some(token)) => {
                let fine =
                    !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
                if fine { Ok(Self::Token(token)) } else { Err(CredentialsError::Token) }
            }
            (app, _) => app.map(Self::App),
        }
    }
}

impl AppCredentials {
    /// The App that the environment holds.
    ///
    /// # Errors
    /// Fails when there is none, or something of it is missing or not usable.
    pub fn of_environ(environ: &Environ, registry: &Registry) -> Result<Self, CredentialsError> {
        let text = environ.text("RUNGATE_APP_PRIVATE_KEY");
        let file = environ.path("RUNGATE_APP_PRIVATE_KEY_FILE");
        let reference = environ.text("RUNGATE_APP_PRIVATE_KEY_REF");
        if let Some(text) = text {
            let _hidden_also_when_it_is_refused = Secret::new(text, registry);
        }
        if reference.is_some() {
            return Err(CredentialsError::Reference);
        }
        let Some(id) = environ.text("RUNGATE_APP_ID") else {
            return Err(match (text, file) {
                (Some(_), _) => CredentialsError::NoId { variable: "RUNGATE_APP_PRIVATE_KEY" },
                (None, Some(_)) => CredentialsError::NoId { variable: "RUNGATE_APP_PRIVATE_KEY_FILE" },
                (None, None) => CredentialsError::Missing,
            });
        };
        let id = id.trim();
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if id.is_empty() || !id.bytes().all(is_id) {
            return Err(CredentialsError::Id);
        }
        let mut keys = Vec::new();
        if let Some(text) = text {
            keys.extend(PemKey::all(text, "RUNGATE_APP_PRIVATE_KEY", registry)?);
        }
        if let Some(path) = &file {
            let text = read(path).map_err(|source| CredentialsError::File { path: path.clone(), source })?;
            keys.extend(PemKey::all(&text, &path.display().to_string(), registry)?);
        }
        if keys.is_empty() {
            return Err(CredentialsError::NoKey);
        }
        let keys = keys.into_iter().map(|key| Arc::new(key) as Arc<dyn Signer>).collect();
        Ok(Self { id: id.to_owned(), keys, installation: installation(environ)? })
    }
}

fn installation(environ: &Environ) -> Result<Option<u64>, CredentialsError> {
    let Some(text) = environ.text("RUNGATE_INSTALLATION_ID") else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| CredentialsError::Installation)
}

/// Reads a regular file of bounded size, without waiting for a FIFO's other end.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
