//! From a policy to a spec: what confines a child, with every path, number and filter resolved. Pure: what it must know
//! of the host comes as [`Host`] and [`Ground`], so whole specs can be compared.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::manifest::model;
use crate::sandbox::cgroup::GroupLimits;
use crate::sandbox::confinement::{Confinement, KernelLimits, PrivateFile, Tier, View};
use crate::sandbox::host::{Ground, Host};
use crate::sandbox::landlock::{Access, PathRule, TCP, UnixSockets};
use crate::sandbox::layout::{Layout, is_system};
use crate::sandbox::seccomp::{self, Rules};
use crate::sandbox::spec::codec::Blob;
use crate::sandbox::spec::{Bind, BindKind, Confined, Landlock, Limit, Network, NulByte, World, c_string};

/// Places that belong to the kernel or to the payload alone: nothing of the host is bound there.
const RESERVED: [&str; 5] = ["/proc", "/dev", "/sys", "/run/rungate", "/home/step"];

/// Names in the payload's own `passwd` and `group`.
const PASSWD: &str = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nstep:x:1000:1000:step:/home/step:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nstep:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1\tlocalhost rungate\n::1\tlocalhost rungate\n";

/// Why a launch cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Something of it cannot be handed to a program.
    #[error(transparent)]
    Nul(#[from] NulByte),
    /// A place that cannot be shown to a child.
    #[error("{} cannot be made visible: {why}", path.display())]
    Place {
        /// The place.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// There is no filter for this machine.
    #[error(transparent)]
    Filter(#[from] seccomp::CompileError),
    /// No user is left for the payload.
    #[error("this user namespace has no user besides root for a payload")]
    NoUser,
}

/// What confines a child under `policy`; nothing in the tier that confines nothing. `private` is for the tier that has
/// folders of its own.
pub(crate) fn confined(
    policy: &Confinement,
    private: &[PrivateFile],
    host: &Host,
    ground: &Ground,
    filter: impl FnOnce(Rules) -> Result<Blob, seccomp::CompileError>,
) -> Result<Option<Confined>, CompileError> {
    let world = match policy.tier {
        Tier::None => return Ok(None),
        Tier::Landlock => None,
        Tier::Namespaces => Some(world(policy, private, host, ground)?),
    };
    check(policy)?;
    Ok(Some(Confined {
        limits: limits(&policy.limits, policy.tier),
        landlock: landlock(policy, host, ground)?,
        tripwire: tripwire(&policy.view, host)?,
        filter: filter(Rules::of(policy, host.landlock))?,
        world,
    }))
}

fn text(path: &Path) -> Result<CString, NulByte> {
    c_string(path.to_owned().into(), || format!("the path {}", path.to_string_lossy().replace('\0', "\\0")))
}

/// Refuses what would undo the view.
fn check(policy: &Confinement) -> Result<(), CompileError> {
    let view = &policy.view;
    let refused = |path: &Path, why| Err(CompileError::Place { path: path.to_owned(), why });
    let workspace = view.workspace.iter();
    for path in workspace.chain(&view.read).chain(&view.write) {
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return refused(path, "it is not a resolved absolute path");
        }
        if path.parent().is_none() {
            return refused(path, "it is the root of all files");
        }
        if RESERVED.iter().any(|place| path.starts_with(place)) {
            return refused(path, "that place is the child's own");
        }
    }
    for path in &view.write {
        if is_system(path) {
            return refused(path, "it belongs to the operating system");
        }
        let Some(workspace) = &view.workspace else { continue };
        if workspace.starts_with(path) {
            return refused(path, "all of the workspace would be writable");
        }
        // In the other tier the child's own folders may lie there, and nothing else becomes visible with them.
        let covered = policy.tier == Tier::Namespaces;
        if covered && view.hidden.iter().any(|name| path.starts_with(workspace.join(name))) {
            return refused(path, "it lies in something that is hidden");
        }
    }
    Ok(())
}

fn limits(limits: &KernelLimits, tier: Tier) -> Vec<(Limit, u64)> {
    let mut list = vec![
        (Limit::Core, 0),
        (Limit::Files, 1024),
        (Limit::LockedMemory, 64 << 10),
        (Limit::MessageQueues, 0),
        (Limit::Data, limits.memory),
        (Limit::Cpu, limits.cpu.as_secs().max(1)),
    ];
    if tier == Tier::Namespaces {
        // Without namespaces it would count everything that this user runs.
        list.push((Limit::Processes, limits.processes.into()));
    }
    list
}

impl Confined {
    /// Takes away what limits each process or the user by the same numbers as a group limits all processes together. They
    /// would be reached first, and nobody is told which limit it was that refused.
    pub(crate) fn leave_to(&mut self, group: GroupLimits) {
        self.limits.retain(|(limit, _)| match limit {
            Limit::Data => group.memory.is_none(),
            Limit::Processes => group.processes.is_none(),
            Limit::Core | Limit::Files | Limit::LockedMemory | Limit::MessageQueues | Limit::Cpu => true,
        });
    }
}

/// A place that the payload cannot see, unless somebody shared it.
fn tripwire(view: &View, host: &Host) -> Result<Option<CString>, NulByte> {
    let shared = |path: &PathBuf| {
        let mut places = view.read.iter().chain(&view.write).chain(&view.workspace);
        places.any(|place| place.starts_with(path) || path.starts_with(place))
    };
    host.tripwires.iter().find(|path| !shared(path)).map(|path| text(path)).transpose()
}

fn landlock(policy: &Confinement, host: &Host, ground: &Ground) -> Result<Option<Landlock>, NulByte> {
    let mut rules = Vec::new();
    let mut add = |path: &Path, access| text(path).map(|path| rules.push(PathRule { path, access }));
    let view = &policy.view;
    match policy.tier {
        Tier::None => return Ok(None),
        Tier::Namespaces => {
            if host.landlock == 0 {
                return Ok(None);
            }
            // The view holds nothing that may not be read, so one rule says so.
            add(Path::new("/"), Access::Execute)?;
            let layout = Layout::of(policy.tier, Path::new("/"));
            for path in [&layout.home, &layout.tmp, &layout.files, &PathBuf::from("/dev/shm")] {
                add(path, Access::Write)?;
            }
            for device in &host.devices {
                add(device, Access::Device)?;
            }
        }
        Tier::Landlock => {
            for folder in &host.folders {
                add(folder, Access::Execute)?;
            }
            let names = if policy.network == model::Network::Host { &host.names[..] } else { &[] };
            for path in host.readable.iter().chain(names) {
                add(path, Access::Read)?;
            }
            add(Path::new("/proc"), Access::Read)?;
            for device in &host.devices {
                add(device, Access::Device)?;
            }
            if let Some(workspace) = &view.workspace {
                // Rules can only allow, so what is hidden is left out among its neighbours.
                add(workspace, Access::List)?;
                for name in
                    ground.entries.iter().filter(|name| !view.hidden.iter().any(|hidden| hidden == *name))
                {
                    let path = workspace.join(name);
                    if !ground.hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                        add(&path, Access::Execute)?;
                    }
                }
            }
            for path in &view.read {
                add(path, Access::Execute)?;
            }
        }
    }
    for path in &view.write {
        add(path, Access::Write)?;
    }
    let ports = match (policy.tier, policy.network) {
        (Tier::Namespaces | Tier::None, model::Network::None) => None,
        // The filter denies sockets; this says it again where the kernel can.
        (Tier::Landlock, model::Network::None) => (host.landlock >= TCP).then(Vec::new),
        (_, model::Network::Host) => Some(policy.ports.clone()).filter(|ports| !ports.is_empty()),
    };
    let sockets = if policy.unix_sockets { UnixSockets::Any } else { UnixSockets::Own };
    Ok(Some(Landlock { paths: rules, ports, sockets }))
}

