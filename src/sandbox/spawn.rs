//! The executor's side: helpers are started and told what to start.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::pipe2;

use crate::sandbox::cgroup::{CgroupError, Group};
use crate::sandbox::child::Child;
use crate::sandbox::compile::CompileError;
use crate::sandbox::host::{Ground, Host};
use crate::sandbox::init::{ARGUMENT, NONE};
use crate::sandbox::launch::Launch;
use crate::sandbox::layers::HostLayers;
use crate::sandbox::line::heard;
use crate::sandbox::outline::{Outline, Shape};
use crate::sandbox::owners::Owners;
use crate::sandbox::process::{Process, Start};
use crate::sandbox::sealed;
use crate::sandbox::seccomp::{self, Rules};
use crate::sandbox::spec::codec::Blob;
use crate::sandbox::spec::{IdKind, Spec, World, c_string};
use crate::sandbox::status::SetupError;
use crate::sandbox::strays::helpers;
use crate::sandbox::world;

/// Room in a pipe for output, in bytes. The default of 64 KiB makes a script that prints much wait for us.
const PIPE_BYTES: i32 = 1 << 20;

/// Where children are started from. Clones share the helper that is ready.
#[derive(Clone, Debug)]
pub struct Sandbox {
    helper: PathBuf,
    ready: Arc<Mutex<Option<Child>>>,
    host: Arc<OnceLock<Host>>,
    layers: Arc<OnceLock<HostLayers>>,
    filters: Arc<Mutex<Vec<(Rules, Blob)>>>,
    owners: Arc<Mutex<Option<Owners>>>,
    /// Whether what will probably be started next has namespaces.
    namespaces: Arc<AtomicBool>,
    /// Folders that helpers remove when this process is killed.
    leftovers: Arc<Mutex<Vec<PathBuf>>>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The launch cannot be compiled for this host.
    #[error(transparent)]
    Launch(#[from] CompileError),
    /// Its control group cannot be used.
    #[error(transparent)]
    Group(#[from] CgroupError),
    /// What it is to see cannot be had.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The host refused something that every child needs.
    #[error("failed to {what}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn host(what: &'static str) -> impl FnOnce(Errno) -> SpawnError {
    move |errno| SpawnError::Host { what, source: errno.into() }
}

impl Sandbox {
    /// Children are helped by this very program, whichever file it was started from.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self::with_helper(PathBuf::from("/proc/self/exe"))
    }

    /// Children are helped by the program at `helper`, which must be rungate. For tests, which are another program.
    #[must_use]
    pub fn with_helper(helper: PathBuf) -> Self {
        Self {
            helper,
            ready: Arc::default(),
            host: Arc::default(),
            layers: Arc::default(),
            filters: Arc::default(),
            owners: Arc::default(),
            namespaces: Arc::default(),
            leftovers: Arc::default(),
        }
    }

    /// Makes this process fit for children: orphans come back to it when a helper dies, and no other process of this
    /// user can read its memory.
    ///
    /// # Errors
    /// Returns the kernel's word when it refuses.
    pub fn prepare_process() -> io::Result<()> {
        prctl::set_child_subreaper(true)?;
        prctl::set_dumpable(false)?;
        Ok(())
    }

    /// Starts `launch`.
    ///
    /// # Errors
    /// Fails when the launch cannot be expressed or the host is out of something. What goes wrong later, in the
    /// helper, is a [`crate::sandbox::status::Status::Failed`] on the status pipe.
    pub fn spawn(&self, launch: &Launch) -> Result<Child, SpawnError> {
        self.spawn_in(launch, None)
    }

    /// Starts `launch` in the control group `group`: the program is in it from its first moment, and whatever it starts.
    ///
    /// # Errors
    /// Fails as [`Sandbox::spawn`] does, and when the group cannot be opened.
    pub fn spawn_in(&self, launch: &Launch, group: Option<&Group>) -> Result<Child, SpawnError> {
        let outline = Outline {
            shape: Shape::of_policy(launch.confinement.as_ref()),
            group: group.map(Group::open).transpose()?,
        };
        self.expect_namespaces(matches!(outline.shape, Shape::Namespaces(_)));
        // It gets going while the rest is done here.
        let child = self.announced(&outline)?;
        let mut spec = self.compile(launch)?;
        if let (Some(confined), Some(group)) = (&mut spec.confined, group) {
            confined.leave_to(group.limits());
        }
        self.told(child, outline.shape, &spec)
    }

    /// A helper that knows the outline of what it is to start.
    fn announced(&self, outline: &Outline) -> Result<Child, SpawnError> {
        // One that has died while it waited is no reason to fail: another one is started.
        if let Some(ready) = self.take_ready()
            && ready.announce(outline).is_ok()
        {
            return Ok(ready);
        }
        let child = self.start_helper(matches!(outline.shape, Shape::Namespaces(_)))?;
        // If it has ended, it has said why.
        heard(child.announce(outline)).map_err(host("announce what is to be launched"))?;
        Ok(child)
    }

    /// `child`, with what it is to start.
    fn told(&self, child: Child, shape: Shape, spec: &Spec) -> Result<Child, SpawnError> {
        let bytes = sealed::memfd(c"rungate-spec", &spec.encode());
        let failed = |source| SpawnError::Host { what: "write the launch spec", source };
        let bytes = File::from(bytes.map_err(failed)?);
        let dedicated = spec.world().filter(|world| world.ids.kind == IdKind::Dedicated);
        // First: whoever has the spec wants this processor.
        let sources = dedicated.map(|world| self.sources(world)).transpose()?;
        // One that has ended has said why.
        heard(child.hand_over(&bytes, shape)).map_err(host("hand over the launch spec"))?;
        if let Some(sources) = sources {
            heard(child.provide(&sources, shape)).map_err(host("hand over what is bound"))?;
        }
        Ok(child)
    }

    /// What of a payload's world only root can give.
    fn sources(&self, world: &World) -> Result<Vec<OwnedFd>, SetupError> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        world::sources(world, owners.get_or_insert_with(|| Owners::new(world.ids)))
    }

