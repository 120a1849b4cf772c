//! rungate runs a repository's own validation commands without trusting them, and says exactly what they found.
//!
//! The modules stand on floors; a module imports only from floors below its own, and `tests/it/layering.rs` holds it to
//! that. ARCHITECTURE.md tells the flow and the invariants. Nothing is re-exported here, so that every path in the code
//! shows which room it reaches into.

// Floor 0: what needs nothing of ours.
pub mod clock;
pub mod environ;
pub mod id;
pub mod redact;

// Floor 1: nouns.
pub mod finding;
pub mod manifest;
pub mod policy;
pub mod record;
pub mod request;
pub mod signer;

// Floor 2: pure.
pub mod event;
pub mod page;
pub mod parse;
pub mod plan;

// Floor 3: one outside thing each.
pub mod append;
pub mod archive;
pub mod gate;
pub mod http;
pub mod sandbox;

// Floor 4: GitHub, the journal and the workspace.
pub mod github;
pub mod journal;
pub mod workspace;

// Floor 5: doing and telling.
pub mod deliver;
pub mod report;
pub mod run;

// Floor 6: the whole flow.
pub mod app;

// Floor 8: the command line.
pub mod cli;
