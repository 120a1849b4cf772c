//! A payload on its way: its process is there, waits for its world, and says when the program runs in it or why it does not.
//!
//! ```text
//! parent:   start ──── build the world ──── enter network, open ── go ──────────▶ it runs
//! payload:    └─ network, rights, session ───┘                      └─ confine, exec ─┘
//! ```
//!
//! What a payload needs beside its files takes as long to make as these do, so that both are made at the same time.

#![expect(unsafe_code, reason = "a process ends without clean-up")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::{Mode, fstat, stat};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::sandbox::clone::{self, Side};
use crate::sandbox::landlock::{self, PathRule};
use crate::sandbox::line;
use crate::sandbox::network;
use crate::sandbox::payload;
use crate::sandbox::privileges;
use crate::sandbox::spec::{Network, Spec};
use crate::sandbox::status::{Call, SetupError, Status, read_failure};

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// A payload that is on its way.
pub(crate) struct Launched<'a> {
    spec: &'a Spec,
    pid: Pid,
    line: OwnedFd,
    report: OwnedFd,
}

/// One that only has to be told to go on, with what it needs for that: the root, and the paths of Landlock's rules.
pub(crate) struct Opened<'a> {
    launched: Launched<'a>,
    descriptors: Vec<OwnedFd>,
}

impl<'a> Launched<'a> {
    /// Starts the payload's process below this one, in `group` when there is one. It waits until it is told to go on.
    pub(crate) fn start(spec: &'a Spec, group: Option<BorrowedFd<'_>>) -> Result<Self, SetupError> {
        let (report, report_end) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Call::Fork))?;
        let (line, line_end) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(failed(Call::Fork))?;
        match clone::process(0, group).map_err(failed(Call::Fork))? {
            Side::Child(joined) => {
                drop((report, line));
                let joined = joined.map_err(failed(Call::Group));
                let code = match joined.and_then(|()| become_payload(spec, &line_end)) {
                    Ok(()) => 0,
                    Err(error) => {
                        let _ = File::from(report_end).write_all(&Status::Failed(error).encode());
                        127
                    }
                };
                // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
                unsafe { libc::_exit(code) }
            }
            Side::Parent(pid) => Ok(Self { spec, pid, line, report }),
        }
    }

    /// Takes this process into the payload's network: the payload can see its parent's in procfs, and it must not be the
    /// host's.
    pub(crate) fn enter_network(&self) -> Result<(), SetupError> {
        match self.spec.world().map(|world| world.network) {
            None | Some(Network::Host) => Ok(()),
            Some(Network::Own) => {
                let namespace = line::receive_all(&self.line, 1).map_err(failed(Call::Namespaces))?;
                // One that has ended instead has said why.
                namespace.iter().flatten().try_for_each(|namespace| {
                    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(failed(Call::Namespaces))
                })
            }
        }
    }

    /// Opens what it needs to go on, in the root of this process. It may not have the rights any more.
    pub(crate) fn open(self) -> Result<Opened<'a>, SetupError> {
        match self.descriptors() {
            Ok(descriptors) => Ok(Opened { launched: self, descriptors }),
            Err(error) => Err(self.abandon(error)),
        }
    }

    fn descriptors(&self) -> Result<Vec<OwnedFd>, SetupError> {
        let root = open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed(Call::Root))?;
        let paths = rules(self.spec).iter().map(|rule| {
            landlock::open(&rule.path)
                .map_err(|errno| SetupError::at(Call::LandlockPath, rule.path.to_bytes(), errno))
        });
        std::iter::once(Ok(root)).chain(paths).collect()
    }

    /// Ends it because of `error`.
    fn abandon(self, error: SetupError) -> SetupError {
        let Self { pid, line, .. } = self;
        // Without this end of its line it ends.
        drop(line);
        let _ = waitpid(pid, None);
        error
    }
}

impl Opened<'_> {
    /// Lets it go on, and returns when it runs.
    pub(crate) fn go(self) -> Result<Pid, SetupError> {
        let Self { launched, descriptors } = self;
        match line::pass_all(&launched.line, &descriptors) {
            // One that has ended has said why.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
            Err(errno) => return Err(launched.abandon(SetupError::new(Call::Root, errno))),
        }
        match read_failure(launched.report) {
            Some(error) => {
                let _ = waitpid(launched.pid, None);
                Err(error)
            }
            // The pipe closed without a word: the program runs, unless somebody has killed it before.
            None => Ok(launched.pid),
        }
    }
}

/// What a payload's process does, up to the point where the program runs in it.
fn become_payload(spec: &Spec, line: &OwnedFd) -> Result<(), SetupError> {
    if let Some(world) = spec.world() {
        match world.network {
            Network::Host => {}
            Network::Own => {
                line::pass_all(line, &[network::own()?]).map_err(failed(Call::Namespaces))?;
            }
        }
        // It is in its control group by now, so that this is what it takes for the root of all groups.
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed(Call::Namespaces))?;
        privileges::become_payload(world.ids.kind)?;
    }
    payload::prepare(spec)?;
    let count = 1 + rules(spec).len();
    let descriptors = line::receive_all(line, count).map_err(failed(Call::Root))?;
    let Some((root, paths)) = descriptors.as_deref().and_then(<[_]>::split_first) else {
        // Nobody wants it any more.
        return Ok(());
    };
    // The kernel has taken this process along when the root changed. That is seen, not believed.
    let same = fstat(root)
        .and_then(|root| stat(c"/").map(|own| (root.st_dev, root.st_ino) == (own.st_dev, own.st_ino)));
    if !same.map_err(failed(Call::Root))? {
        return Err(SetupError::at(Call::Root, b"/", Errno::ENOTRECOVERABLE));
    }
    let allowed: Vec<_> = paths.iter().zip(rules(spec).iter().map(|rule| rule.access)).collect();
    payload::run(spec, &allowed)
}

/// Where Landlock allows what.
fn rules(spec: &Spec) -> &[PathRule] {
    let landlock = spec.confined.as_ref().and_then(|confined| confined.landlock.as_ref());
    landlock.map_or(&[], |landlock| &landlock.paths)
}
