//! The plan: everything decided, nothing run.
//!
//! Owns inputs, expressions' values, the graph, matrices and what every process will be given. It is pure: what it must
//! know of the outside is asked for first, as [`facts::Questions`], and comes back as [`facts::Facts`].

pub mod artifacts;
pub mod confine;
pub mod diff;
pub mod evaluate;
pub mod facts;
mod fingerprint;
mod first_line;
pub mod globs;
pub mod graph;
pub mod inputs;
pub mod make;
pub mod matrix;
pub mod model;
pub mod questions;
mod sources;
mod steps;
#[cfg(test)]
pub(crate) mod tests;
mod texts;
