//! Short questions to programs of the host: git, an interpreter's version. They are children like any other, but what
//! they print is collected, and they get ten seconds.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::manifest::model::Network;
use crate::sandbox::confinement::{Confinement, KernelLimits, Tier, View};
use crate::sandbox::launch::Launch;
use crate::sandbox::spawn::{Sandbox, SpawnError};
use crate::sandbox::status::{FRAME, SetupError, Status};

/// How long a probe may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What a probe gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; absent when a signal ended it or its time was up.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a probe gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It could not be started, as the helper found.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its time was up.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// It printed more than was allowed.
    #[error("more than {0} bytes of output")]
    TooMuch(usize),
}

/// A question to a program, and what it may look at to answer it. It has no network, and writes nowhere that lasts.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The program, as an absolute path.
    pub program: &'a Path,
    /// Its arguments, without its name.
    pub args: &'a [OsString],
    /// Its whole environment.
    pub env: &'a [(OsString, OsString)],
    /// Where it starts.
    pub cwd: &'a Path,
    /// What it sees of the host's files.
    pub view: View,
    /// Most bytes that it may print on each stream.
    pub limit: usize,
}

/// Memory of a probe, in bytes. Git maps whole packs.
const MEMORY: u64 = 4 << 30;

/// Private writable space of a probe, in bytes.
const SCRATCH: u64 = 64 << 20;

impl Sandbox {
    /// Asks `question` in the best tier that the host has, and returns what was printed.
    ///
    /// # Errors
    /// Fails when the program cannot be started, prints too much or does not end in time. An exit code other than 0 is
    /// no error here.
    pub fn probe(&self, question: &Question<'_>) -> Result<Output, ProbeError> {
        let launch = Launch {
            program: question.program.into(),
            args: question.args.to_vec(),
            env: question.env.to_vec(),
            cwd: question.cwd.into(),
            confinement: confined(self.layers().tier(), question.view.clone()),
            private: Vec::new(),
        };
        let mut child = self.spawn(&launch)?;
        let result = collect(&child, question.limit);
        if result.is_ok() {
            child.reap();
        }
        // Otherwise it ends with what it still does when it is dropped.
        result
    }
}

/// How a probe that sees `view` is confined in `tier`.
fn confined(tier: Tier, view: View) -> Option<Confinement> {
    (tier != Tier::None).then_some(Confinement {
        tier,
        view,
        network: Network::None,
        ports: Vec::new(),
        unix_sockets: false,
        limits: KernelLimits {
            memory: MEMORY,
            processes: 64,
            cpu: Duration::from_secs(20),
            scratch: SCRATCH,
            inodes: 4096,
        },
    })
}

fn collect(child: &crate::sandbox::child::Child, limit: usize) -> Result<Output, ProbeError> {
    let deadline = Instant::now() + TIMEOUT;
    let mut output = Output::default();
    let mut frames = Vec::new();
    let mut open = [Some(&child.stdout), Some(&child.stderr), Some(&child.status)];
    for fd in open.into_iter().flatten() {
        // Without it a read could block past the deadline.
        let _ = fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    }
    while open.iter().any(Option::is_some) {
        let left = deadline.checked_duration_since(Instant::now()).ok_or(ProbeError::TimedOut)?;
        let mut ready: Vec<PollFd> =
            open.iter().flatten().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(ProbeError::TimedOut),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => break,
        }
        for (slot, bytes) in open.iter_mut().zip([&mut output.stdout, &mut output.stderr, &mut frames]) {
            let Some(fd) = *slot else { continue };
            if !drain(fd, bytes) {
                *slot = None;
            }
        }
        // What the helper says is bounded by itself.
        if output.stdout.len() > limit || output.stderr.len() > limit {
            return Err(ProbeError::TooMuch(limit));
        }
    }
    for frame in frames.chunks_exact(FRAME) {
        match frame.try_into().ok().and_then(Status::decode) {
            Some(Status::Failed(error)) => return Err(error.into()),
            Some(Status::Exited { code }) => output.code = Some(code),
            _ => {}
        }
    }
    Ok(output)
}

/// Reads what is there. False at the end of the stream.
fn drain(fd: &std::os::fd::OwnedFd, into: &mut Vec<u8>) -> bool {
    let Ok(fd) = fd.try_clone() else { return false };
    let mut buffer = [0; 16 << 10];
    match File::from(fd).read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            into.extend_from_slice(&buffer[..count]);
            true
        }
        Err(error) => {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted)
        }
    }
}
