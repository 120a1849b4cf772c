//! The file system of a payload with namespaces: built from descriptors, in the first process of the new namespaces.
//!
//! It holds what the spec says and nothing else. Everything is resolved before anything of the payload runs, links in
//! what a repository holds are never followed, and the host's files are let go of at the end. It must not know why
//! something is visible.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchdir, fchownat, symlinkat};

use crate::sandbox::host;
use crate::sandbox::landlock;
use crate::sandbox::line;
use crate::sandbox::mount::{self, Attributes};
use crate::sandbox::owners::Owners;
use crate::sandbox::spec::{Bind, BindKind, IdKind, ProcPart, World};
use crate::sandbox::status::{Call, Proc, SetupError};

/// User and group of a payload in its own namespace.
pub(crate) const PAYLOAD: u32 = 1000;

/// A world that has become the root of all files. The host's still lie over it, and `/..` leads there: no path may be followed
/// that somebody else has a say in.
pub(crate) struct Entered {
    root: OwnedFd,
    built: Built,
}

impl Entered {
    /// Lets go of the host's files. Nothing of the payload may run before. The kernel waits for all processors here.
    pub(crate) fn seal(self) -> Result<Built, SetupError> {
        let Self { root, built } = self;
        mount::let_go_of_old_root()
            .and_then(|()| mount::restrict_one(&root, Attributes::READ_ONLY.and(Attributes::PLAIN)))
            .map_err(at(Call::Root, c"/"))?;
        Ok(built)
    }
}

/// What there is when the world has been built.
pub(crate) struct Built {
    /// The folder of the payload's own files.
    pub(crate) files: OwnedFd,
    /// Its procfs.
    pub(crate) proc: Proc,
}

fn at(call: Call, path: &CStr) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::at(call, path.to_bytes(), errno)
}

/// Copies of everything that is bound, each with its attributes. With root's rights the executor does this, outside, where they
/// count; else the first process, in the new namespaces, where mounts may be copied.
pub(crate) fn sources(world: &World, owners: &mut Owners) -> Result<Vec<OwnedFd>, SetupError> {
    world.binds.iter().map(|bind| source(bind, world, owners)).collect()
}

fn source(bind: &Bind, world: &World, owners: &mut Owners) -> Result<OwnedFd, SetupError> {
    let opened = || at(Call::Source, &bind.path);
    let tree = match bind.kind {
        BindKind::System => mount::copy(&bind.path),
        BindKind::Read | BindKind::Write => landlock::open(&bind.path).and_then(mount::copy_of),
    };
    let tree = tree.map_err(opened())?;
    let attributes = match bind.kind {
        BindKind::System | BindKind::Read => Attributes::READ_ONLY.and(Attributes::PLAIN),
        BindKind::Write => Attributes::PLAIN,
    };
    mount::restrict(&tree, attributes).map_err(at(Call::Mount, &bind.path))?;
    match (world.ids.kind, bind.kind) {
        (IdKind::Own, _) | (IdKind::Dedicated, BindKind::System) => {}
        // What others cannot read stays unreadable then: less than what was asked for, never more.
        (IdKind::Dedicated, BindKind::Read) => drop(owners.map(&tree)),
        (IdKind::Dedicated, BindKind::Write) => owners.map(&tree).map_err(at(Call::MapOwner, &bind.path))?,
    }
    Ok(tree)
}

/// The part of a world that is the same for all payloads, made before it is known which one it will be.
pub(crate) struct Stage {
    root: OwnedFd,
    empty: Empty,
    proc: Proc,
}

impl Stage {
    /// Makes it. Nothing below the host's /proc can be opened by its path any more then: the new root lies over it.
    pub(crate) fn prepare(kind: IdKind, devices: Devices) -> Result<Self, SetupError> {
        let (procfs, proc) = procfs(kind)?;
        let root = mount::create(c"tmpfs", &[(c"mode", c"0755")], Attributes::PLAIN)
            .map_err(at(Call::Tmpfs, c"/"))?;
        // It must lie somewhere to become the root.
        let host =
            open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(at(Call::Root, c"/"))?;
        mount::attach(&root, &host, c"proc").map_err(at(Call::Root, c"/proc"))?;
        let tree = Tree { root: root.as_fd(), ids: kind };
        tree.folders()?;
        for (path, device) in devices.0 {
            tree.file(&path, b"", 0o666)?;
            mount::attach(device, &root, relative(&path)).map_err(at(Call::Mount, &path))?;
        }
        mount::attach(&procfs, &root, c"proc").map_err(at(Call::Mount, c"/proc"))?;
        let empty = Empty::new(&tree)?;
        Ok(Self { root, empty, proc })
    }

