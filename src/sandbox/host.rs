//! What the compiler of a launch must know of this host: looked up once, and plain data from then on.
//!
//! Nothing here is decided by a repository: only the operating system's own files are read. What a launch adds (its
//! workspace) is [`Ground`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};

use crate::sandbox::confinement::{Confinement, Tier};
use crate::sandbox::landlock;
use crate::sandbox::layout::SYSTEM;
use crate::sandbox::sockets::bound_below;
use crate::sandbox::spec::{IdKind, Ids, ProcPart};

/// Files and folders of `/etc` that programs need to find libraries, certificates, time and names.
const ETC: [&str; 27] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-x86_64.path",
    "ld-musl-aarch64.path",
    "ssl",
    "ca-certificates",
    "ca-certificates.conf",
    "pki",
    "crypto-policies",
    "alternatives",
    "localtime",
    "timezone",
    "nsswitch.conf",
    "mime.types",
    "protocols",
    "services",
    "shells",
    "os-release",
    "debian_version",
    "gai.conf",
    "host.conf",
    "python3",
    "perl",
    "java",
    "dotnet",
    "fonts",
];

/// Files of `/etc` that only mean something with the host's network.
const NETWORK: [&str; 2] = ["resolv.conf", "hosts"];

/// A file up to this size is copied: that is cheaper than a mount.
const COPIED: u64 = 16 << 10;

/// Parts of procfs that say something about the host. What acts on it cannot be written, as all of procfs.
const PROC: [(&str, ProcPart); 9] = [
    ("acpi", ProcPart::HiddenFolder),
    ("asound", ProcPart::HiddenFolder),
    ("scsi", ProcPart::HiddenFolder),
    ("kcore", ProcPart::HiddenFile),
    ("keys", ProcPart::HiddenFile),
    ("latency_stats", ProcPart::HiddenFile),
    ("timer_list", ProcPart::HiddenFile),
    ("sched_debug", ProcPart::HiddenFile),
    ("sysrq-trigger", ProcPart::HiddenFile),
];

/// Places of which one tells whether a payload can see the host.
const TRIPWIRES: [&str; 4] = ["/sys", "/var", "/boot", "/root"];

/// The payload's user outside when root starts it. It lies in a range that no system gives to anybody, and is the same
/// for all payloads: their namespaces keep them apart.
const DEDICATED: u32 = 1_879_051_000;

/// What is there of the operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Folders with programs and libraries.
    pub folders: Vec<PathBuf>,
    /// Symbolic links to them, and in `/etc`.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Small files of `/etc`.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Folders and larger files of `/etc`.
    pub etc: Vec<PathBuf>,
    /// Files of `/etc` that go with the host's network.
    pub network: Vec<(PathBuf, Vec<u8>)>,
    /// Where all of these really are, and the host's lists of users, for payloads that see the host's own files.
    pub readable: Vec<PathBuf>,
    /// Where the files that go with the network really are.
    pub names: Vec<PathBuf>,
    /// Parts of procfs that are kept from payloads, as far as this kernel has them.
    pub proc: Vec<(&'static str, ProcPart)>,
    /// Device nodes.
    pub devices: Vec<PathBuf>,
    /// What exists and no payload may open, unless it was told to read it.
    pub tripwires: Vec<PathBuf>,
    /// Version of Landlock, 0 meaning none.
    pub landlock: u32,
    /// Who payloads with namespaces are outside. Absent when this process is root of a namespace without other users.
    pub ids: Option<Ids>,
}

/// What must be known of a launch's own folders: what they hold at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// What is directly below the workspace, symbolic links not included, for the tier that must name it.
    pub entries: Vec<OsString>,
    /// Where hidden names lead that are symbolic links, as real paths.
    pub hidden: Vec<PathBuf>,
    /// Sockets of daemons in what is visible, as real paths.
    pub sockets: Vec<PathBuf>,
}

impl Host {
    /// Looks it up.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let mut host = Self {
            landlock: landlock::abi().unwrap_or(0),
            proc: PROC.into_iter().filter(|(name, _)| exists(&Path::new("/proc").join(name))).collect(),
            devices: devices().into_iter().filter(|path| exists(path)).collect(),
            tripwires: TRIPWIRES.iter().map(PathBuf::from).filter(|path| exists(path)).collect(),
            ids: ids(),
            ..Self::default()
        };
        for folder in SYSTEM.map(PathBuf::from) {
            match fs::read_link(&folder) {
                Ok(target) => host.links.push((folder, target)),
                Err(_) if folder.is_dir() => host.folders.push(folder),
                Err(_) => {}
            }
        }
        let plain = !Path::new("/etc").is_symlink();
        for path in ETC.iter().map(|name| Path::new("/etc").join(name)) {
            host.add(path, plain);
        }
        for path in NETWORK.iter().map(|name| Path::new("/etc").join(name)) {
            // Whatever it is a link to (often something below /run), the payload finds its content here.
            host.names.extend(real_path(&path).ok());
            host.network.extend(small_file(&path).ok().map(|bytes| (path, bytes)));
        }
        host.readable
            .extend(["/etc/passwd", "/etc/group"].map(PathBuf::from).into_iter().filter(|path| exists(path)));
        host
    }

    /// `plain`: the way to `path` leads through no link.
    fn add(&mut self, path: PathBuf, plain: bool) {
        let Ok(metadata) = fs::symlink_metadata(&path) else { return };
        // Most are what they seem, and then a look at every folder on the way is saved.
        let (real, metadata) = if !plain || metadata.is_symlink() {
            let Ok(real) = real_path(&path) else { return };
            let Ok(metadata) = fs::metadata(&real) else { return };
            (real, metadata)
        } else {
            (path.clone(), metadata)
        };
        let system = SYSTEM.iter().any(|folder| real.starts_with(folder));
        if !system {
            self.readable.push(real.clone());
        }
        if real != path {
            if system {
                self.links.push((path, real));
            } else if metadata.is_file() {
                self.files.extend(small_file(&real).ok().map(|bytes| (path, bytes)));
            }
        } else if metadata.is_dir() || metadata.len() > COPIED {
            self.etc.push(path);
        } else if metadata.is_file() {
            self.files.extend(small_file(&real).ok().map(|bytes| (path, bytes)));
        }
    }
}

