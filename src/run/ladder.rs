//! How a child is stopped: politely, firmly, and then for good. Pure: it says what to do and when, and does nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::sandbox::init::Order;

/// Longest grace when somebody wants the run to stop: the runner itself gives little more than seven seconds.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// Between `SIGTERM` and the killing of everything.
const TERM_GRACE: Duration = Duration::from_millis(500);

/// How long the helper may take to kill everything before that is done from outside.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How far the stopping has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Calm,
    Interrupted,
    Terminated,
    Killed,
    Forced,
}

/// What is to be done to the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Give the helper this order, and name the signal to people.
    Order(Order, &'static str),
    /// Kill the helper and all below it from outside.
    Force,
}

/// The ladder of one child.
#[derive(Debug)]
pub(super) struct Ladder {
    rung: Rung,
    due: Option<Instant>,
}

impl Ladder {
    pub(super) const fn new() -> Self {
        Self { rung: Rung::Calm, due: None }
    }

    /// Whether nobody has asked the child to stop.
    pub(super) fn is_calm(&self) -> bool {
        self.rung == Rung::Calm
    }

    /// When the next rung is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins. The child has `grace` to end by itself after the first signal.
    pub(super) fn begin(&mut self, now: Instant, grace: Duration) -> Action {
        self.rung = Rung::Interrupted;
        self.due = Some(now + grace);
        Action::Order(Order::Interrupt, "SIGINT")
    }

    /// Leaves the child no more than the grace of a cancelled run.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.due = self.due.map(|due| due.min(now + CANCEL_GRACE));
    }

    /// Goes to the killing at once. Nothing when it has come to that already.
    pub(super) fn kill(&mut self, now: Instant) -> Option<Action> {
        (self.rung < Rung::Killed).then(|| {
            self.rung = Rung::Terminated;
            self.climb(now)
        })
    }

    /// Takes the next rung.
    pub(super) fn climb(&mut self, now: Instant) -> Action {
        let (rung, patience, action) = match self.rung {
            Rung::Calm | Rung::Interrupted => {
                (Rung::Terminated, TERM_GRACE, Action::Order(Order::Terminate, "SIGTERM"))
            }
            Rung::Terminated => (Rung::Killed, KILL_PATIENCE, Action::Order(Order::Kill, "SIGKILL")),
            Rung::Killed | Rung::Forced => (Rung::Forced, KILL_PATIENCE, Action::Force),
        };
        self.rung = rung;
        self.due = Some(now + patience);
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_is_taken_and_the_last_one_repeats() {
        let now = Instant::now();
        let mut ladder = Ladder::new();
        assert!(ladder.is_calm() && ladder.due().is_none());
        assert_eq!(ladder.begin(now, Duration::from_secs(3)), Action::Order(Order::Interrupt, "SIGINT"));
        assert_eq!(ladder.due(), Some(now + Duration::from_secs(3)));
        assert_eq!(ladder.climb(now), Action::Order(Order::Terminate, "SIGTERM"));
        assert_eq!(ladder.due(), Some(now + TERM_GRACE));
        assert_eq!(ladder.climb(now), Action::Order(Order::Kill, "SIGKILL"));
        assert_eq!([ladder.climb(now), ladder.climb(now)], [Action::Force, Action::Force]);
    }

    #[test]
    fn a_second_wish_shortens_the_grace_and_never_lengthens_it() {
        let now = Instant::now();
        let mut ladder = Ladder::new();
        ladder.begin(now, Duration::from_mins(1));
        ladder.hurry(now);
        assert_eq!(ladder.due(), Some(now + CANCEL_GRACE));
        ladder.hurry(now + Duration::from_secs(5));
        assert_eq!(ladder.due(), Some(now + CANCEL_GRACE));
        assert_eq!(ladder.kill(now), Some(Action::Order(Order::Kill, "SIGKILL")));
        assert_eq!(ladder.kill(now), None);
    }
}
