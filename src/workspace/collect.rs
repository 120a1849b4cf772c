//! Collecting files that a script has left: artifacts and reports, out of a folder in which nothing can be believed.
//!
//! Every name is looked up beneath a folder that is held open, never by a path from the root; links are not followed, other
//! file systems not entered, and a file is handed on opened, so that what was checked is what is read. What is not taken is
//! named. It must not know what the files are for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};

mod note;
mod wanted;

pub use note::{Note, Reason};
pub use wanted::{Hidden, Wanted};

/// Most entries that a walk looks at, in all folders together.
const MAX_ENTRIES: usize = 1_000_000;

/// Bytes that are copied in one go.
const PIECE: usize = 256 << 10;

/// Most notes that are kept word for word.
const MAX_NOTES: usize = 100;

/// How much is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files.
    pub files: u32,
    /// Folders within each other.
    pub depth: usize,
}

/// A file, opened for reading.
#[derive(Debug)]
pub struct Collected {
    /// Its path below the folder: UTF-8, without control characters and backslashes.
    pub path: String,
    /// The file. A process that is still alive could make it longer: read no more than `size`.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// Its permissions, without the bits that change the user.
    pub mode: u32,
}

/// A symbolic link, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its path below the folder.
    pub path: String,
    /// What it says: text without control characters and backslashes, and nothing that could be believed.
    pub target: String,
}

/// A walk over a folder, file by file.
#[derive(Debug)]
pub struct Walk<'a> {
    wanted: &'a Wanted,
    caps: Caps,
    folders: Vec<Folder>,
    entries: usize,
    bytes: u64,
    files: u32,
    over: bool,
    notes: Vec<Note>,
    unnamed: usize,
    links: Vec<Link>,
}

/// A folder that the walk is in.
#[derive(Debug)]
struct Folder {
    descriptor: OwnedFd,
    path: String,
    left: VecDeque<(Vec<u8>, Option<Type>)>,
}

impl<'a> Walk<'a> {
    /// Begins at `root`, which the caller trusts to be the right folder.
    ///
    /// # Errors
    /// Returns the kernel's word when it cannot be read.
    pub fn new(root: &impl AsFd, wanted: &'a Wanted, caps: Caps) -> Result<Self, Errno> {
        let mut walk = Self {
            wanted,
            caps,
            folders: Vec::new(),
            entries: 0,
            bytes: 0,
            files: 0,
            over: false,
            notes: Vec::new(),
            unnamed: 0,
            links: Vec::new(),
        };
        walk.enter(root, b".", String::new())?;
        Ok(walk)
    }

    /// What was not taken, at most a hundred, and how many there were beyond.
    #[must_use]
    pub fn notes(&self) -> (&[Note], usize) {
        (&self.notes, self.unnamed)
    }

