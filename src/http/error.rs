//! Why a call got no answer: where it broke, whether the server may have acted, and what to do.

use std::error::Error;
use std::time::Duration;

/// Whether a call that failed may have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: the connection never came about.
    No,
    /// The call may have arrived, and its answer was lost.
    Perhaps,
}

/// Where a connection did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The name has no address.
    Name,
    /// Nobody answers at the address.
    Connect,
    /// The proxy refuses to pass the call on, or cannot be reached.
    Proxy,
    /// The certificate is not trusted, or no common protocol was found.
    Tls,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be set up.
    #[error("failed to set up HTTP")]
    Setup {
        /// What the library said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A variable for proxies holds something else.
    #[error("{variable} names no usable proxy: {reason}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
    /// Certificates that a variable names cannot be read.
    #[error("{variable} names {path}, which holds no usable certificates")]
    Certificates {
        /// The variable.
        variable: &'static str,
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No connection came about.
    #[error("failed to reach {host}{}", stage_text(*.stage))]
    Unreachable {
        /// The server's name.
        host: String,
        /// Where it broke.
        stage: Stage,
        /// What the library said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The call took too long.
    #[error("{host} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// The server's name.
        host: String,
        /// Whether the call may have arrived.
        sent: Sent,
        /// After how long.
        after: Duration,
    },
    /// The connection broke while the call was on its way or its answer was.
    #[error("the connection to {host} broke before the answer was complete")]
    Broken {
        /// The server's name.
        host: String,
        /// What the library said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is larger than anything that is expected.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The server's name.
        host: String,
        /// Largest size, in bytes.
        limit: usize,
    },
    /// A redirect leads where it must not.
    #[error("{from} redirects to {to}, {why}")]
    Redirect {
        /// The server's name.
        from: String,
        /// Where it leads.
        to: String,
        /// Why it is not followed.
        why: &'static str,
    },
    /// Redirects do not end.
    #[error("the server redirects more than five times")]
    TooManyRedirects,
    /// A token cannot stand in a header.
    #[error("the token holds characters that no token has, such as a line break")]
    UnusableToken,
}

const fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Name => ": its name has no address",
        Stage::Connect => "",
        Stage::Proxy => " through the proxy",
        Stage::Tls => " securely: its certificate was not accepted",
    }
}

impl HttpError {
    /// Sorts an error of the library.
    pub(super) fn of(host: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let host = host.to_owned();
        if error.is_builder() {
            return Self::Setup { source: Box::new(error) };
        }
        // The layers of the libraries say that something failed; the lowest one says what.
        let source = root(&error).into();
        if !error.is_connect() {
            return Self::Broken { host, source };
        }
        let stage = if error.is_dns() { Stage::Name } else { stage_of(&error) };
        Self::Unreachable { host, stage, source }
    }

    /// Whether the server may have acted on the call.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        match self {
            Self::Setup { .. }
            | Self::Proxy { .. }
            | Self::Certificates { .. }
            | Self::Unreachable { .. }
            | Self::UnusableToken
            // A server that redirects has not acted.
            | Self::Redirect { .. }
            | Self::TooManyRedirects => Sent::No,
            Self::TimedOut { sent, .. } => *sent,
            Self::Broken { .. } | Self::TooLarge { .. } => Sent::Perhaps,
        }
    }

    /// Whether the same call may fare better a moment later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { stage, .. } => match stage {
                Stage::Name | Stage::Connect | Stage::Proxy => true,
                Stage::Tls => false,
            },
            Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Setup { .. }
            | Self::Proxy { .. }
            | Self::Certificates { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. }
            | Self::TooManyRedirects
            | Self::UnusableToken => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Setup { .. } => {
                "check the trust store of the operating system (the package ca-certificates)"
            }
            Self::Proxy { .. } => "set it to an address such as http://proxy.example.com:3128, or unset it",
            Self::Certificates { .. } => {
                "name a file or folder with certificates in PEM, or unset the variable"
            }
            Self::Unreachable { stage, .. } => match stage {
                Stage::Name => "check GITHUB_API_URL, the name server and, behind a proxy, HTTPS_PROXY",
                Stage::Connect => {
                    "the administrator of the runner has to allow outgoing HTTPS to it, or to set HTTPS_PROXY"
                }
                Stage::Proxy => {
                    "the administrator of the runner has to check HTTPS_PROXY, its user and password, and NO_PROXY"
                }
                Stage::Tls => {
                    "the administrator of the runner has to add the certificate authority to the operating \
                     system's trust store, or to name its file in SSL_CERT_FILE"
                }
            },
            Self::TimedOut { .. } | Self::Broken { .. } => {
                "try again later; if it lasts, look at the server's status page and at proxies on the way"
            }
            Self::TooLarge { .. } | Self::Redirect { .. } | Self::TooManyRedirects => {
                "check that GITHUB_API_URL is the API of a GitHub server"
            }
            Self::UnusableToken => "set the token again, as one line",
        }
    }
}

/// Where a connection broke, by what the libraries say: neither has types for it that can be reached from here.
fn stage_of(error: &(dyn Error + 'static)) -> Stage {
    let texts = chain(error).to_ascii_lowercase();
    if ["certificate", "handshake", "tls", "unknownissuer"].iter().any(|word| texts.contains(word)) {
        Stage::Tls
    } else if ["tunnel", "proxy"].iter().any(|word| texts.contains(word)) {
        Stage::Proxy
    } else {
        Stage::Connect
    }
}

/// The text of the lowest error.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut lowest = error;
    while let Some(below) = lowest.source() {
        lowest = below;
    }
    lowest.to_string()
}

/// An error and everything under it, in one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let further = error.to_string();
        // Some libraries repeat what is under them in their own text.
        if !text.contains(&further) {
            text.push_str(": ");
            text.push_str(&further);
        }
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let inner = std::io::Error::other("certificate expired");
        let outer = HttpError::Broken { host: "h".to_owned(), source: Box::new(inner) };
        assert_eq!(
            chain(&outer),
            "the connection to h broke before the answer was complete: certificate expired"
        );
        assert_eq!(stage_of(&outer), Stage::Tls);
    }
}
