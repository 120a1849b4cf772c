//! What a helper makes before it knows what it is to start: the parts that cost most are the same for most payloads. It must
//! not know who expects what.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sched::sched_yield;

use crate::sandbox::first::First;
use crate::sandbox::host;
use crate::sandbox::line::{self, Task};
use crate::sandbox::owners::Owners;
use crate::sandbox::spec::IdKind;
use crate::sandbox::status::{Call, SetupError};
use crate::sandbox::world;

/// Namespaces that wait for a payload.
pub(crate) struct Ready {
    first: First,
    owners: Option<Owners>,
}

impl Ready {
    /// Makes them.
    pub(crate) fn make(status: &File, control: &OwnedFd) -> Result<Self, SetupError> {
        let ids = host::ids().ok_or(SetupError::new(Call::IdMap, Errno::EPERM))?;
        let first = First::start(ids, status, control)?;
        let owners = match ids.kind {
            IdKind::Own => None,
            IdKind::Dedicated => {
                let mut owners = Owners::new(ids);
                owners.expect_own();
                Some(owners)
            }
        };
        Ok(Self { first, owners })
    }

    /// Id of their first process.
    pub(crate) const fn first(&self) -> i32 {
        self.first.pid()
    }

    /// Tells their first process what to start. Nothing when it was gone.
    pub(crate) fn begin(self, task: &Task) -> Result<Option<Self>, SetupError> {
        match self.first.begin(task) {
            Ok(true) => Ok(Some(self)),
            Ok(false) => {
                self.end();
                Ok(None)
            }
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// Hands over what only this process can give of the payload's world in `spec`, while the first process builds the rest.
    pub(crate) fn provide(self, spec: &File) -> Result<First, SetupError> {
        let Self { first, owners } = self;
        let Some(owners) = owners else { return Ok(first) };
        // The first process has more to do, and is often on the same processor.
        let _ = sched_yield();
        match only_here(spec, owners).and_then(|sources| first.give(&sources)) {
            Ok(()) => Ok(first),
            Err(error) => {
                first.end();
                Err(error)
            }
        }
    }

    /// Lets go of them.
    pub(crate) fn end(self) {
        self.first.end();
    }
}

/// What root's rights outside are needed for. The spec is read a second time for that, while the first process does the same.
fn only_here(spec: &File, mut owners: Owners) -> Result<Vec<OwnedFd>, SetupError> {
    let spec = line::read(spec)?;
    let world = spec.world().ok_or(SetupError::new(Call::DecodeSpec, Errno::EINVAL))?;
    world::sources(world, &mut owners)
}