    /// Builds the rest of `world` and makes it the root of all files. What is bound comes by `line`, where only root's rights
    /// outside can take it; nothing comes of it when that does not.
    pub(crate) fn build(self, world: &World, line: &OwnedFd) -> Result<Option<Entered>, SetupError> {
        let Self { root, empty, proc } = self;
        let tree = Tree { root: root.as_fd(), ids: world.ids.kind };
        let files = tree.scratch(world)?;
        tree.contents(world)?;
        let sources = match world.ids.kind {
            IdKind::Own => sources(world, &mut Owners::new(world.ids))?,
            IdKind::Dedicated => match line::receive_all(line, world.binds.len()) {
                Ok(Some(sources)) => sources,
                Ok(None) => return Ok(None),
                Err(errno) => return Err(SetupError::new(Call::Source, errno)),
            },
        };
        for (bind, source) in world.binds.iter().zip(&sources) {
            tree.bind(bind, source)?;
        }
        drop(sources);
        tree.masks(world, &empty)?;
        fchdir(&root).and_then(|()| mount::enter_root()).map_err(at(Call::Root, c"/"))?;
        Ok(Some(Entered { root, built: Built { files, proc } }))
    }
}

/// Copies of the device nodes that every payload has.
pub(crate) struct Devices(Vec<(CString, OwnedFd)>);

impl Devices {
    /// Takes them.
    pub(crate) fn of_the_host() -> Result<Self, SetupError> {
        let mut devices = Vec::with_capacity(6);
        for path in host::devices() {
            let Ok(path) = CString::new(path.into_os_string().into_encoded_bytes()) else { continue };
            let tree = mount::copy(&path).map_err(at(Call::Source, &path))?;
            mount::restrict(&tree, Attributes::NO_SUID.and(Attributes::NO_EXECUTION))
                .map_err(at(Call::Mount, &path))?;
            devices.push((path, tree));
        }
        Ok(Self(devices))
    }
}

/// A new procfs, or the host's where that is refused. Never the host's for root: what belongs to root there acts on it.
fn procfs(kind: IdKind) -> Result<(OwnedFd, Proc), SetupError> {
    // Nothing in it needs to be written, and much of it acts on the host.
    let attributes = Attributes::READ_ONLY.and(Attributes::PLAIN).and(Attributes::NO_EXECUTION);
    match (mount::create(c"proc", &[], attributes), kind) {
        (Ok(fresh), _) => Ok((fresh, Proc::Fresh)),
        (Err(Errno::EPERM), IdKind::Own) => {
            let bound = mount::copy(c"/proc").and_then(|bound| {
                mount::restrict(&bound, attributes)?;
                Ok(bound)
            });
            bound.map(|bound| (bound, Proc::Bound)).map_err(at(Call::Proc, c"/proc"))
        }
        (Err(errno), _) => Err(SetupError::at(Call::Proc, b"/proc", errno)),
    }
}

/// An absolute path without its first slash, for calls that start at a folder.
fn relative(path: &CStr) -> &CStr {
    path.to_bytes_with_nul()
        .strip_prefix(b"/")
        .and_then(|rest| CStr::from_bytes_with_nul(rest).ok())
        .unwrap_or(path)
}

/// The new root while it is being built.
struct Tree<'a> {
    root: BorrowedFd<'a>,
    ids: IdKind,
}

