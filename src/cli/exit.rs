//! Exit codes: a public table, the same for every format.

use std::process::ExitCode;

use crate::app::failure::Failure;

/// How the program ends. `docs/exit-codes.md` is the same table for people; a test compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Gates passed, or what was asked for was done.
    Passed = 0,
    /// A gate failed.
    GateFailed = 1,
    /// Usage, manifest or input is wrong.
    Usage = 2,
    /// Refused by host policy.
    Policy = 3,
    /// The sandbox or the host cannot do what was asked; nothing was judged.
    Host = 4,
    /// Judged and passed, but not delivered or not recorded.
    Undelivered = 5,
    /// A fault of rungate.
    Bug = 70,
    /// Cancelled.
    Cancelled = 130,
}

impl Exit {
    /// The number.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&Failure> for Exit {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Manifest { .. }
            | Failure::NoManifest { .. }
            | Failure::UnknownCommand { .. }
            | Failure::Inputs(_)
            | Failure::Usage { .. } => Self::Usage,
            Failure::Policy(_) => Self::Policy,
            Failure::Host(_) => Self::Host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_names_every_code() {
        let table = include_str!("../../docs/exit-codes.md");
        for exit in [
            Exit::Passed,
            Exit::GateFailed,
            Exit::Usage,
            Exit::Policy,
            Exit::Host,
            Exit::Undelivered,
            Exit::Bug,
            Exit::Cancelled,
        ] {
            assert!(table.contains(&format!("| {} |", exit.code())), "{} is not in the table", exit.code());
        }
    }
}
