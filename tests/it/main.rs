//! All integration tests in one program: one link, one place for what they share.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails, in its helpers too")]

mod cli;
mod context;
mod documents;
mod gates;
mod layering;
mod run;
mod sandbox;
mod workspace;
