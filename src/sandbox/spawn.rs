//! The executor's side: helpers are started and told what to start.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::pipe2;

use crate::sandbox::cgroup::{CgroupError, Group};
use crate::sandbox::child::Child;
use crate::sandbox::compile::CompileError;
use crate::sandbox::confinement::Tier;
use crate::sandbox::host::{Ground, Host};
use crate::sandbox::init::{ARGUMENT, NAMESPACES};
use crate::sandbox::launch::Launch;
use crate::sandbox::layers::HostLayers;
use crate::sandbox::line::Task;
use crate::sandbox::sealed;
use crate::sandbox::seccomp::{self, Rules};
use crate::sandbox::spec::Spec;
use crate::sandbox::spec::codec::Blob;
use crate::sandbox::strays::helpers;

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
        let tier = launch.confinement.as_ref().map(|confinement| confinement.tier);
        self.expect_namespaces(tier == Some(Tier::Namespaces));
        let ready = self.take_ready();
        // The helper gets going while the rest is done here.
        let ready = if ready.is_none() { Some(self.start_helper()?) } else { ready };
        let mut spec = self.compile(launch)?;
        if let (Some(confined), Some(group)) = (&mut spec.confined, group) {
            confined.leave_to(group.limits());
        }
        let task = task(&spec, group)?;
        // One that has died while it waited is no reason to fail: another one is started.
        if let Some(ready) = ready
            && ready.hand_over(&task).is_ok()
        {
            return Ok(ready);
        }
        let child = self.start_helper()?;
        child.hand_over(&task).map_err(host("hand over the launch spec"))?;
        Ok(child)
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
        launch.compile(host, &Ground::of(&confinement.view), |rules| self.filter(rules))
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
        let child = self.start_helper()?;
        child.hand_over(&task(spec, None)?).map_err(host("hand over the launch spec"))?;
        Ok(child)
    }

    /// Starts a helper ahead of its turn, while this process has nothing better to do: most of what a child costs is
    /// then behind it when it is needed.
    pub fn make_ready(&self) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            // Whatever is wrong will be wrong again when a child is really needed, and is said then.
            *ready = self.start_helper().ok();
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

    #[expect(clippy::disallowed_methods, reason = "this is where children are started")]
    fn start_helper(&self) -> Result<Child, SpawnError> {
        let (status, status_end) = pipe("create the status pipe")?;
        let (control, control_end) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(host("create the control socket"))?;
        let (stdout, stdout_end) = pipe("create a pipe for output")?;
        let (stderr, stderr_end) = pipe("create a pipe for output")?;
        for end in [&stdout, &stderr] {
            // A smaller pipe is only slower: the user's limit on pipe pages may be reached.
            let _ = fcntl(end, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        }
        let kept = [&status_end, &control_end];
        let mut command = Command::new(&self.helper);
        command
            .arg0("rungate-sandbox")
            .arg(ARGUMENT)
            .args(kept.map(|fd| fd.as_raw_fd().to_string()))
            .arg(std::process::id().to_string())
            .arg(if self.namespaces.load(Ordering::Relaxed) { NAMESPACES } else { "-" })
            .args(&*self.leftovers.lock().unwrap_or_else(PoisonError::into_inner))
            .env_clear();
        command.stdin(Stdio::null()).stdout(stdout_end).stderr(stderr_end);
        // Two descriptors must stay open in the helper. They lose their flag here, where every child of this process is
        // started, and nobody else starts one meanwhile: none can end up in a child of somebody else. The usual hook
        // between fork and exec was rejected: it costs a fork with all its page tables.
        let mut helpers = helpers();
        for fd in kept {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map_err(host("hand over a descriptor"))?;
        }
        let started = command.spawn();
        // Closed before the next child can be started.
        drop((status_end, control_end));
        let process =
            started.map_err(|source| SpawnError::Host { what: "start the sandbox helper", source })?;
        helpers.insert(process.id().cast_signed());
        Ok(Child::new(process, control, [stdout, stderr, status]))
    }
}

/// What a helper is told: a spec, and the group that it is to be started in.
fn task(spec: &Spec, group: Option<&Group>) -> Result<Task, SpawnError> {
    let what = "write the launch spec";
    let bytes = sealed::memfd(c"rungate-spec", &spec.encode());
    Ok(Task {
        spec: bytes.map_err(|source| SpawnError::Host { what, source })?.into(),
        group: group.map(Group::open).transpose()?,
        namespaces: spec.world().is_some(),
    })
}

fn pipe(what: &'static str) -> Result<(OwnedFd, OwnedFd), SpawnError> {
    pipe2(OFlag::O_CLOEXEC).map_err(host(what))
}
