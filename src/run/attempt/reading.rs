//! Reading what a child's pipes give.

use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

pub(super) fn receiver(fd: &OwnedFd) -> std::io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(fd.try_clone()?)
}

/// Reads from `pipe`; nothing at its end, and never when it is closed already.
pub(super) async fn read(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> Option<usize> {
    match pipe {
        None => std::future::pending().await,
        Some(pipe) => match pipe.read(buffer).await {
            Ok(0) | Err(_) => None,
            Ok(count) => Some(count),
        },
    }
}
