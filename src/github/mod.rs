//! GitHub's REST API: which server, as whom, and what its answers mean.
//!
//! A [`client::Client`] sends calls under one policy for limits and faults. It must not know what is delivered, nor why.

pub mod app;
pub mod checks;
pub mod client;
pub mod code_scanning;
pub mod credentials;
mod decision;
mod exchange;
pub mod host;
mod jwt;
pub mod key;
pub mod oidc;
pub mod refusal;
pub mod repository;
pub mod results;
pub mod token;
mod wire;
