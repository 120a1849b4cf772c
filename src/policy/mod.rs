//! The host policy: what a runner's administrator lets repositories do here, as checked values, and the decision.
//!
//! Owns the file's fields, its diagnostics and the one function that decides. Pure: which files there are, whether they
//! can be trusted, and what is true of a job is found out above. The file is read with the manifest's own reader, so
//! that both look, complain and are completed alike.

pub mod bounds;
pub mod decide;
pub mod fields;
pub mod model;
pub mod pattern;
pub mod read;
pub mod schema;
