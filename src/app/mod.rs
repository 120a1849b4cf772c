//! The whole flow: from a request to a verdict. Knows every room below and nothing of how it was called.

pub mod baseline;
pub mod exec;
pub mod failure;
pub mod folders;
pub mod load;
pub mod run;
mod tell;
