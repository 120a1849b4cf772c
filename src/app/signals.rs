//! Signals that ask this process to end.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::failure::{Failure, host};
use crate::deliver::publish::Cancelled;
use crate::run::stop::{Stopper, Why};

/// Calls `act` for every signal that asks this process to end.
fn on_signals(act: impl Fn() + Clone + Send + 'static) -> Result<(), Failure> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut listening = signal(kind).map_err(|error| {
            host(format!("signals cannot be heard: {error}"), "raise the limit on open files")
        })?;
        let act = act.clone();
        tokio::spawn(async move {
            while listening.recv().await.is_some() {
                act();
            }
        });
    }
    Ok(())
}

/// Whether such a signal has come, from now on.
pub(super) fn cancelled() -> Result<Cancelled, Failure> {
    let (sender, cancelled) = watch::channel(false);
    let sender = Arc::new(sender);
    on_signals(move || {
        let _nobody_may_follow = sender.send(true);
    })?;
    Ok(cancelled)
}

/// Lets signals stop the run: the first politely, the next at once.
pub(super) fn listen(stop: &Arc<Stopper>) -> Result<Cancelled, Failure> {
    let (sender, cancelled) = watch::channel(false);
    let (stop, sender) = (Arc::clone(stop), Arc::new(sender));
    on_signals(move || {
        stop.insist(Why::Asked);
        let _nobody_may_follow = sender.send(true);
    })?;
    Ok(cancelled)
}
