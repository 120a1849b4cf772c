//! Why an artifact was not uploaded, and who has to do what about it.

use crate::http::error::HttpError;

/// Longest text of a server that is repeated, in characters.
const MAX_TEXT: usize = 300;

/// Why an artifact was not uploaded.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A variable that says where the service is holds no usable address.
    #[error("{name} is no usable address: {reason}")]
    Address {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Variables of the job are missing.
    #[error("{name} is not set")]
    Absent {
        /// The first of them.
        name: &'static str,
    },
    /// The job's token does not say which run it is for.
    #[error("ACTIONS_RUNTIME_TOKEN is no token of a job: {reason}")]
    Token {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is one of this name.
    #[error("the workflow run has an artifact of this name already")]
    Exists,
    /// The account has no room.
    #[error("the account's storage for artifacts is used up: {0}")]
    Quota(String),
    /// The job's token is not accepted.
    #[error("the job's token is not accepted any more (status {status}): {said}")]
    Refused {
        /// The status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// The server does not do what was asked for.
    #[error("the artifact service refuses it with status {status}: {said}")]
    Rejected {
        /// The status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// The server has had faults for too long.
    #[error("the artifact service is not available (status {status}): {said}")]
    Unavailable {
        /// The status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// The server cannot be reached.
    #[error("the artifact service cannot be reached")]
    Unreachable(#[source] HttpError),
    /// The answer is not what the service is known to answer.
    #[error("the answer of the artifact service is not understood: {0}")]
    Unexpected(String),
    /// The storage refuses a piece.
    #[error("the storage refuses the archive with status {status}: {said}")]
    Storage {
        /// The status.
        status: u16,
        /// Its code or its words.
        said: String,
    },
    /// It took too long.
    #[error("the time for the upload was up")]
    TimeUp,
    /// The archive could not be made.
    #[error("the archive could not be made")]
    NoArchive,
}

impl ResultsError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Absent { .. } | Self::Token { .. } => {
                "pass the job's variables to this step, as docs/artifacts.md shows, or let a later step upload \
                 the files with --artifacts stage"
            }
            Self::Exists => {
                "give it another name, such as one with the leg of the matrix in it, or write `overwrite: true`"
            }
            Self::Quota(_) => {
                "delete artifacts, shorten `retention-days`, or ask whoever pays for the account; GitHub counts \
                 anew every 6 to 12 hours"
            }
            Self::Refused { .. } => "upload inside of the job: its token ends with it",
            Self::Rejected { .. } | Self::Unexpected(_) => {
                "the service may have changed: let a later step upload the files with --artifacts stage, and \
                 please report it"
            }
            Self::Unavailable { .. } | Self::TimeUp => {
                "try again later; if it lasts, look at the server's status page"
            }
            Self::Unreachable(error) => error.remedy(),
            Self::Storage { status: 403, .. } => {
                "the signature of the upload is too old or the clock of the host is wrong: run the job again"
            }
            Self::Storage { .. } => {
                "look at proxies on the way to the storage, which is another host than GitHub's"
            }
            Self::NoArchive => "look at the folder of the record, and at the room on its disk",
        }
    }

    /// The error and what is under it, in one line.
    #[must_use]
    pub fn full_text(&self) -> String {
        crate::http::error::chain(self)
    }
}

/// A server's words, short and on one line.
pub(super) fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "it said nothing".to_owned() } else { text.chars().take(MAX_TEXT).collect() }
}
