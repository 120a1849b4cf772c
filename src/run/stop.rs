//! Asking a run, or one step, to stop.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::{Duration, Instant};

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

/// How long what a step left may still be read once the run is to stop.
const PATIENCE: Duration = Duration::from_secs(1);

/// For whoever reads what a step left, which may be as long as the step liked: reading ends soon after the run is to stop.
#[derive(Debug)]
pub(super) struct Patience {
    run: Stopped,
    since: Cell<Option<Instant>>,
}

impl Patience {
    /// With the end that hears of a stop of the run.
    pub(super) const fn new(run: Stopped) -> Self {
        Self { run, since: Cell::new(None) }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_over(&self) -> bool {
        match self.run.borrow().urgency {
            Urgency::Go => false,
            Urgency::Stop => {
                let since = self.since.get().unwrap_or_else(Instant::now);
                self.since.set(Some(since));
                since.elapsed() > PATIENCE
            }
            Urgency::Kill => true,
        }
    }

    /// `input` as long as somebody waits, then an error.
    pub(super) const fn reader<R>(&self, input: R) -> Patient<'_, R> {
        Patient { patience: self, input }
    }
}

/// An input that is read with patience.
#[derive(Debug)]
pub(super) struct Patient<'a, R> {
    patience: &'a Patience,
    input: R,
}

impl<R: Read> Read for Patient<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.patience.is_over() {
            return Err(io::Error::other("the run was stopped before all of it was read"));
        }
        self.input.read(buffer)
    }
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
    fn reading_ends_when_somebody_insists_and_soon_after_somebody_asked() {
        let (stop, stopped) = Stopper::new();
        let patience = Patience::new(stopped);
        let mut endless = patience.reader(io::repeat(b'x'));
        let mut buffer = [0; 8];
        assert_eq!(endless.read(&mut buffer).unwrap(), 8);
        stop.stop(Why::Asked);
        assert!(endless.read(&mut buffer).is_ok());
        patience.since.set(Instant::now().checked_sub(PATIENCE * 2));
        assert!(endless.read(&mut buffer).is_err());
        patience.since.set(None);
        stop.insist(Why::Asked);
        assert!(endless.read(&mut buffer).is_err());
    }

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
