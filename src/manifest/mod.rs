//! The command manifest: what a repository says can be run, as checked values.
//!
//! Owns the file's syntax, its rules and its diagnostics. Everything here is pure: whether a script exists, which files
//! match and what an input's value is belong to `plan` and its facts. YAML stays inside [`tree`].

pub mod amount;
pub mod availability;
pub mod diagnostic;
pub mod expression;
pub mod fields;
pub mod input;
pub mod model;
pub mod read;
pub mod schema;
pub mod tree;
