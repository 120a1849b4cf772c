//! Making GitHub agree with a run: one check run, with what the record says.
//!
//! Reads records and events, decides nothing about the verdict, and never touches a step. What goes wrong here is told,
//! and the record stays as it was.

pub mod annotations;
pub mod artifacts;
pub mod closing;
pub mod compose;
pub mod fallback;
pub mod gates;
pub mod live;
pub mod outbox;
pub mod preview;
pub mod publish;
pub mod remote;
pub mod sarif_upload;
pub mod state;
mod text;
