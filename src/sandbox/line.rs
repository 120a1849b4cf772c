//! The lines between executor, helper, the first process of new namespaces, and the payload's own: how specs and other
//! descriptors go over them. Orders follow as single bytes. It must not know what becomes of any of these.

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

/// How descriptors begin that the other end waits for.
const DESCRIPTORS: u8 = b'd';

/// Tells a first process that it has been mapped to its users.
pub(crate) const MAPPED: u8 = b'm';

/// Tells a payload's process that the program may run.
pub(crate) const GO: u8 = b'g';

/// Sends `descriptors`, which the other end must know the number of.
pub(crate) fn pass_all(line: &OwnedFd, descriptors: &[impl AsRawFd]) -> Result<(), Errno> {
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

/// Sends a word, and `descriptors` along with it.
pub(super) fn pass(line: &OwnedFd, word: u8, descriptors: &[RawFd]) -> Result<(), Errno> {
    let message = [ControlMessage::ScmRights(descriptors)];
    let message = if descriptors.is_empty() { &[][..] } else { &message[..] };
    let word = [word];
    sendmsg::<()>(line.as_raw_fd(), &[IoSlice::new(&word)], message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Whether there was somebody to hear what has been said.
pub(crate) fn heard(said: Result<(), Errno>) -> Result<bool, Errno> {
    match said {
        Ok(()) => Ok(true),
        Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Says a word.
pub(crate) fn say(line: &OwnedFd, word: u8) -> Result<(), Errno> {
    pass(line, word, &[])
}

/// Waits for a word. False when there is nobody any more to say it.
pub(crate) fn hear(line: &OwnedFd, expected: u8) -> Result<bool, Errno> {
    match message(line)? {
        (word, descriptors) if word == expected && descriptors.is_empty() => Ok(true),
        (0, descriptors) if descriptors.is_empty() => Ok(false),
        _ => Err(Errno::EPROTO),
    }
}

/// Sends a spec, to be read by [`read`].
pub(crate) fn pass_spec(line: &OwnedFd, spec: &File) -> Result<(), Errno> {
    pass_all(line, std::slice::from_ref(spec))
}

/// Waits for a spec. Nothing when there is nobody any more to send it.
pub(crate) fn receive_spec(line: &OwnedFd) -> Result<Option<File>, SetupError> {
    let received = receive_all(line, 1).map_err(|errno| SetupError::new(Call::ReadSpec, errno))?;
    Ok(received.and_then(|descriptors| descriptors.into_iter().next()).map(File::from))
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
pub(super) fn message(line: &OwnedFd) -> Result<(u8, Vec<OwnedFd>), Errno> {
    let mut word = [0];
    let mut parts = [IoSliceMut::new(&mut word)];
    let mut space = nix::cmsg_space!([RawFd; AT_ONCE]);
    let message = loop {
        match recvmsg::<()>(line.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            // The other end has gone with something unread; what it has said before is still there.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
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