    /// What this host can give, as children have tried it, once.
    #[must_use]
    pub fn layers(&self) -> &HostLayers {
        self.layers.get_or_init(|| self.try_layers())
    }

    /// The spec of `launch` on this machine.
    pub(crate) fn compile(&self, launch: &Launch) -> Result<Spec, CompileError> {
        let Some(confinement) = &launch.confinement else {
            // What nobody confines needs to know nothing of the host.
            return launch.compile(&Host::default(), &Ground::default(), |_| Ok(Blob::default()));
        };
        let host = self.host.get_or_init(Host::of_this_machine);
        launch.compile(host, &Ground::of(confinement), |rules| self.filter(rules))
    }

    /// Filters are few and steps are many, so each is compiled once.
    fn filter(&self, rules: Rules) -> Result<Blob, seccomp::CompileError> {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, filter)) = filters.iter().find(|(known, _)| *known == rules) {
            return Ok(filter.clone());
        }
        let filter = Blob(seccomp::program(rules)?.to_bytes());
        filters.push((rules, filter.clone()));
        Ok(filter)
    }

    /// Starts what is compiled already.
    pub(crate) fn spawn_spec(&self, spec: &Spec) -> Result<Child, SpawnError> {
        let outline = Outline { shape: Shape::of_spec(spec), group: None };
        self.told(self.announced(&outline)?, outline.shape, spec)
    }

    /// Starts a helper ahead of its turn, while this process has nothing better to do: most of what a child costs is
    /// then behind it when it is needed.
    pub fn make_ready(&self) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            // Whatever is wrong will be wrong again when a child is really needed, and is said then.
            *ready = self.start_helper(self.namespaces.load(Ordering::Relaxed)).ok();
        }
    }

    /// Says whether what is started next will have namespaces: helpers that are started from now on make them ready before
    /// they are told. One that is wrong about it makes what it needs later.
    pub fn expect_namespaces(&self, expected: bool) {
        self.namespaces.store(expected, Ordering::Relaxed);
    }

    /// Has `folder` removed by the helpers when this process is killed and cannot do it itself, all that is in it without
    /// following links. To be called before the folder is made: a helper is ready when this returns.
    pub fn remove_if_killed(&self, folder: &Path) {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
        // One that is ready has not heard of it.
        self.stand_down();
        self.make_ready();
    }

    /// Lets go of a helper that is ready and not needed any more.
    pub fn stand_down(&self) {
        drop(self.take_ready());
    }

    fn take_ready(&self) -> Option<Child> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts a helper, one that makes namespaces ready or one that does not.
    fn start_helper(&self, namespaces: bool) -> Result<Child, SpawnError> {
        let (status, status_end) = pipe("create the status pipe")?;
        let (control, control_end) = sockets()?;
        let (direct, direct_end) = if namespaces {
            let (direct, end) = sockets()?;
            (Some(direct), Some(end))
        } else {
            (None, None)
        };
        let (stdout, stdout_end) = pipe("create a pipe for output")?;
        let (stderr, stderr_end) = pipe("create a pipe for output")?;
        let what = "start the sandbox helper";
        let nothing = File::open("/dev/null").map_err(|source| SpawnError::Host { what, source })?;
        let numbers = [status_end.as_raw_fd(), control_end.as_raw_fd(), std::process::id().cast_signed()];
        let mut words: Vec<OsString> = vec!["rungate-sandbox".into(), ARGUMENT.into()];
        words.extend(numbers.map(|number| number.to_string().into()));
        words.push(direct_end.as_ref().map_or(NONE.into(), |end| end.as_raw_fd().to_string().into()));
        let leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(leftovers.iter().map(OsString::from));
        drop(leftovers);
        let start = Start {
            program: c_string(self.helper.clone().into(), || "the path of the helper".to_owned())
                .map_err(CompileError::from)?,
            words,
            streams: [nothing.into(), stdout_end, stderr_end],
            status: status_end,
            kept: [control_end].into_iter().chain(direct_end).collect(),
        };
        let mut helpers = helpers();
        let process = Process::start(start).map_err(host(what))?;
        helpers.insert(process.id());
        drop(helpers);
        for end in [&stdout, &stderr] {
            // A smaller pipe is only slower: the user's limit on pipe pages may be reached.
            let _ = fcntl(end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        }
        Ok(Child::new(process, (control, direct), [stdout, stderr, status]))
    }
}

fn sockets() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(host("create the control socket"))
}

fn pipe(what: &'static str) -> Result<(OwnedFd, OwnedFd), SpawnError> {
    pipe2(OFlag::O_CLOEXEC).map_err(host(what))
}
