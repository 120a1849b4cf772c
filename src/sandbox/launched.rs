//! A payload on its way: its process is there, waits for its world, and says when the program runs in it or why it does not.
//!
//! ```text
//! parent:   start ─── tell ─── build the world ── open, seal the world ── go ── wait ──▶ it runs
//! payload:    └─ network, rights, session ──────────┘└─ confine ───────────┘└─ exec ─┘
//! ```
//!
//! What a payload needs beside its files takes as long to make as these do, so that both are made at the same time. It is the
//! same for all payloads of a shape, so that it can begin before it is known what is to be run.

#![expect(unsafe_code, reason = "a process ends without clean-up")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::{Mode, fstat, stat};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::sandbox::clone::{self, Side};
use crate::sandbox::elsewhere::Elsewhere;
use crate::sandbox::landlock::{self, PathRule};
use crate::sandbox::line::{self, heard};
use crate::sandbox::network;
use crate::sandbox::outline::{Outline, Shape};
use crate::sandbox::payload;
use crate::sandbox::privileges;
use crate::sandbox::spec::{IdKind, Network, Spec};
use crate::sandbox::status::{Call, SetupError, Status, read_failure};

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// A payload that is on its way.
pub(crate) struct Launched {
    shape: Shape,
    pid: Pid,
    line: OwnedFd,
    report: OwnedFd,
    elsewhere: Option<Elsewhere>,
}

/// One that has been told to become its program.
pub(crate) struct Going {
    pid: Pid,
    report: OwnedFd,
}

impl Launched {
    /// Starts the payload's process below this one, in the group of `outline` when there is one. With namespaces, `kind` says
    /// whose rights this process has. It waits until it is told what to run, then for its files, and then for leave to run.
    pub(crate) fn start(outline: &Outline, kind: IdKind) -> Result<Self, SetupError> {
        let shape = outline.shape;
        let elsewhere = match shape {
            Shape::Namespaces(_) => Elsewhere::than_here(),
            // Its parent has nothing else to do.
            Shape::Free | Shape::Plain => None,
        };
        let (report, report_end) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Call::Fork))?;
        let (line, line_end) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(failed(Call::Fork))?;
        match clone::process(0, outline.group.as_ref().map(AsFd::as_fd)).map_err(failed(Call::Fork))? {
            Side::Child(joined) => {
                drop((report, line));
                let joined = joined.map_err(failed(Call::Group));
                let code =
                    match joined.and_then(|()| become_payload(shape, kind, elsewhere.as_ref(), &line_end)) {
                        Ok(()) => 0,
                        Err(error) => {
                            let _ = File::from(report_end).write_all(&Status::Failed(error).encode());
                            127
                        }
                    };
                // SAFETY: ends the process without running the parent's clean-up, which is not this child's to run.
                unsafe { libc::_exit(code) }
            }
            Side::Parent(pid) => Ok(Self { shape, pid, line, report, elsewhere }),
        }
    }

    /// Tells it what it is to run.
    pub(crate) fn tell(&self, spec: &File) -> Result<(), SetupError> {
        // Nobody else needs a processor now: whoever has compiled this has done its part.
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.send(self.pid);
        }
        // One that has ended has said why, here and below.
        heard(line::pass_spec(&self.line, spec)).map(drop).map_err(failed(Call::ReadSpec))
    }

    /// Takes this process into the payload's network: the payload can see its parent's in procfs, and it must not be the
    /// host's.
    pub(crate) fn enter_network(&self) -> Result<(), SetupError> {
        match self.shape {
            Shape::Free | Shape::Plain | Shape::Namespaces(Network::Host) => Ok(()),
            Shape::Namespaces(Network::Own) => {
                let namespace = line::receive_all(&self.line, 1).map_err(failed(Call::Namespaces))?;
                // One that has ended instead has said why.
                namespace.iter().flatten().try_for_each(|namespace| {
                    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(failed(Call::Namespaces))
                })
            }
        }
    }

    /// Opens what it needs to be confined as `spec` says, in the root of this process, and has it confine itself. It may not
    /// have the rights any more to open it.
    pub(crate) fn open(&self, spec: &Spec) -> Result<(), SetupError> {
        heard(line::pass_all(&self.line, &descriptors(spec)?)).map(drop).map_err(failed(Call::Root))
    }

    /// Has it run its program.
    pub(crate) fn go(self) -> Result<Going, SetupError> {
        match heard(line::say(&self.line, line::GO)) {
            Ok(_) => Ok(Going { pid: self.pid, report: self.report }),
            Err(errno) => {
                self.end();
                Err(SetupError::new(Call::Execute, errno))
            }
        }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        let Self { pid, line, .. } = self;
        // Without this end of its line it ends.
        drop(line);
        let _ = waitpid(pid, None);
    }
}