fn world(
    policy: &Confinement,
    private: &[PrivateFile],
    host: &Host,
    ground: &Ground,
) -> Result<World, CompileError> {
    let pairs = |list: &[(PathBuf, PathBuf)]| {
        list.iter().map(|(at, to)| Ok((text(at)?, text(to)?))).collect::<Result<Vec<_>, NulByte>>()
    };
    let blobs = |list: &[(PathBuf, Vec<u8>)]| {
        list.iter()
            .map(|(at, bytes)| Ok((text(at)?, Blob(bytes.clone()))))
            .collect::<Result<Vec<_>, NulByte>>()
    };
    let mut files = blobs(&host.files)?;
    for (path, content) in [(c"/etc/passwd", PASSWD), (c"/etc/group", GROUP)] {
        files.push((path.to_owned(), Blob(content.into())));
    }
    let network = match policy.network {
        model::Network::None => {
            files.push((c"/etc/hosts".to_owned(), Blob(HOSTS.into())));
            Network::Own
        }
        model::Network::Host => {
            files.extend(blobs(&host.network)?);
            Network::Host
        }
    };
    let mut own = Vec::with_capacity(private.len());
    for file in private {
        let name = c_string(file.name.clone().into(), || "the name of a private file".to_owned())?;
        own.push((name, Blob(file.bytes.clone())));
    }
    Ok(World {
        ids: host.ids.ok_or(CompileError::NoUser)?,
        network,
        scratch: policy.limits.scratch,
        inodes: policy.limits.inodes,
        links: pairs(&host.links)?,
        files,
        binds: binds(&policy.view, host)?,
        masks: masks(&policy.view, ground)?,
        proc: host
            .proc
            .iter()
            .map(|(name, part)| Ok((c_string((*name).into(), String::new)?, *part)))
            .collect::<Result<_, NulByte>>()?,
        private: own,
    })
}