    /// The links that were met, where they are wanted.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether a cap has ended the walk early.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.over
    }

    fn note(&mut self, folder: &str, name: &[u8], reason: Reason) {
        if self.notes.len() == MAX_NOTES {
            self.unnamed += 1;
            return;
        }
        self.notes.push(Note { path: joined(folder, &escaped(name)), reason });
    }

    fn end(&mut self, folder: &str, name: &[u8], reason: Reason) {
        self.over = true;
        self.folders.clear();
        self.note(folder, name, reason);
    }

    fn enter(&mut self, at: &impl AsFd, name: &[u8], path: String) -> Result<(), Errno> {
        let descriptor = open_beneath(at, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut listing = Dir::from_fd(descriptor.try_clone().map_err(|_| Errno::EMFILE)?)?;
        let mut left = Vec::new();
        for entry in listing.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || !self.wanted.looks_at(name) {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.end(&path, name, Reason::Entries(MAX_ENTRIES));
                return Ok(());
            }
            left.push((name.to_vec(), entry.file_type()));
        }
        // The order of the file system is nobody's.
        left.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.folders.push(Folder { descriptor, path, left: left.into() });
        Ok(())
    }

    /// Takes the entry, or says why not.
    fn visit(&mut self, folder: &Folder, name: &[u8], kind: Option<Type>) -> Option<Collected> {
        let text = std::str::from_utf8(name).ok().filter(|text| is_plain(text));
        let path = text.map(|text| joined(&folder.path, text));
        // A name that no pattern can spell could still be below a folder that one names.
        let shown = path.clone().unwrap_or_else(|| joined(&folder.path, &String::from_utf8_lossy(name)));
        if kind == Some(Type::Directory) {
            if !self.wanted.enters(&shown) {
                return None;
            }
        } else if !self.wanted.takes(&shown) {
            return None;
        }
        let Some(path) = path else {
            self.note(&folder.path, name, Reason::Name);
            return None;
        };
        let result = match kind {
            Some(Type::Directory) if self.folders.len() >= self.caps.depth => {
                Err(Reason::Depth(self.caps.depth))
            }
            Some(Type::Directory) => {
                self.enter(&folder.descriptor, name, path).map(|()| None).map_err(Reason::of)
            }
            Some(Type::File) | None => self.take(folder, name, path).map(Some),
            Some(Type::Symlink) => self.link(folder, name, path).map(|()| None),
            Some(Type::Fifo) => Err(Reason::Special("a FIFO")),
            Some(Type::Socket) => Err(Reason::Special("a socket")),
            Some(Type::CharacterDevice | Type::BlockDevice) => Err(Reason::Special("a device")),
        };
        match result {
            Ok(taken) => taken,
            Err(reason @ (Reason::Files(_) | Reason::Bytes(_))) => {
                self.end(&folder.path, name, reason);
                None
            }
            Err(reason) => {
                self.note(&folder.path, name, reason);
                None
            }
        }
    }

    /// Notes a link as it is written, where links are wanted. Where it leads is not looked at.
    fn link(&mut self, folder: &Folder, name: &[u8], path: String) -> Result<(), Reason> {
        if !self.wanted.links() {
            return Err(Reason::SymbolicLink);
        }
        if self.files == self.caps.files {
            return Err(Reason::Files(self.caps.files));
        }
        let target = readlinkat(&folder.descriptor, name).map_err(Reason::of)?;
        let target =
            target.into_string().ok().filter(|target| is_plain(target)).ok_or(Reason::SymbolicLink)?;
        self.files += 1;
        self.links.push(Link { path, target });
        Ok(())
    }

    fn take(&mut self, folder: &Folder, name: &[u8], path: String) -> Result<Collected, Reason> {
        // Without O_NONBLOCK the open of a FIFO that has just been put there would wait for its other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::from(open_beneath(&folder.descriptor, name, flags).map_err(Reason::of)?);
        let found = file.metadata().map_err(|error| Reason::Unreadable(errno_of(&error)))?;
        if !found.is_file() {
            return Err(Reason::Special("not a regular file"));
        }
        if found.nlink() != 1 {
            return Err(Reason::HardLink(found.nlink()));
        }
        if self.files == self.caps.files {
            return Err(Reason::Files(self.caps.files));
        }
        let bytes = self.bytes.checked_add(found.size()).filter(|&bytes| bytes <= self.caps.bytes);
        self.bytes = bytes.ok_or(Reason::Bytes(self.caps.bytes))?;
        self.files += 1;
        Ok(Collected { path, file, size: found.size(), mode: found.mode() & 0o777 })
    }
}

impl Iterator for Walk<'_> {
    type Item = Collected;

    fn next(&mut self) -> Option<Collected> {
        while let Some(mut folder) = self.folders.pop() {
            let Some((name, kind)) = folder.left.pop_front() else { continue };
            // The folder stays below whatever its entry adds, and comes back when that is done.
            let kind = kind.or_else(|| kind_of(&folder.descriptor, &name));
            let depth = self.folders.len();
            let taken = self.visit(&folder, &name, kind);
            if !self.over {
                self.folders.insert(depth, folder);
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }
}

/// Copies `collected` to `target`, which must be new and out of reach of whoever made the files. Every piece is shown to
/// `look` before it is written, so that what is looked at is what is kept.
///
/// # Errors
/// Fails when the copy or `look` does, or when the file has become shorter than it was.
pub fn keep(
    collected: Collected,
    target: &Path,
    mut look: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut copy = File::options().write(true).create_new(true).open(target)?;
    let mut left = collected.size;
    let mut source = collected.file.take(left);
    let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE).max(1))];
    while left > 0 {
        let read = match source.read(&mut piece) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it became shorter while it was read",
                ));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        look(&piece[..read])?;
        copy.write_all(&piece[..read])?;
        left -= read as u64;
    }
    Ok(())
}

fn open_beneath(at: &impl AsFd, name: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    openat2(at.as_fd(), name, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve))
}

/// What `name` is, for file systems whose listing does not say. Nothing when it is gone or a plain file.
fn kind_of(at: &impl AsFd, name: &[u8]) -> Option<Type> {
    use nix::sys::stat::{SFlag, fstat};
    let found = open_beneath(at, name, OFlag::O_PATH | OFlag::O_NOFOLLOW).and_then(fstat);
    let mode = match found {
        Ok(found) => SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT,
        Err(Errno::ELOOP) => SFlag::S_IFLNK,
        Err(_) => return None,
    };
    [
        (SFlag::S_IFDIR, Type::Directory),
        (SFlag::S_IFLNK, Type::Symlink),
        (SFlag::S_IFIFO, Type::Fifo),
        (SFlag::S_IFSOCK, Type::Socket),
        (SFlag::S_IFCHR, Type::CharacterDevice),
        (SFlag::S_IFBLK, Type::BlockDevice),
    ]
    .into_iter()
    .find_map(|(flag, kind)| (mode == flag).then_some(kind))
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A backslash is a separator to whoever unpacks an archive elsewhere; control characters move cursors.
fn is_plain(name: &str) -> bool {
    !name.contains(|c: char| c.is_control() || c == '\\')
}

fn escaped(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
