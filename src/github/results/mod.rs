//! The services that keep artifacts: the one of github.com and `*.ghe.com`, and the older one of GitHub Enterprise Server.
//!
//! Neither is a documented API, and both may change without notice, so that everything that is known of them stands in this
//! one room. It must not know where an archive comes from, nor what is made of an artifact.

pub mod access;
mod blob;
mod crc64;
pub mod error;
mod retry;
pub mod server;
pub mod service;
mod wire;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::id::Sha256;

/// Bytes of a piece that is sent at a time.
pub const PIECE: usize = 8 << 20;

/// Pieces that are on their way at a time.
pub const AT_ONCE: usize = 5;

/// An archive that is made while it is sent.
#[derive(Debug)]
pub struct Stream {
    /// Its pieces, each but the last of [`PIECE`] bytes. It ends early where the archive could not be made.
    pub pieces: mpsc::Receiver<Bytes>,
    /// What it came to, once its pieces are there. It is dropped where the archive could not be made.
    pub whole: oneshot::Receiver<Whole>,
}

/// What an archive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// What is to be known of an artifact to upload it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The type of its bytes.
    pub media_type: &'static str,
    /// Days that it is kept; absent: as long as the repository says.
    pub retention_days: Option<u32>,
    /// Whether one of the same name is deleted first.
    pub overwrite: bool,
}

/// An artifact that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id.
    pub id: String,
    /// What was sent.
    pub whole: Whole,
}
