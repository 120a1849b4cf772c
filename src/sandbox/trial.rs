//! Trying each layer for real, in a child that sets everything up and then runs nothing.
//!
//! Asking the kernel whether it has something was rejected: it may allow namespaces and then deny the mounts in them.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::manifest::model::Network;
use crate::sandbox::child::Child;
use crate::sandbox::compile::CompileError;
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier, View};
use crate::sandbox::landlock;
use crate::sandbox::launch::Launch;
use crate::sandbox::layers::{HostLayers, LayerProblem};
use crate::sandbox::spawn::{Sandbox, SpawnError};
use crate::sandbox::spec::Ending;
use crate::sandbox::status::{Call, FRAME, Proc, SetupError, Status};

/// How long a trial may take. It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Said where nothing better is known.
const LOOK_CLOSER: &str = "see docs/threat-model.md for what each layer needs of a host";

/// What a trial gave: the procfs, or what failed.
type Tried = Result<Proc, SetupError>;

impl Sandbox {
    /// What this host can give. Costs a few children, so [`Sandbox::layers`] keeps the answer.
    pub(super) fn try_layers(&self) -> HostLayers {
        let whole = self.attempt(Tier::Namespaces);
        let namespaces = match whole {
            Err(error) if layer_of(error.call) == Layer::Namespaces => Err(problem(error)),
            Ok(_) | Err(_) => Ok(()),
        };
        // What fails first hides what would fail later.
        let flat = match whole {
            Ok(_) => Ok(Proc::Host),
            Err(_) => self.attempt(Tier::Landlock),
        };
        let abi = landlock::abi().map_err(|errno| problem(SetupError::new(Call::Landlock, errno)));
        let landlock = match flat {
            Err(error) if layer_of(error.call) == Layer::Landlock => Err(problem(error)),
            Ok(_) | Err(_) => abi,
        };
        let seccomp = match flat {
            Err(error) if layer_of(error.call) == Layer::Seccomp => Err(problem(error)),
            Ok(_) | Err(_) => Ok(()),
        };
        let scoped_kill = landlock.as_ref().is_ok_and(|&abi| abi >= landlock::SCOPES);
        HostLayers { namespaces, proc_fresh: whole == Ok(Proc::Fresh), landlock, seccomp, scoped_kill }
    }

    fn attempt(&self, tier: Tier) -> Tried {
        let launch = Launch {
            program: "/".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            confinement: Some(confinement(tier)),
            private: Vec::new(),
        };
        let failed = |call, errno| SetupError::new(call, errno);
        let mut spec = self.compile(&launch).map_err(|error| {
            let call = match error {
                CompileError::Filter(_) => Call::Filter,
                CompileError::NoUser => Call::IdMap,
                CompileError::Nul(_) | CompileError::Place { .. } => Call::DecodeSpec,
            };
            failed(call, error.errno())
        })?;
        spec.ending = Ending::Trial;
        let mut child = self.spawn_spec(&spec).map_err(|error| match error {
            SpawnError::Setup(error) => error,
            SpawnError::Launch(error) => failed(Call::DecodeSpec, error.errno()),
            // It joins none.
            SpawnError::Group(_) => failed(Call::Fork, Errno::EIO),
            SpawnError::Host { source, .. } => {
                failed(Call::Fork, Errno::from_raw(source.raw_os_error().unwrap_or(libc::EIO)))
            }
        })?;
        let tried = outcome(&child);
        if tried.is_none() {
            child.force_kill();
        }
        child.reap();
        tried.unwrap_or(Err(failed(Call::Fork, Errno::ETIMEDOUT)))
    }
}

const fn confinement(tier: Tier) -> Confinement {
    Confinement {
        tier,
        view: View { workspace: None, hidden: Vec::new(), read: Vec::new(), write: Vec::new() },
        network: Network::None,
        ports: Vec::new(),
        unix_sockets: false,
        limits: KernelLimits {
            memory: 1 << 30,
            processes: 64,
            cpu: Duration::from_secs(20),
            scratch: 1 << 20,
            inodes: 64,
        },
    }
}

/// What the helper says until it ends; nothing when it does not.
fn outcome(child: &Child) -> Option<Tried> {
    let deadline = Instant::now() + PATIENCE;
    let mut status = File::from(child.status.try_clone().ok()?);
    let mut proc = None;
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let mut ready = [PollFd::new(child.status.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        let mut frame = [0; FRAME];
        if status.read_exact(&mut frame).is_err() {
            return proc.map(Ok);
        }
        match Status::decode(&frame) {
            Some(Status::Failed(error)) => return Some(Err(error)),
            Some(Status::Started { proc: seen, .. }) => proc = Some(seen),
            Some(Status::Exited { .. } | Status::Signaled { .. } | Status::Swept { .. }) | None => {}
        }
    }
}

/// Which layer a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Namespaces,
    Landlock,
    Seccomp,
}

const fn layer_of(call: Call) -> Layer {
    match call {
        Call::LandlockPath | Call::Landlock | Call::Tripwire => Layer::Landlock,
        Call::Filter | Call::NoNewPrivileges => Layer::Seccomp,
        Call::ReadSpec
        | Call::DecodeSpec
        | Call::NewSession
        | Call::Subreaper
        | Call::Signals
        | Call::Fork
        | Call::ChangeDirectory
        | Call::Limit
        | Call::Execute
        | Call::Namespaces
        | Call::IdMap
        | Call::Tmpfs
        | Call::Proc
        | Call::Source
        | Call::MapOwner
        | Call::Mount
        | Call::PrivateFiles
        | Call::Root
        | Call::Loopback
        | Call::HostName
        | Call::Capabilities
        | Call::Identity
        | Call::Group
        | Call::Helper => Layer::Namespaces,
    }
}

fn problem(error: SetupError) -> LayerProblem {
    LayerProblem {
        what: error.call.what(),
        errno: error.errno,
        remedy: error.call.remedy(error.errno).unwrap_or(LOOK_CLOSER),
    }
}
