//! Asking a run, or one step, to stop.

use tokio::sync::watch;

/// How urgently something is to stop. The order is from not at all to at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    #[default]
    Go,
    /// By the ladder of signals.
    Stop,
    /// By killing it.
    Kill,
}

/// Why something is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// Somebody asked, by a signal.
    #[default]
    Asked,
    /// Another step failed, and the author wants no more then.
    FailFast,
    /// The command's time is up.
    CommandTimeout,
}

impl Why {
    /// The reason, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Asked => "the run was cancelled",
            Self::FailFast => "another step failed and fail-fast is on",
            Self::CommandTimeout => "the command's time was up",
        }
    }
}

/// A request to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// How urgently.
    pub urgency: Urgency,
    /// Why; the first reason stays.
    pub why: Why,
}

/// The end that asks.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Stop>);

/// The end that listens.
pub type Stopped = watch::Receiver<Stop>;

impl Stopper {
    /// A pair of ends that go on.
    #[must_use]
    pub fn new() -> (Self, Stopped) {
        let (sender, receiver) = watch::channel(Stop::default());
        (Self(sender), receiver)
    }

    /// Asks for a stop because of `why`, or more urgently than before when somebody asked already.
    pub fn stop(&self, why: Why) {
        self.0.send_modify(|stop| match stop.urgency {
            Urgency::Go => *stop = Stop { urgency: Urgency::Stop, why },
            Urgency::Stop | Urgency::Kill => {}
        });
    }

    /// Asks once more, which means: at once.
    pub fn insist(&self, why: Why) {
        self.0.send_modify(|stop| match stop.urgency {
            Urgency::Go => *stop = Stop { urgency: Urgency::Stop, why },
            Urgency::Stop | Urgency::Kill => stop.urgency = Urgency::Kill,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_insisting_kills() {
        let (stop, stopped) = Stopper::new();
        assert_eq!(stopped.borrow().urgency, Urgency::Go);
        stop.insist(Why::Asked);
        stop.stop(Why::FailFast);
        assert_eq!(*stopped.borrow(), Stop { urgency: Urgency::Stop, why: Why::Asked });
        stop.insist(Why::Asked);
        assert_eq!(stopped.borrow().urgency, Urgency::Kill);
    }
}
