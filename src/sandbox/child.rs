//! The executor's side: starting the helper, and what can be done to it.

#![expect(unsafe_code, reason = "taking over a descriptor that came by a socket")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType, recvmsg,
    send, sendmsg, shutdown, socketpair,
};
use nix::unistd::{Pid, pipe2};

use crate::manifest::model;
use crate::sandbox::cgroup::{CgroupError, Group};
use crate::sandbox::compile::CompileError;
use crate::sandbox::confinement::Tier;
use crate::sandbox::host::{Ground, Host};
use crate::sandbox::init::{ARGUMENT, Order};
use crate::sandbox::launch::Launch;
use crate::sandbox::layers::HostLayers;
use crate::sandbox::processes;
use crate::sandbox::sealed;
use crate::sandbox::seccomp::{self, Rules};
use crate::sandbox::spec::codec::Blob;
use crate::sandbox::spec::{Network, Spec};
use crate::sandbox::strays::helpers;

/// Room in a pipe for output, in bytes. The default of 64 KiB makes a script that prints much wait for us.
const PIPE_BYTES: i32 = 1 << 20;

/// How long a helper may take to end by itself when nobody wants it any more.
const GOODBYE: Duration = Duration::from_millis(200);

/// Where children are started from. Clones share the helper that is ready.
#[derive(Clone, Debug)]
pub struct Sandbox {
    helper: PathBuf,
    ready: Arc<Mutex<Option<Child>>>,
    host: Arc<OnceLock<Host>>,
    layers: Arc<OnceLock<HostLayers>>,
    filters: Arc<Mutex<Vec<(Rules, Blob)>>>,
    /// The network of what will probably be started next, where that has namespaces.
    expected: Arc<Mutex<Option<Network>>>,
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

/// A child that was asked for. Its helper has been started; whether the program has, its status pipe tells.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    control: OwnedFd,
    /// The program's standard output.
    pub stdout: OwnedFd,
    /// The program's standard error.
    pub stderr: OwnedFd,
    /// Frames of [`crate::sandbox::status::Status`], until the helper ends.
    pub status: OwnedFd,
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
            expected: Arc::default(),
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

    /// Starts `launch` in the control group `group`: everything but the helper is in it from its first moment.
    ///
    /// # Errors
    /// Fails as [`Sandbox::spawn`] does, and when the group cannot be opened.
    pub fn spawn_in(&self, launch: &Launch, group: Option<&Group>) -> Result<Child, SpawnError> {
        self.expect(launch);
        let ready = self.take_ready();
        // The helper gets going while the rest is done here.
        let ready = if ready.is_none() { Some(self.start_helper()?) } else { ready };
        let mut spec = self.compile(launch)?;
        if let (Some(confined), Some(group)) = (&mut spec.confined, group) {
            confined.leave_to(group.limits());
        }
        let spec = written(&spec)?;
        let group = group.map(Group::open).transpose()?;
        // One that has died while it waited is no reason to fail: another one is started.
        if let Some(ready) = ready
            && ready.hand_over(&spec, group.as_ref()).is_ok()
        {
            return Ok(ready);
        }
        let child = self.start_helper()?;
        child.hand_over(&spec, group.as_ref()).map_err(host("hand over the launch spec"))?;
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
        child.hand_over(&written(spec)?, None).map_err(host("hand over the launch spec"))?;
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

    /// Helpers that are started from now on make ready what `launch` needs, before they know of it.
    fn expect(&self, launch: &Launch) {
        self.expect_network(launch.confinement.as_ref().and_then(|confinement| match confinement.tier {
            Tier::Namespaces => Some(confinement.network),
            Tier::Landlock | Tier::None => None,
        }));
    }

    /// The same when only the network is known, and that there will be namespaces; nothing: that there will be none.
    pub fn expect_network(&self, network: Option<model::Network>) {
        let network = network.map(|network| match network {
            model::Network::None => Network::Own,
            model::Network::Host => Network::Host,
        });
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = network;
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
        let expected = *self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(&self.helper);
        command
            .arg0("rungate-sandbox")
            .arg(ARGUMENT)
            .args(kept.map(|fd| fd.as_raw_fd().to_string()))
            .arg(std::process::id().to_string())
            .arg(expected.map_or("-", Network::word))
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
        Ok(Child { process, control, stdout, stderr, status })
    }
}

/// The spec as what a helper reads it from.
fn written(spec: &Spec) -> Result<OwnedFd, SpawnError> {
    let what = "write the launch spec";
    sealed::memfd(c"rungate-spec", &spec.encode()).map_err(|source| SpawnError::Host { what, source })
}

fn pipe(what: &'static str) -> Result<(OwnedFd, OwnedFd), SpawnError> {
    pipe2(OFlag::O_CLOEXEC).map_err(host(what))
}

impl Child {
    /// Process id of the helper.
    #[must_use]
    pub fn helper(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Gives the helper what it is to start, and the folder of the control group that it belongs in.
    fn hand_over(&self, spec: &OwnedFd, group: Option<&OwnedFd>) -> Result<(), Errno> {
        let word = [IoSlice::new(b"s")];
        let descriptors: Vec<RawFd> =
            [Some(spec), group].into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
        let message = [ControlMessage::ScmRights(&descriptors)];
        sendmsg::<()>(self.control.as_raw_fd(), &word, &message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
    }

    /// The folder that the program sees as [`crate::sandbox::layout::Layout::files`], where it has a file system of its own.
    /// It can be read until this descriptor is closed, also when the sandbox is gone; before that, the program can still
    /// write there. Taken once: nothing the second time, and nothing before the program has been started.
    #[must_use]
    pub fn private_files(&self) -> Option<OwnedFd> {
        let mut word = [0];
        let mut parts = [IoSliceMut::new(&mut word)];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.control.as_raw_fd(), &mut parts, Some(&mut space), flags).ok()?;
        let folder = message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
            _ => None,
        })?;
        // SAFETY: the kernel has just made this descriptor for us, and there is room for one only.
        Some(unsafe { OwnedFd::from_raw_fd(folder) })
    }

    /// Gives the helper an order. An order to a helper that is gone is no error: its status pipe tells that story.
    pub fn order(&self, order: Order) {
        let _ =
            send(self.control.as_raw_fd(), &[order.byte()], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
        // A script of the same user may have stopped its helper.
        let _ = kill(Pid::from_raw(self.helper()), Signal::SIGCONT);
    }

    /// Kills the helper and everything below it from outside. For a helper that does not answer [`Order::Kill`].
    pub fn force_kill(&self) {
        let helper = self.helper();
        for pid in processes::descendants(helper) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = kill(Pid::from_raw(helper), Signal::SIGKILL);
    }

    /// Waits for the helper, which must have closed its status pipe or been killed: then this does not block long.
    pub fn reap(&mut self) {
        // Taken off the list first: once it is reaped, its id may be that of another process.
        helpers().remove(&self.helper());
        // Not ours any more is as good as reaped.
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whoever forgets a child must not leave it running. After `reap` this finds nothing to do.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return self.reap();
        }
        // A helper whose control socket closes kills what is below it and ends.
        let _ = shutdown(self.control.as_raw_fd(), Shutdown::Both);
        let _ = kill(Pid::from_raw(self.helper()), Signal::SIGCONT);
        let start = Instant::now();
        while start.elapsed() < GOODBYE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return self.reap();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.force_kill();
        self.reap();
    }
}
