//! What a walk has left, and why.

use std::fmt;

use nix::errno::Errno;

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its path, with everything escaped that could be taken for something else.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A link, wherever it leads.
    SymbolicLink,
    /// A FIFO, a socket or a device.
    Special(&'static str),
    /// It has further names, which could be outside.
    HardLink(u64),
    /// Its name is no text, or has characters that archives and terminals read in their own way.
    Name,
    /// Another file system is mounted there.
    OtherFileSystem,
    /// Folders are nested too deep.
    Depth(usize),
    /// It would be one file too many; the walk ends.
    Files(u32),
    /// It would be more bytes than allowed; the walk ends.
    Bytes(u64),
    /// There are more entries than are looked at; the walk ends.
    Entries(usize),
    /// The kernel said no.
    Unreadable(Errno),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SymbolicLink => f.write_str("is a symbolic link"),
            Self::Special(what) => write!(f, "is {what}"),
            Self::HardLink(names) => write!(f, "has {names} hard links"),
            Self::Name => f.write_str("has a name that is not plain text"),
            Self::OtherFileSystem => f.write_str("is on another file system"),
            Self::Depth(limit) => write!(f, "is nested deeper than {limit} folders"),
            Self::Files(limit) => write!(f, "would be more than {limit} files"),
            Self::Bytes(limit) => write!(f, "would make more than {limit} bytes"),
            Self::Entries(limit) => write!(f, "comes after {limit} entries"),
            Self::Unreadable(errno) => write!(f, "cannot be read: {}", errno.desc()),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.reason)
    }
}

impl Reason {
    pub(super) const fn of(errno: Errno) -> Self {
        match errno {
            Errno::ELOOP => Self::SymbolicLink,
            Errno::EXDEV => Self::OtherFileSystem,
            Errno::ENXIO => Self::Special("not a regular file"),
            errno => Self::Unreadable(errno),
        }
    }
}
