//! Starting children, and keeping hold of them.
//!
//! The only room that starts a process. It compiles a [`launch::Launch`] to a [`spec::Spec`], hands that to a helper
//! (this same binary, started again) and keeps the two ends of the helper's pipes. It decides nothing: what to run and
//! how it is to be confined comes from the plan.
//!
//! ```text
//! executor ──control──▶ helper ──fork, exec──▶ payload ──▶ whatever it starts
//!          ◀──status───        ◀── orphans come back here, however often they fork
//! ```
//!
//! With namespaces one more process stands between them, process 1 of its own:
//!
//! ```text
//! executor ──control──▶ helper ──line──▶ first process ──fork, exec──▶ payload
//!          ──────────────────direct────▶
//!          ◀──────────────────status────
//! ```
//!
//! Helper and first process are started ahead of their time, and prepare what does not depend on what will be asked for. What is
//! to be started is told in outline first, so that the payload's process is there before its spec has been compiled. It takes
//! its network and gives up its rights while the first process builds its files, and confines itself while that lets go of the
//! host's. Then it is told to go.
//!
//! At the end the first process says that nothing is left, and the executor removes what only it can remove. Until then the
//! helper is there to do that for an executor that is killed; then the executor kills it.
//!
//! The helper is the subreaper of everything below it, so a daemon that forks twice still ends up as its child and dies
//! with the step. It lives as long as the executor holds the control socket: when the executor is killed, that closes
//! and the helper takes everything with it. `PDEATHSIG` was rejected for that: it fires when the spawning *thread* ends.

pub mod cgroup;
pub mod child;
mod clone;
pub mod compile;
pub mod confinement;
pub mod discard;
mod elsewhere;
mod first;
mod helper;
pub mod host;
pub mod init;
pub mod landlock;
pub mod launch;
mod launched;
pub mod layers;
pub mod layout;
mod line;
mod memory;
mod mount;
mod namespaces;
mod network;
mod outline;
mod owners;
mod payload;
mod privileges;
pub mod probe;
mod process;
pub mod processes;
pub mod remains;
mod sealed;
pub mod seccomp;
pub mod sockets;
pub mod space;
pub mod spawn;
pub mod spec;
pub mod status;
pub mod strays;
mod trial;
pub mod usage;
mod world;