/// Everything that is bound, outermost first. What is visible anyway is left out: a mount less.
fn binds(view: &View, host: &Host) -> Result<Vec<Bind>, NulByte> {
    let system = host.folders.iter().chain(&host.etc).map(|path| (path, BindKind::System));
    let within =
        |path: &PathBuf| view.workspace.as_ref().is_some_and(|workspace| path.starts_with(workspace));
    let read = view.read.iter().filter(|path| !is_system(path) && !within(path));
    let mut shared: Vec<(&PathBuf, BindKind)> = view
        .workspace
        .iter()
        .chain(read)
        .map(|path| (path, BindKind::Read))
        .chain(view.write.iter().map(|path| (path, BindKind::Write)))
        .collect();
    // A path sorts before what lies in it, and what is writable comes after the same place read-only.
    shared.sort_by_key(|(path, kind)| (path.as_path(), *kind == BindKind::Write));
    shared.dedup();
    system.chain(shared).map(|(path, kind)| Ok(Bind { path: text(path)?, kind })).collect()
}

/// Names that are hidden, each with its folder.
fn masks(view: &View, ground: &Ground) -> Result<Vec<(CString, CString)>, NulByte> {
    let workspace = view.workspace.as_deref();
    let named =
        workspace.into_iter().flat_map(|workspace| view.hidden.iter().map(|name| workspace.join(name)));
    // What a link leads to elsewhere is out of sight unless somebody shared it.
    let holds_workspace = |path: &Path| workspace.is_some_and(|workspace| workspace.starts_with(path));
    let linked = ground.hidden.iter().filter(|path| !holds_workspace(path)).cloned();
    let mut masks = Vec::new();
    for path in named.chain(linked).chain(ground.sockets.iter().cloned()) {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            masks.push((text(folder)?, c_string(name.to_owned(), || "a hidden name".to_owned())?));
        }
    }
    Ok(masks)
}

impl CompileError {
    /// The kernel's word that comes nearest, for those who report numbers.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Nul(_) | Self::Place { .. } => Errno::EINVAL,
            Self::Filter(_) => Errno::EOPNOTSUPP,
            Self::NoUser => Errno::EPERM,
        }
    }
}

#[cfg(test)]
mod tests;
