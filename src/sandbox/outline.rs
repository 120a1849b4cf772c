//! What is known of a payload before its spec has been compiled, and how that goes over the lines: with it the payload's process
//! can be created, and gets ready while the executor is still at work. It must not know what becomes of it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::manifest::model;
use crate::sandbox::confinement::{Confinement, Tier};
use crate::sandbox::line;
use crate::sandbox::spec::{Network, Spec};
use crate::sandbox::status::{Call, SetupError};

/// How a payload is confined, in so far as its process must be made for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not at all.
    Free,
    /// Without namespaces.
    Plain,
    /// With namespaces, and this network.
    Namespaces(Network),
}

impl Shape {
    /// Every shape, with the word for it.
    const ALL: [(Self, u8); 4] = [
        (Self::Free, b'f'),
        (Self::Plain, b'p'),
        (Self::Namespaces(Network::Own), b'n'),
        (Self::Namespaces(Network::Host), b'h'),
    ];

    /// The shape of what `policy` will be compiled to.
    pub(crate) fn of_policy(policy: Option<&Confinement>) -> Self {
        let Some(policy) = policy else { return Self::Free };
        match (policy.tier, policy.network) {
            (Tier::None, _) => Self::Free,
            (Tier::Landlock, _) => Self::Plain,
            (Tier::Namespaces, model::Network::None) => Self::Namespaces(Network::Own),
            (Tier::Namespaces, model::Network::Host) => Self::Namespaces(Network::Host),
        }
    }

    /// The shape of `spec`. Whoever has been given an outline sees that it was that of the spec.
    pub(crate) fn of_spec(spec: &Spec) -> Self {
        match (&spec.confined, spec.world()) {
            (None, _) => Self::Free,
            (Some(_), None) => Self::Plain,
            (Some(_), Some(world)) => Self::Namespaces(world.network),
        }
    }
}

/// What is to be started, in outline. The spec follows.
pub(crate) struct Outline {
    /// How it is confined.
    pub(crate) shape: Shape,
    /// The folder of the control group that the payload belongs in.
    pub(crate) group: Option<OwnedFd>,
}

impl Outline {
    /// Sends it.
    pub(crate) fn send(&self, line: &OwnedFd) -> Result<(), Errno> {
        let word = Shape::ALL.iter().find(|(shape, _)| *shape == self.shape).map_or(0, |(_, word)| *word);
        let group: Vec<RawFd> = self.group.iter().map(AsRawFd::as_raw_fd).collect();
        line::pass(line, word, &group)
    }

    /// Waits for it. Nothing when the other end is gone, or wants something else.
    pub(crate) fn receive(line: &OwnedFd) -> Result<Option<Self>, SetupError> {
        let (word, descriptors) =
            line::message(line).map_err(|errno| SetupError::new(Call::ReadSpec, errno))?;
        let shape = Shape::ALL.iter().find(|(_, known)| *known == word).map(|(shape, _)| *shape);
        Ok(shape.map(|shape| Self { shape, group: descriptors.into_iter().next() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::fs::File;

    #[test]
    fn outlines_arrive_as_they_were_sent() {
        let (here, there) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        for (index, (shape, _)) in Shape::ALL.into_iter().enumerate() {
            let group = (index % 2 == 0).then(|| File::open("/dev/null").unwrap().into());
            Outline { shape, group }.send(&here).unwrap();
        }
        for (index, (shape, _)) in Shape::ALL.into_iter().enumerate() {
            let outline = Outline::receive(&there).unwrap().unwrap();
            assert_eq!((outline.shape, outline.group.is_some()), (shape, index % 2 == 0));
        }
        drop(here);
        assert!(Outline::receive(&there).unwrap().is_none());
    }
}
