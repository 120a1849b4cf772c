//! A network of a payload's own: a namespace in which there is nothing but a loopback interface. It must not know whose it is.

#![expect(unsafe_code, reason = "calls that the C libraries have no functions for")]

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::sandbox::status::{Call, SetupError};

/// Takes this process into a network of its own, with the loopback interface up. Returns the namespace, for others who are to
/// be in it.
pub(crate) fn own() -> Result<OwnedFd, SetupError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| SetupError::new(Call::Namespaces, errno))?;
    let namespace = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .and_then(|socket| loopback_up(&socket).and_then(|()| namespace_of(&socket)));
    namespace.map_err(|errno| SetupError::new(Call::Loopback, errno))
}

fn loopback_up(socket: &OwnedFd) -> Result<(), Errno> {
    // SIOCSIFFLAGS, by number because the C libraries do not agree on its type.
    const SET_FLAGS: u16 = 0x8914;
    // SAFETY: all bytes 0 are a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    #[expect(clippy::cast_possible_truncation, reason = "two flags of the lowest sixteen bits")]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the socket is open and the request is whole; the kernel only reads it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::Ioctl::from(SET_FLAGS), &raw const request) };
    Errno::result(result).map(drop)
}

/// The namespace of a socket. By its file in procfs it could not be had while a world is being built.
fn namespace_of(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    // SIOCGSKNS.
    const GET_NAMESPACE: u16 = 0x894C;
    // SAFETY: the socket is open, and the request takes nothing.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::Ioctl::from(GET_NAMESPACE), 0_usize) };
    // SAFETY: the kernel has just made this descriptor for us. It closes when a program is executed, as the kernel makes it.
    Errno::result(result).map(|namespace| unsafe { OwnedFd::from_raw_fd(namespace) })
}
