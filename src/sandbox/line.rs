//! The line between a helper and the first process of its payload's namespaces: how a task goes over it. Afterwards single
//! bytes follow, the orders. It must not know what becomes of a task.

#![expect(unsafe_code, reason = "taking over descriptors that came by a socket")]

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::sandbox::spec::{IdKind, Spec};
use crate::sandbox::status::{Call, SetupError};

/// Descriptors that go with one message at most. The kernel's own limit is 253.
const AT_ONCE: usize = 128;

/// What the helper's messages begin with: a spec with or without its control group, and sources of root's.
const SPEC: u8 = b's';
const SOURCES: u8 = b'm';

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// Sends a task: the spec, the folder of the control group, and what of root's files is bound.
pub(crate) fn tell(
    line: &OwnedFd,
    spec: &OwnedFd,
    group: Option<&OwnedFd>,
    sources: &[OwnedFd],
) -> Result<(), Errno> {
    let task: Vec<RawFd> = [Some(spec), group].into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    pass(line, SPEC, &task)?;
    let sources: Vec<RawFd> = sources.iter().map(AsRawFd::as_raw_fd).collect();
    sources.chunks(AT_ONCE).try_for_each(|some| pass(line, SOURCES, some))
}

fn pass(line: &OwnedFd, word: u8, descriptors: &[RawFd]) -> Result<(), Errno> {
    let message = [ControlMessage::ScmRights(descriptors)];
    let word = [word];
    sendmsg::<()>(line.as_raw_fd(), &[IoSlice::new(&word)], &message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// What a first process is to do.
pub(crate) struct Task {
    /// What it was told.
    pub(crate) spec: Spec,
    /// The folder of the control group that the payload belongs in.
    pub(crate) group: Option<OwnedFd>,
    /// What is bound, where only root's rights outside could take it.
    pub(crate) sources: Option<Vec<OwnedFd>>,
}

impl Task {
    /// Waits for it. Nothing when the helper is gone, or wants something else.
    pub(crate) fn receive(line: &OwnedFd) -> Result<Option<Self>, SetupError> {
        let (request, descriptors) = message(line).map_err(failed(Call::ReadSpec))?;
        let mut descriptors = descriptors.into_iter();
        let (Some(spec), group) = (descriptors.next(), descriptors.next()) else { return Ok(None) };
        if request != SPEC {
            return Ok(None);
        }
        let spec = read(&File::from(spec))?;
        let world = spec.confined.as_ref().and_then(|confined| confined.world.as_ref());
        let world = world.ok_or(SetupError::new(Call::DecodeSpec, Errno::EINVAL))?;
        let sources = match world.ids.kind {
            IdKind::Own => None,
            IdKind::Dedicated => {
                let mut sources = Vec::with_capacity(world.binds.len());
                while sources.len() < world.binds.len() {
                    let (_, more) = message(line).map_err(failed(Call::ReadSpec))?;
                    if more.is_empty() {
                        return Ok(None);
                    }
                    sources.extend(more);
                }
                Some(sources)
            }
        };
        Ok(Some(Self { spec, group, sources }))
    }
}

/// Reads a spec. Not from where the descriptor stands: others have it as well.
pub(crate) fn read(spec: &File) -> Result<Spec, SetupError> {
    let failed = |error: std::io::Error| {
        SetupError::new(Call::ReadSpec, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let length = usize::try_from(spec.metadata().map_err(failed)?.len()).unwrap_or(usize::MAX);
    if length > Spec::MAX_BYTES {
        return Err(SetupError::new(Call::DecodeSpec, Errno::EFBIG));
    }
    let mut bytes = vec![0; length];
    spec.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Spec::decode(&bytes).map_err(|_| SetupError::new(Call::DecodeSpec, Errno::EINVAL))
}

/// A message with what came along; neither when the line has ended.
fn message(line: &OwnedFd) -> Result<(u8, Vec<OwnedFd>), Errno> {
    let mut word = [0];
    let mut parts = [IoSliceMut::new(&mut word)];
    let mut space = nix::cmsg_space!([RawFd; AT_ONCE]);
    let message = loop {
        match recvmsg::<()>(line.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let received = message.cmsgs()?.flat_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors,
        _ => Vec::new(),
    });
    // SAFETY: the kernel has just made these descriptors for us, and each is taken once.
    let received = received.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect();
    Ok((word[0], received))
}
