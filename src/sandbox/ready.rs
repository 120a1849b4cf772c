//! What a helper makes before it knows what it is to start: the parts that cost most are the same for most payloads. It must
//! not know who expects what.

use std::fs::File;
use std::os::fd::OwnedFd;

use crate::sandbox::first::First;
use crate::sandbox::host;
use crate::sandbox::owners::Owners;
use crate::sandbox::spec::{IdKind, Network, World};
use crate::sandbox::status::SetupError;

/// What was made before it was known what to start.
#[derive(Default)]
pub(crate) struct Ready {
    first: Option<First>,
    owners: Option<Owners>,
}

impl Ready {
    /// Makes what a payload with namespaces and the `expected` network needs. What fails will fail again when it is needed,
    /// and is said then.
    pub(crate) fn make(expected: Option<Network>, status: &File, control: &OwnedFd) -> Self {
        let Some((network, ids)) = expected.zip(host::ids()) else { return Self::default() };
        let first = First::start(ids, network, status, control).ok();
        let owners = match ids.kind {
            IdKind::Own => None,
            IdKind::Dedicated => {
                let mut owners = Owners::new(ids);
                owners.expect_own();
                Some(owners)
            }
        };
        Self { first, owners }
    }

    /// A first process that has been told to start what `spec` says, the one that is ready if it can be.
    pub(crate) fn begin(
        self,
        (spec, group): (&OwnedFd, Option<&OwnedFd>),
        world: &World,
        status: &File,
        control: &OwnedFd,
    ) -> Result<First, SetupError> {
        let owners = self.owners.filter(|owners| owners.ids() == world.ids);
        let mut owners = owners.unwrap_or_else(|| Owners::new(world.ids));
        if let Some(first) = self.first {
            if first.suits(world) && first.begin(spec, world, group, &mut owners)? {
                return Ok(first);
            }
            first.end();
        }
        let first = First::start(world.ids, world.network, status, control)?;
        first.begin(spec, world, group, &mut owners)?;
        Ok(first)
    }

    /// Lets go of it.
    pub(crate) fn end(self) {
        if let Some(first) = self.first {
            first.end();
        }
    }
}
