//! Signals that ask this process to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::app::failure::{Failure, host};

/// Calls `act` for every signal that asks this process to end.
pub(super) fn on_signals(act: impl Fn() + Clone + Send + 'static) -> Result<(), Failure> {
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
