//! What a run has begun outside of itself, and what is known to have come of it: one file a run, in the folder for state.
//!
//! Every effect on GitHub goes by three steps: the intent is written down and confirmed by the disk, then the call is made,
//! then what came of it is written down. Whoever comes after a crash reads what is known and what is in doubt, and asks the
//! server about the latter. Who holds the file is alive: the kernel lets go of it for a process that has died. It must not
//! know how an effect is made, nor speak to anybody.

pub mod entry;
pub mod file;
pub mod state;