impl Tree<'_> {
    fn folder(&self, path: &CStr, mode: u32) -> Result<(), SetupError> {
        mkdirat(self.root, path, Mode::from_bits_truncate(mode)).map_err(at(Call::Tmpfs, path))
    }

    /// Folders that every world has.
    fn folders(&self) -> Result<(), SetupError> {
        for path in
            [c"proc", c"dev", c"dev/shm", c"etc", c"tmp", c"run", c"run/rungate", c"home", c"home/step"]
        {
            self.folder(path, 0o755)?;
        }
        let links = [
            (c"/proc/self/fd", c"dev/fd"),
            (c"/proc/self/fd/0", c"dev/stdin"),
            (c"/proc/self/fd/1", c"dev/stdout"),
            (c"/proc/self/fd/2", c"dev/stderr"),
        ];
        for (target, path) in links {
            symlinkat(target, self.root, path).map_err(at(Call::Tmpfs, path))?;
        }
        Ok(())
    }

    /// Links and copied files.
    fn contents(&self, world: &World) -> Result<(), SetupError> {
        for (path, target) in &world.links {
            symlinkat(target.as_c_str(), self.root, relative(path)).map_err(at(Call::Tmpfs, path))?;
        }
        for (path, bytes) in &world.files {
            self.file(path, &bytes.0, 0o444)?;
        }
        Ok(())
    }

    /// A file in a folder that is there.
    fn file(&self, path: &CStr, bytes: &[u8], mode: u32) -> Result<(), SetupError> {
        write(self.root, relative(path), bytes, mode).map_err(at(Call::Tmpfs, path))
    }

    /// The private writable space: one file system with one limit, seen at four places.
    fn scratch(&self, world: &World) -> Result<OwnedFd, SetupError> {
        let number = |value: u64| CString::new(value.to_string()).unwrap_or_default();
        // Both are rounded up to whole pages by the kernel, and 0 would mean no limit.
        let (size, inodes) = (number(world.scratch.max(4096)), number(world.inodes.max(16)));
        let options = [(c"mode", c"0755"), (c"size", size.as_c_str()), (c"nr_inodes", inodes.as_c_str())];
        let scratch =
            mount::create(c"tmpfs", &options, Attributes::PLAIN).map_err(at(Call::Tmpfs, c"/tmp"))?;
        // Only what is attached can be copied in part. Its own place is covered by the last one.
        mount::attach(&scratch, self.root, c"tmp").map_err(at(Call::Mount, c"/tmp"))?;
        for (name, mode) in [(c"files", 0o700), (c"home", 0o700), (c"shm", 0o1777), (c"tmp", 0o1777)] {
            let made = mkdirat(&scratch, name, Mode::from_bits_truncate(mode))
                // The mask of this process does not count.
                .and_then(|()| {
                    fchmodat(&scratch, name, Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
                })
                .and_then(|()| self.give(&scratch, name));
            made.map_err(at(Call::Tmpfs, name))?;
        }
        let folder = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let files =
            openat(&scratch, c"files", folder, Mode::empty()).map_err(at(Call::Tmpfs, c"/run/rungate"))?;
        for (name, bytes) in &world.private {
            let written = write(&files, name, &bytes.0, 0o600).and_then(|()| self.give(&files, name));
            written.map_err(at(Call::PrivateFiles, name))?;
        }
        let places =
            [(c"files", c"run/rungate"), (c"home", c"home/step"), (c"shm", c"dev/shm"), (c"tmp", c"tmp")];
        for (name, place) in places {
            let part = mount::copy_in(&scratch, name).map_err(at(Call::Mount, place))?;
            mount::attach(&part, self.root, place).map_err(at(Call::Mount, place))?;
        }
        Ok(files)
    }

    /// Makes the payload the owner, where the set-up is done by somebody else.
    fn give(&self, folder: impl AsFd, name: &CStr) -> Result<(), Errno> {
        match self.ids {
            IdKind::Own => Ok(()),
            IdKind::Dedicated => {
                let (user, group) = (Uid::from_raw(PAYLOAD), Gid::from_raw(PAYLOAD));
                fchownat(folder, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    fn bind(&self, bind: &Bind, source: &OwnedFd) -> Result<(), SetupError> {
        let bound = match bind.kind {
            // Directly below a folder that was made here, and before anything that somebody else has filled.
            BindKind::System => self.new_place(relative(&bind.path), source),
            BindKind::Read | BindKind::Write => {
                self.place(bind, source).and_then(|place| mount::attach(source, place, c""))
            }
        };
        bound.map_err(at(Call::Mount, &bind.path))
    }

    /// Attaches `source` where nothing is yet.
    fn new_place(&self, path: &CStr, source: &OwnedFd) -> Result<(), Errno> {
        if is_folder(source)? {
            mkdirat(self.root, path, Mode::from_bits_truncate(0o755))?;
        } else {
            write(self.root, path, b"", 0o444)?;
        }
        mount::attach(source, self.root, path)
    }

    /// The place where `source` is to be attached, made where it is missing.
    fn place(&self, bind: &Bind, source: &OwnedFd) -> Result<OwnedFd, Errno> {
        let path = relative(&bind.path);
        match mount::hold(self.root, path) {
            Err(Errno::ENOENT) => {}
            found => return found,
        }
        let mut folder: Option<OwnedFd> = None;
        let names: Vec<&[u8]> =
            path.to_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        for (index, name) in names.iter().enumerate() {
            let name = CString::new(*name).map_err(|_| Errno::EINVAL)?;
            let parent = folder.as_ref().map_or(self.root, AsFd::as_fd);
            // A name of one part leads nowhere else, and what is found instead of a folder is refused by `hold`.
            let made = if index + 1 == names.len() && !is_folder(source)? {
                write(parent, &name, b"", 0o444)
            } else {
                mkdirat(parent, name.as_c_str(), Mode::from_bits_truncate(0o755))
            };
            match made {
                Ok(()) | Err(Errno::EEXIST) => folder = Some(mount::hold(parent, &name)?),
                Err(errno) => return Err(errno),
            }
        }
        folder.ok_or(Errno::EINVAL)
    }

    /// Lays something empty over what is hidden.
    fn masks(&self, world: &World, empty: &Empty) -> Result<(), SetupError> {
        for (folder, name) in &world.masks {
            let failed = || at(Call::Mount, name);
            // What is not in the view needs no mask.
            let parent = match mount::hold(self.root, relative(folder)) {
                Err(Errno::ENOENT) => continue,
                held => held.map_err(failed())?,
            };
            match fstatat(&parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(failed()(errno)),
                Ok(found) => empty.cover(is_dir(found.st_mode), &parent, name).map_err(failed())?,
            }
        }
        let root = mount::hold(self.root, c"proc").map_err(at(Call::Proc, c"/proc"))?;
        for (name, part) in &world.proc {
            let done = empty.cover(*part == ProcPart::HiddenFolder, &root, name);
            done.map_err(at(Call::Proc, name))?;
        }
        Ok(())
    }
}

/// An empty folder and an empty file that nobody can write to, as mounts to lay over something.
struct Empty {
    folder: OwnedFd,
    file: OwnedFd,
}

impl Empty {
    fn new(tree: &Tree<'_>) -> Result<Self, SetupError> {
        tree.folder(c"run/empty", 0o555)?;
        tree.file(c"/run/nothing", b"", 0o444)?;
        let part = |path: &CStr| {
            let part = mount::copy_in(tree.root, path)?;
            let attributes = Attributes::READ_ONLY.and(Attributes::PLAIN).and(Attributes::NO_EXECUTION);
            mount::restrict(&part, attributes)?;
            // Only what is attached can be copied again.
            mount::attach(&part, tree.root, path)?;
            Ok(part)
        };
        let part = |path: &CStr| part(path).map_err(at(Call::Mount, path));
        Ok(Self { folder: part(c"run/empty")?, file: part(c"run/nothing")? })
    }

    fn cover(&self, is_folder: bool, parent: impl AsFd, name: &CStr) -> Result<(), Errno> {
        let cover = if is_folder { &self.folder } else { &self.file };
        mount::attach(mount::copy_of(cover)?, parent, name)
    }
}

fn write(folder: impl AsFd, name: &CStr, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(folder, name, flags, Mode::from_bits_truncate(mode))?);
    if bytes.is_empty() {
        return Ok(());
    }
    file.write_all(bytes).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

fn is_folder(descriptor: &OwnedFd) -> Result<bool, Errno> {
    Ok(is_dir(fstat(descriptor)?.st_mode))
}

fn is_dir(mode: libc::mode_t) -> bool {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}