impl Ground {
    /// Looks at what `confinement` shows.
    #[must_use]
    pub fn of(confinement: &Confinement) -> Self {
        let view = &confinement.view;
        let places: Vec<&Path> =
            view.workspace.iter().chain(&view.read).chain(&view.write).map(PathBuf::as_path).collect();
        let sockets = bound_below(&places);
        let Some(workspace) = &view.workspace else { return Self { sockets, ..Self::default() } };
        let entries = match confinement.tier {
            Tier::Landlock => entries(workspace),
            Tier::Namespaces | Tier::None => Vec::new(),
        };
        let links = view.hidden.iter().map(|name| workspace.join(name)).filter(|path| path.is_symlink());
        Self { entries, hidden: links.filter_map(|path| path.canonicalize().ok()).collect(), sockets }
    }
}

/// Names of what is directly below `folder`, symbolic links not included.
fn entries(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let plain = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
    let mut names: Vec<OsString> = plain.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Device nodes that every payload has.
pub(crate) fn devices() -> [PathBuf; 6] {
    ["null", "zero", "full", "random", "urandom", "tty"].map(|name| Path::new("/dev").join(name))
}

/// A text that the kernel makes when it is read. It has no length before, and making it piece by piece takes several times
/// as long: there is room for most from the beginning.
pub(crate) fn kernel_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(16 << 10);
    File::open(path)?.read_to_end(&mut text)?;
    Ok(text)
}

/// A file of the host that is short: most are read by one call for their length and one for their bytes.
fn small_file(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(AT_FDCWD, path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Errno::EINVAL.into());
    }
    let length = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = vec![0; length];
    let count = file.read(&mut bytes)?;
    if count < length || length == 0 {
        // It changes while it is read, or does not know its length.
        bytes.truncate(count);
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// `path` without links, as the kernel names what is there. The C library looks at each folder on the way instead.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    let held = openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    match fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())) {
        Ok(real) if real.is_absolute() && exists(&real) => Ok(real),
        // Without procfs, or replaced meanwhile.
        _ => path.canonicalize(),
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The user, as the host sees it, of a payload in a namespace of its own; this process's where it cannot have one.
#[must_use]
pub fn outer_user() -> u32 {
    ids().map_or_else(|| geteuid().as_raw(), |ids| ids.user)
}

/// Who payloads are outside.
pub(crate) fn ids() -> Option<Ids> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if user != 0 {
        return Some(Ids { user, group, kind: IdKind::Own });
    }
    let dedicated = |file: &str| dedicated(&fs::read_to_string(file).ok()?);
    let (user, group) = (dedicated("/proc/self/uid_map")?, dedicated("/proc/self/gid_map")?);
    Some(Ids { user, group, kind: IdKind::Dedicated })
}

/// A user whom nobody else uses, of those that a namespace with this map has.
fn dedicated(map: &str) -> Option<u32> {
    let ranges = map.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let first: u32 = words.next()?.parse().ok()?;
        let count: u32 = words.nth(1)?.parse().ok()?;
        Some((first, first.saturating_add(count.checked_sub(1)?)))
    });
    // The last one of the highest range is the least likely to be somebody.
    let (first, last) = ranges.max_by_key(|(_, last)| *last)?;
    let best = if (first..=last).contains(&DEDICATED) { DEDICATED } else { last };
    (best != 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::model::Network;
    use crate::sandbox::confinement::{KernelLimits, View};
    use std::time::Duration;

    #[test]
    fn the_dedicated_user_is_one_that_the_namespace_has() {
        assert_eq!(dedicated("         0          0 4294967295\n"), Some(DEDICATED));
        assert_eq!(dedicated("0 100000 65536\n"), Some(65535));
        assert_eq!(dedicated("0 1000 1\n1 100000 65536\n"), Some(65536));
        assert_eq!(dedicated("0 1000 1\n"), None);
        assert_eq!(dedicated(""), None);
    }

    #[test]
    fn a_hidden_name_that_is_a_link_hides_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join(".git")).unwrap();
        let view = View {
            workspace: Some(root.clone()),
            hidden: vec![".git".into(), ".rungate".into()],
            ..View::default()
        };
        let ground = |tier| {
            Ground::of(&Confinement {
                tier,
                view: view.clone(),
                network: Network::None,
                ports: Vec::new(),
                unix_sockets: false,
                limits: KernelLimits { memory: 0, processes: 0, cpu: Duration::ZERO, scratch: 0, inodes: 0 },
            })
        };
        let namespaces = ground(Tier::Namespaces);
        assert_eq!(namespaces.hidden, [root.join("real")]);
        assert_eq!(namespaces.entries, Vec::<OsString>::new());
        let ground = ground(Tier::Landlock);
        assert_eq!(ground.hidden, [root.join("real")]);
        assert_eq!(ground.entries, ["real"]);
    }
}
