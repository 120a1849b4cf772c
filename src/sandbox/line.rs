//! The lines between a helper, the first process of its payload's namespaces, and the payload's own: how tasks and descriptors
//! go over them. Orders follow as single bytes. It must not know what becomes of a task.

#![expect(unsafe_code, reason = "taking over descriptors that came by a socket")]

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::sandbox::spec::Spec;
use crate::sandbox::status::{Call, SetupError};

/// Descriptors that go with one message at most. The kernel's own limit is 253.
const AT_ONCE: usize = 128;

/// What messages begin with: a spec with or without its control group, and descriptors.
const SPEC: u8 = b's';
const DESCRIPTORS: u8 = b'd';

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
}

/// Sends a task: the spec, and the folder of the control group.
pub(crate) fn tell(line: &OwnedFd, spec: &File, group: Option<&OwnedFd>) -> Result<(), Errno> {
    let task: Vec<RawFd> =
        [Some(spec.as_raw_fd()), group.map(AsRawFd::as_raw_fd)].into_iter().flatten().collect();
    pass(line, SPEC, &task)
}

/// Sends `descriptors`, which the other end must know the number of.
pub(crate) fn pass_all(line: &OwnedFd, descriptors: &[OwnedFd]) -> Result<(), Errno> {
    let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    descriptors.chunks(AT_ONCE).try_for_each(|some| pass(line, DESCRIPTORS, some))
}

/// Waits for `count` descriptors. Nothing when there is nobody any more to send them.
pub(crate) fn receive_all(line: &OwnedFd, count: usize) -> Result<Option<Vec<OwnedFd>>, Errno> {
    let mut descriptors = Vec::with_capacity(count);
    while descriptors.len() < count {
        let (_, more) = message(line)?;
        if more.is_empty() {
            return Ok(None);
        }
        descriptors.extend(more);
    }
    Ok(Some(descriptors))
}

/// Sends descriptors, with a word.
pub(crate) fn pass(line: &OwnedFd, word: u8, descriptors: &[RawFd]) -> Result<(), Errno> {
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
        Ok(Some(Self { spec: read(&File::from(spec))?, group }))
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
pub(crate) fn message(line: &OwnedFd) -> Result<(u8, Vec<OwnedFd>), Errno> {
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
