//! The lines between executor, helper, the first process of new namespaces, and the payload's own: how tasks and descriptors go
//! over them. Orders follow as single bytes. It must not know what becomes of a task.

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

/// How a task begins whose spec has namespaces, and any other.
const WITH_NAMESPACES: u8 = b'n';
const WITHOUT_NAMESPACES: u8 = b's';

/// How descriptors begin that the other end waits for.
const DESCRIPTORS: u8 = b'd';

/// Tells a first process that it has been mapped to its users.
pub(crate) const MAPPED: u8 = b'g';

fn failed(call: Call) -> impl FnOnce(Errno) -> SetupError {
    move |errno| SetupError::new(call, errno)
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
        let (word, more) = message(line)?;
        match (word, more.is_empty()) {
            (DESCRIPTORS, false) => {}
            (0, true) => return Ok(None),
            _ => return Err(Errno::EPROTO),
        }
        descriptors.extend(more);
    }
    Ok(Some(descriptors))
}

fn pass(line: &OwnedFd, word: u8, descriptors: &[RawFd]) -> Result<(), Errno> {
    let message = [ControlMessage::ScmRights(descriptors)];
    let word = [word];
    sendmsg::<()>(line.as_raw_fd(), &[IoSlice::new(&word)], &message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// What is to be started.
pub(crate) struct Task {
    /// The spec, to be read by [`read`].
    pub(crate) spec: File,
    /// The folder of the control group that the payload belongs in.
    pub(crate) group: Option<OwnedFd>,
    /// Whether the spec has namespaces: so much is known before it has been read.
    pub(crate) namespaces: bool,
}

impl Task {
    /// Sends it.
    pub(crate) fn send(&self, line: &OwnedFd) -> Result<(), Errno> {
        let word = if self.namespaces { WITH_NAMESPACES } else { WITHOUT_NAMESPACES };
        let descriptors: Vec<RawFd> =
            [Some(self.spec.as_raw_fd()), self.group.as_ref().map(AsRawFd::as_raw_fd)]
                .into_iter()
                .flatten()
                .collect();
        pass(line, word, &descriptors)
    }

    /// Waits for it. Nothing when the other end is gone, or wants something else.
    pub(crate) fn receive(line: &OwnedFd) -> Result<Option<Self>, SetupError> {
        loop {
            let (word, descriptors) = message(line).map_err(failed(Call::ReadSpec))?;
            // For a first process that has failed before it could read this.
            if word == MAPPED && descriptors.is_empty() {
                continue;
            }
            let mut descriptors = descriptors.into_iter();
            let spec = descriptors.next().map(File::from);
            let namespaces = word == WITH_NAMESPACES;
            return Ok(spec.map(|spec| Self { spec, group: descriptors.next(), namespaces }));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, send, socketpair};

    fn ends() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    fn null() -> File {
        File::open("/dev/null").unwrap()
    }

    #[test]
    fn a_task_arrives_behind_a_word_that_nobody_has_read() {
        let (here, there) = ends();
        send(here.as_raw_fd(), &[MAPPED], MsgFlags::empty()).unwrap();
        Task { spec: null(), group: Some(null().into()), namespaces: true }.send(&here).unwrap();
        Task { spec: null(), group: None, namespaces: false }.send(&here).unwrap();
        let kinds = [(); 2].map(|()| {
            let task = Task::receive(&there).unwrap().unwrap();
            (task.namespaces, task.group.is_some())
        });
        assert_eq!(kinds, [(true, true), (false, false)]);
        drop(here);
        assert!(Task::receive(&there).unwrap().is_none());
    }

    #[test]
    fn descriptors_arrive_in_full_or_not_at_all() {
        let (here, there) = ends();
        let many: Vec<OwnedFd> = (0..=AT_ONCE).map(|_| null().into()).collect();
        pass_all(&here, &many).unwrap();
        assert_eq!(receive_all(&there, many.len()).unwrap().unwrap().len(), many.len());
        pass_all(&here, &many[..1]).unwrap();
        send(here.as_raw_fd(), b"k", MsgFlags::empty()).unwrap();
        assert_eq!(receive_all(&there, 2).unwrap_err(), Errno::EPROTO);
        drop(here);
        assert!(receive_all(&there, 1).unwrap().is_none());
    }
}
