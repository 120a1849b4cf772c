//! The whole flow: from a request to a verdict. Knows every room below and nothing of how it was called.

pub mod admit;
pub mod artifacts;
pub mod baseline;
pub mod check_run;
mod code_scanning;
pub mod doctor;
pub mod exec;
pub mod failure;
pub mod folders;
pub mod identity;
pub mod init;
mod journals;
pub mod load;
pub mod policy;
pub mod reconcile;
pub mod run;
mod secrets;
mod signals;
mod tell;
