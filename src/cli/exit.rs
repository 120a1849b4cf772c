//! Exit codes: a public table, the same for every format.

use std::process::ExitCode;

use crate::app::failure::Failure;

/// How the program ends. `docs/exit-codes.md` is the same table for people; a test compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Gates passed, or what was asked for was done.
    Passed,
    /// A gate failed.
    GateFailed,
    /// Usage, manifest or input is wrong.
    Usage,
    /// Refused by host policy.
    Policy,
    /// The sandbox or the host cannot do what was asked; nothing was judged.
    Host,
    /// Judged and passed, but not delivered or not recorded.
    Undelivered,
    /// A fault of rungate.
    Bug,
    /// Cancelled.
    Cancelled,
    /// `sandbox exec`: the program's time was up.
    ProgramTimedOut,
    /// `sandbox exec`: the sandbox could not be set up, or the program not be started.
    NotSetUp,
    /// `sandbox exec`: the program's own code.
    OfProgram(u8),
}

impl Exit {
    /// The number.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::GateFailed => 1,
            Self::Usage => 2,
            Self::Policy => 3,
            Self::Host => 4,
            Self::Undelivered => 5,
            Self::Bug => 70,
            Self::ProgramTimedOut => 124,
            Self::NotSetUp => 125,
            Self::Cancelled => 130,
            Self::OfProgram(code) => code,
        }
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
            Failure::Policy(_) | Failure::Consent { .. } => Self::Policy,
            Failure::Undeliverable { .. } => Self::Undelivered,
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
            Exit::ProgramTimedOut,
            Exit::NotSetUp,
        ] {
            assert!(table.contains(&format!("| {} |", exit.code())), "{} is not in the table", exit.code());
        }
    }
}
