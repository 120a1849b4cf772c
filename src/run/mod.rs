//! Running a plan: starting steps when their needs have ended, supervising them, and telling what happens as events.
//!
//! The dispatcher alone keeps the state of the run; executors own one step's processes each and speak to it by messages.
//! Nothing here prints, and nothing here judges: the record folder gets the steps' logs, everything else is an event.

pub mod artifacts;
mod attempt;
mod capture;
pub mod concurrency;
pub mod confine;
mod decide;
pub mod dispatcher;
mod ended;
mod executor;
mod file_commands;
mod findings;
mod interpreter;
mod job;
mod ladder;
mod layers;
mod log;
mod output;
pub mod passthrough;
mod reports;
mod scratch;
mod state;
pub mod stop;
mod test_table;
mod walls;
mod warden;
