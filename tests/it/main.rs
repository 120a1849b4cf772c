//! All integration tests in one program: one link, one place for what they share.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails, in its helpers too")]

#[path = "../fake/mod.rs"]
mod fake;

mod action;
mod app_identity;
mod archives;
mod artifacts;
mod check_run;
mod cli;
mod code_scanning;
mod compatibility;
mod context;
mod delivery;
mod doctor;
mod documents;
mod escapes;
mod exec;
mod fake_github;
mod formats;
mod gates;
mod github;
mod hostile;
mod init;
mod install;
mod layering;
mod namespaces;
mod place;
mod policy;
mod reports;
mod run;
mod sandbox;
mod workspace;