impl Going {
    /// Waits until it runs.
    pub(crate) fn wait(self) -> Result<Pid, SetupError> {
        let Self { pid, report } = self;
        match read_failure(report) {
            Some(error) => {
                let _ = waitpid(pid, None);
                Err(error)
            }
            // The pipe closed without a word: the program runs, unless somebody has killed it before.
            None => Ok(pid),
        }
    }
}

fn descriptors(spec: &Spec) -> Result<Vec<OwnedFd>, SetupError> {
    let root = open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed(Call::Root))?;
    let paths = rules(spec).iter().map(|rule| {
        landlock::open(&rule.path)
            .map_err(|errno| SetupError::at(Call::LandlockPath, rule.path.to_bytes(), errno))
    });
    std::iter::once(Ok(root)).chain(paths).collect()
}

/// What a payload's process does, up to the point where the program runs in it.
fn become_payload(
    shape: Shape,
    kind: IdKind,
    elsewhere: Option<&Elsewhere>,
    line: &OwnedFd,
) -> Result<(), SetupError> {
    // Where it would run instead of its parent it waits until that has sent it elsewhere. Giving way once was tried: the kernel
    // takes it for the next one all the same.
    let early = match elsewhere {
        Some(elsewhere) if elsewhere.is_with_parent() => Some(line::receive_spec(line)?),
        Some(_) | None => None,
    };
    if let Shape::Namespaces(network) = shape {
        match network {
            Network::Host => {}
            Network::Own => {
                line::pass_all(line, &[network::own()?]).map_err(failed(Call::Namespaces))?;
            }
        }
        // It is in its control group by now, so that this is what it takes for the root of all groups.
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed(Call::Namespaces))?;
        privileges::become_payload(kind)?;
    }
    payload::prepare(shape != Shape::Free)?;
    let spec = match early {
        Some(spec) => spec,
        None => line::receive_spec(line)?,
    };
    // Nobody wants it any more, and the same below.
    let Some(spec) = spec else { return Ok(()) };
    if let Some(elsewhere) = elsewhere {
        elsewhere.everywhere();
    }
    let spec = &read(&spec, shape)?;
    let count = 1 + rules(spec).len();
    let descriptors = line::receive_all(line, count).map_err(failed(Call::Root))?;
    let Some((root, paths)) = descriptors.as_deref().and_then(<[_]>::split_first) else {
        return Ok(());
    };
    // The kernel has taken this process along when the root changed. That is seen, not believed.
    let same = fstat(root)
        .and_then(|root| stat(c"/").map(|own| (root.st_dev, root.st_ino) == (own.st_dev, own.st_ino)));
    if !same.map_err(failed(Call::Root))? {
        return Err(SetupError::at(Call::Root, b"/", Errno::ENOTRECOVERABLE));
    }
    let allowed: Vec<_> = paths.iter().zip(rules(spec).iter().map(|rule| rule.access)).collect();
    payload::confine(spec, &allowed)?;
    drop(descriptors);
    if line::hear(line, line::GO).map_err(failed(Call::Execute))? {
        payload::become_program(spec)
    } else {
        Ok(())
    }
}

/// Reads a spec of which `shape` is known.
pub(crate) fn read(spec: &File, shape: Shape) -> Result<Spec, SetupError> {
    let spec = line::read(spec)?;
    if Shape::of_spec(&spec) == shape {
        Ok(spec)
    } else {
        Err(SetupError::new(Call::DecodeSpec, Errno::EINVAL))
    }
}

/// Where Landlock allows what.
fn rules(spec: &Spec) -> &[PathRule] {
    let landlock = spec.confined.as_ref().and_then(|confined| confined.landlock.as_ref());
    landlock.map_or(&[], |landlock| &landlock.paths)
}
