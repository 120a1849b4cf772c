//! What the helper is told, as bytes in a sealed memfd: everything resolved, nothing left to decide.
//!
//! A list of fields with lengths, not JSON: arguments, variables and paths are bytes that need not be UTF-8. It must not
//! know how any of it is done.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use crate::sandbox::landlock::{Access, PathRule, UnixSockets};
use crate::sandbox::spec::codec::{Blob, Field, fields, words};

pub mod codec;

/// First bytes of every spec. The number changes with the form, although both ends are always the same binary.
const MAGIC: &[u8; 4] = b"RGS2";

/// What the helper is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The program, as an absolute path.
    pub program: CString,
    /// Its arguments, the first one being its name.
    pub argv: Vec<CString>,
    /// Its whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub cwd: CString,
    /// What happens when everything is set up.
    pub ending: Ending,
    /// How it is confined; absent: not at all.
    pub confined: Option<Confined>,
}
fields!(Spec {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    ending: Ending,
    confined: Option<Confined>,
});

/// What happens when everything is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The program is executed.
    Execute,
    /// Nothing: it was only to be seen whether it can be.
    Trial,
}
words!(Ending: Execute, Trial);

/// What confines a payload in either tier, in the order in which it comes into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confined {
    /// Namespaces and the file system in them; absent in the tier that has none.
    pub world: Option<World>,
    /// Resource limits, in the kernel's units.
    pub limits: Vec<(Limit, u64)>,
    /// Landlock; absent where the kernel has none and namespaces do.
    pub landlock: Option<Landlock>,
    /// A path that exists on the host and must not open.
    pub tripwire: Option<CString>,
    /// The system call filter, as `seccomp::Program::to_bytes` gives it.
    pub filter: Blob,
}
fields!(Confined {
    world: Option<World>,
    limits: Vec<(Limit, u64)>,
    landlock: Option<Landlock>,
    tripwire: Option<CString>,
    filter: Blob,
});

/// A resource that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of a core dump.
    Core,
    /// Open files.
    Files,
    /// Bytes that may not be swapped out.
    LockedMemory,
    /// Bytes in message queues.
    MessageQueues,
    /// Bytes of data of one process.
    Data,
    /// Processor time of one process, in seconds.
    Cpu,
    /// Processes and threads.
    Processes,
}
words!(Limit: Core, Files, LockedMemory, MessageQueues, Data, Cpu, Processes);

/// The rules of Landlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// What may be opened, as paths that the payload sees.
    pub paths: Vec<PathRule>,
    /// TCP ports that may be connected to; absent: any.
    pub ports: Option<Vec<u16>>,
    /// Unix sockets of others.
    pub sockets: UnixSockets,
}
fields!(Landlock { paths: Vec<PathRule>, ports: Option<Vec<u16>>, sockets: UnixSockets });
fields!(PathRule { path: CString, access: Access });
words!(Access: Read, Execute, Write, Device, List);
words!(UnixSockets: Own, Any);

/// A world of its own for the payload: namespaces, and a file system that holds exactly this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Who the payload is outside.
    pub ids: Ids,
    /// The network.
    pub network: Network,
    /// Private writable space, in bytes.
    pub scratch: u64,
    /// Files in it.
    pub inodes: u64,
    /// Symbolic links: path, and where it leads.
    pub links: Vec<(CString, CString)>,
    /// Small files that are copied, not bound: path, content.
    pub files: Vec<(CString, Blob)>,
    /// What is bound from the host, outermost first.
    pub binds: Vec<Bind>,
    /// What is hidden when everything is bound: a folder, and the name in it.
    pub masks: Vec<(CString, CString)>,
    /// What is hidden in procfs.
    pub proc: Vec<(CString, ProcPart)>,
    /// The payload's own files, in its folder for them: name, content.
    pub private: Vec<(CString, Blob)>,
}
fields!(World {
    ids: Ids,
    network: Network,
    scratch: u64,
    inodes: u64,
    links: Vec<(CString, CString)>,
    files: Vec<(CString, Blob)>,
    binds: Vec<Bind>,
    masks: Vec<(CString, CString)>,
    proc: Vec<(CString, ProcPart)>,
    private: Vec<(CString, Blob)>,
});

/// Who the payload is outside. Inside it is user and group 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Its user.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Whose rights the set-up has.
    pub kind: IdKind,
}
fields!(Ids { user: u32, group: u32, kind: IdKind });

/// Whose rights the set-up has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// The payload's own: the user who started us.
    Own,
    /// Root's; the payload is a user whom nobody else uses, so what it sees of root's files is mapped to that user.
    Dedicated,
}
words!(IdKind: Own, Dedicated);

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A namespace with nothing but a loopback interface.
    Own,
    /// The host's.
    Host,
}
words!(Network: Own, Host);

/// Something of the host that the payload sees at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is, without symbolic links.
    pub path: CString,
    /// What it is.
    pub kind: BindKind,
}
fields!(Bind { path: CString, kind: BindKind });

/// What a bind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// Part of the operating system: readable for everybody anyway.
    System,
    /// Readable.
    Read,
    /// Readable and writable.
    Write,
}
words!(BindKind: System, Read, Write);

/// What becomes of a part of procfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcPart {
    /// An empty folder lies over it.
    HiddenFolder,
    /// An empty file lies over it.
    HiddenFile,
}
words!(ProcPart: HiddenFolder, HiddenFile);

/// Why bytes are not a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They do not begin as a spec does.
    #[error("not a launch spec")]
    Magic,
    /// They end in the middle, or go on after the end.
    #[error("launch spec of the wrong length")]
    Length,
    /// A text holds a NUL byte.
    #[error("launch spec with a NUL byte in a text")]
    Nul,
    /// A number stands for nothing.
    #[error("launch spec with an unknown value")]
    Value,
}

/// A text that cannot be handed to a program, because it holds a NUL byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds a NUL byte")]
pub struct NulByte {
    /// Which text, for people.
    pub what: String,
}

/// A C string of `text`, or an error that names it as `what`.
pub(crate) fn c_string(text: OsString, what: impl FnOnce() -> String) -> Result<CString, NulByte> {
    CString::new(text.into_vec()).map_err(|_| NulByte { what: what() })
}

impl Spec {
    /// The payload's own world, where it has one.
    pub(crate) fn world(&self) -> Option<&World> {
        self.confined.as_ref().and_then(|confined| confined.world.as_ref())
    }

    /// Longest spec that is read back: the kernel refuses arguments and environments well below it.
    pub(crate) const MAX_BYTES: usize = 64 << 20;

    /// The spec as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        self.put(&mut bytes);
        bytes
    }

    /// Reads a spec back.
    ///
    /// # Errors
    /// Refuses everything that [`Spec::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(DecodeError::Length);
        }
        let mut rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(DecodeError::Magic)?;
        let spec = Self::take(&mut rest)?;
        if rest.is_empty() { Ok(spec) } else { Err(DecodeError::Length) }
    }
}

#[cfg(test)]
mod tests;
