//! Which GitHub this is: github.com, GitHub Enterprise Cloud with data residency, or GitHub Enterprise Server.
//!
//! Pure: names in, addresses out. A base path is never dropped when an address is made, and nothing but HTTPS is spoken to
//! another machine.

use url::Url;

use crate::environ::Environ;

/// The server that is assumed where nothing says another.
const DEFAULT: &str = "github.com";

/// Why an address of a server is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// A host name came with a scheme, a path or more.
    #[error("{0:?} is no bare host name")]
    NotBare(String),
    /// An address is no URL that can be used as a base.
    #[error("{name} is {value:?}, which is no usable address: {reason}")]
    NotAnAddress {
        /// The variable or option.
        name: &'static str,
        /// Its value, without a password.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path or link does not belong to the API.
    #[error("{0:?} does not belong to the API of this server")]
    Elsewhere(String),
}

impl HostError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotBare(_) => {
                "give the name alone, such as github.com, octo.ghe.com or github.example.com:8443, \
                 without https:// and without a path"
                    .to_owned()
            }
            Self::NotAnAddress { name, .. } => {
                let path = if *name == "GITHUB_API_URL" { "/api/v3" } else { "" };
                format!(
                    "set {name} to an address such as https://github.example.com{path}, or leave it unset"
                )
            }
            Self::Elsewhere(_) => "please report it: this is a fault of rungate or of the server".to_owned(),
        }
    }
}

/// What kind of GitHub a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// github.com.
    Dotcom,
    /// GitHub Enterprise Cloud with data residency, on a name below ghe.com.
    DataResidency,
    /// GitHub Enterprise Server.
    Server,
}

/// A GitHub server: where its pages and where its API are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    server: Url,
    api: Url,
}

impl Host {
    /// The server that the environment names: `GITHUB_API_URL` and `GITHUB_SERVER_URL`, each derived from the other where
    /// only one is set, and github.com where none is.
    ///
    /// # Errors
    /// Fails when one of them is no usable address.
    pub fn of_environ(environ: &Environ) -> Result<Self, HostError> {
        let server = environ.text("GITHUB_SERVER_URL").map(|text| base("GITHUB_SERVER_URL", text));
        let api = environ.text("GITHUB_API_URL").map(|text| base("GITHUB_API_URL", text));
        match (server.transpose()?, api.transpose()?) {
            (Some(server), Some(api)) => Ok(Self { server, api }),
            (Some(server), None) => Ok(Self { api: api_of(&server), server }),
            (None, Some(api)) => Ok(Self { server: server_of(&api), api }),
            (None, None) => Self::of_name(DEFAULT),
        }
    }

    /// The server with this bare host name; a port may follow it.
    ///
    /// # Errors
    /// Fails when `name` has a scheme, a path, a user or anything else around it.
    pub fn of_name(name: &str) -> Result<Self, HostError> {
        let refused = || HostError::NotBare(without_user(name));
        let name = name.trim();
        if name.is_empty()
            || name.contains(|c: char| "/\\@?#%".contains(c) || c.is_whitespace() || c.is_control())
        {
            return Err(refused());
        }
        let server = Url::parse(&format!("https://{name}")).map_err(|_| refused())?;
        if server.path() != "/" || server.host_str().is_none_or(|host| host.starts_with('.')) {
            return Err(refused());
        }
        Ok(Self { api: api_of(&server), server })
    }

    /// What kind of server it is, by its name alone.
    #[must_use]
    pub fn kind(&self) -> Kind {
        kind_of(&self.server)
    }

    /// Whether this is GitHub Enterprise Server, which lacks some services of the others.
    #[must_use]
    pub fn is_ghes(&self) -> bool {
        self.kind() == Kind::Server
    }

    /// Host name and port, as a person knows the server.
    #[must_use]
    pub fn name(&self) -> String {
        authority(&self.server)
    }

    /// An address for people, such as that of a job: `path` begins with a slash.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", trimmed(&self.server))
    }

    /// The base of the API, without a slash at its end.
    #[must_use]
    pub fn api(&self) -> &str {
        trimmed(&self.api)
    }

    /// The address of `target`: a path below the base, or a whole address that the server itself gave for its next page.
    ///
    /// # Errors
    /// Fails when the target would leave the API's origin or its base path.
    pub fn endpoint(&self, target: &str) -> Result<Url, HostError> {
        let elsewhere = || HostError::Elsewhere(target.to_owned());
        let text =
            if target.starts_with('/') { format!("{}{target}", self.api()) } else { target.to_owned() };
        let url = Url::parse(&text).map_err(|_| elsewhere())?;
        // Parsing has resolved dots, so that this also sees a path that climbs out.
        let below = url
            .path()
            .strip_prefix(self.api.path().trim_end_matches('/'))
            .is_some_and(|rest| rest.starts_with('/'));
        if same_origin(&url, &self.api) && below && url.username().is_empty() && url.password().is_none() {
            Ok(url)
        } else {
            Err(elsewhere())
        }
    }
}

/// Whether a secret for `a` may be shown to `b`: scheme, host and port are the same.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

fn kind_of(server: &Url) -> Kind {
    match server.host_str().unwrap_or_default() {
        "github.com" => Kind::Dotcom,
        host if host.ends_with(".ghe.com") => Kind::DataResidency,
        // GitHub's own clients take these names for a test setup of github.com.
        host if host.ends_with(".localhost") => Kind::Dotcom,
        _ => Kind::Server,
    }
}

/// The API of the server with this address.
fn api_of(server: &Url) -> Url {
    let mut api = server.clone();
    let host = server.host_str().unwrap_or_default();
    let moved = if host == "github.com" || host.ends_with(".ghe.com") {
        api.set_host(Some(&format!("api.{host}"))).is_ok()
    } else {
        false
    };
    if !moved {
        api.set_path(&format!("{}/api/v3", server.path().trim_end_matches('/')));
    }
    api
}

/// The server whose API has this address.
fn server_of(api: &Url) -> Url {
    let mut server = api.clone();
    let host = api.host_str().unwrap_or_default();
    let bare = host.strip_prefix("api.").filter(|rest| *rest == "github.com" || rest.ends_with(".ghe.com"));
    if let Some(bare) = bare.map(str::to_owned) {
        let _a_part_of_a_host_name_is_one = server.set_host(Some(&bare));
    }
    let path = api.path().trim_end_matches('/');
    server.set_path(path.strip_suffix("/api/v3").unwrap_or(path));
    server
}

/// A base address from `name`'s value.
fn base(name: &'static str, value: &str) -> Result<Url, HostError> {
    let refused = |reason| HostError::NotAnAddress { name, value: without_user(value), reason };
    let url =
        Url::parse(value.trim()).map_err(|_| refused("it does not begin with https:// and a host name"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refused("it has no host name"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("something follows its path"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(refused(
            "a token must not travel in clear text; only this machine may be spoken to by http://",
        )),
        _ => Err(refused("its scheme is not https")),
    }
}

/// Whether the address is on this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn trimmed(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// `text` without what stands before an `@`: that may be a password.
fn without_user(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| rest.to_owned())
}

#[cfg(test)]
mod tests;
