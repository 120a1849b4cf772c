//! Passing a run's events on: first to the record, then to whoever watches.
//!
//! Each has a thread of its own. A terminal or a pipe that takes nothing more may hold up the run as it would any
//! program, but neither timeouts nor signals; and when the run is to stop, nobody waits for it any longer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::app::failure::{Failure, host};
use crate::app::journals::note;
use crate::deliver::live::Live;
use crate::event::RunEvent;
use crate::journal::file::Journal;
use crate::report::terminal::Terminal;
use crate::report::{Report, ReportError};
use crate::run::stop::{Stopped, Urgency};

/// How often what is shown goes on while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// How long somebody who watches may take nothing, once the run is to stop.
const PATIENCE: Duration = Duration::from_secs(1);

/// Events that may wait for the record, and as many for who watches.
const WAITING: usize = 64;

/// Both listeners.
pub(super) struct Telling {
    record: oneshot::Receiver<Result<(), ReportError>>,
    shown: oneshot::Receiver<std::io::Result<()>>,
    complete: Option<oneshot::Receiver<()>>,
    stopped: Stopped,
}

/// How the telling went.
pub(super) struct Told {
    /// What could not be told.
    pub(super) trouble: Vec<ReportError>,
    /// Whether there is still somebody who takes what is shown.
    pub(super) watched: bool,
}

impl Telling {
    /// Starts both listeners. They end when the sender is dropped.
    ///
    /// # Errors
    /// Fails when the host is out of descriptors or threads.
    pub(super) fn start(
        report: Report,
        terminal: Terminal,
        stopped: &Stopped,
        (live, journal): (Option<mpsc::Sender<RunEvent>>, Option<Arc<Journal>>),
    ) -> Result<(Self, mpsc::Sender<RunEvent>), Failure> {
        let (events, inbox) = mpsc::channel(WAITING);
        let (to_show, for_show) = mpsc::channel(WAITING);
        let patience = stopped.clone();
        let (done, complete) = oneshot::channel();
        let out = Out { to_show: Some(to_show), live, journal, done: Some(done) };
        let record = on_a_thread(write(report, inbox, out, patience))?;
        let shown = on_a_thread(show(terminal, for_show))?;
        Ok((Self { record, shown, complete: Some(complete), stopped: stopped.clone() }, events))
    }

    /// Waits until the record is complete on disk, or there will be none.
    pub(super) async fn complete(&mut self) {
        if let Some(complete) = self.complete.take() {
            // A listener that broke down is found at the end.
            let _ = complete.await;
        }
    }

    /// Waits until everything is told, or nobody takes it any more.
    ///
    /// # Errors
    /// Fails when a listener broke down, which is a fault of ours.
    pub(super) async fn finish(mut self) -> Result<Told, Failure> {
        let broken = |_| host("the report broke down: this is a fault of rungate", "please report it");
        let mut trouble: Vec<ReportError> = Vec::new();
        trouble.extend(self.record.await.map_err(broken)?.err());
        let watched = tokio::select! {
            biased;
            shown = &mut self.shown => {
                trouble.extend(shown.map_err(broken)?.err().map(ReportError::Output));
                true
            }
            () = out_of_patience(&mut self.stopped) => {
                trouble.push(ReportError::Output(std::io::ErrorKind::TimedOut.into()));
                false
            }
        };
        Ok(Told { trouble, watched })
    }
}

/// Runs `work` on a thread and an event loop of its own, and hands over what it gives.
pub(super) fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<oneshot::Receiver<T>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let event_loop = event_loop()?;
    let started = thread::Builder::new().spawn(move || {
        // Nobody waits for it any more when this fails.
        let _ = sender.send(event_loop.block_on(work));
    });
    match started {
        Ok(_runs_on) => Ok(receiver),
        Err(error) => Err(host(format!("no thread can be started: {error}"), "raise the limit on processes")),
    }
}

/// An event loop for one thread.
///
/// # Errors
/// Fails when the host is out of descriptors.
pub(super) fn event_loop() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| {
        host(format!("no event loop can be created: {error}"), "raise the limit on open files")
    })
}

/// Ends a while after the run is to stop; never before that.
async fn out_of_patience(stopped: &mut Stopped) {
    if stopped.wait_for(|stop| stop.urgency > Urgency::Go).await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(PATIENCE).await;
}

/// Where events go on to.
struct Out {
    to_show: Option<mpsc::Sender<RunEvent>>,
    /// The live updates of the check run.
    live: Option<mpsc::Sender<RunEvent>>,
    journal: Option<Arc<Journal>>,
    /// Told when the record is complete.
    done: Option<oneshot::Sender<()>>,
}

/// Writes every event down, and passes it on as long as somebody takes it.
async fn write(
    mut report: Report,
    mut inbox: mpsc::Receiver<RunEvent>,
    mut out: Out,
    mut stopped: Stopped,
) -> Result<(), ReportError> {
    while let Some(event) = inbox.recv().await {
        if let Some(journal) = &out.journal {
            note(journal, &event);
        }
        if matches!(event, RunEvent::ProcessStarted { .. } | RunEvent::ProcessEnded { .. }) {
            continue;
        }
        report.event(&event);
        if matches!(event, RunEvent::RunFinished { .. })
            && let Some(done) = out.done.take()
        {
            let _nobody_may_wait = done.send(());
        }
        if let Some(live) = &out.live
            && Live::wants(&event)
        {
            // A slow server must not hold up a run; what is lost here is in the record.
            let _ = live.try_send(event.clone());
        }
        let Some(sender) = &out.to_show else { continue };
        let taken = tokio::select! {
            biased;
            sent = sender.send(event) => sent.is_ok(),
            () = out_of_patience(&mut stopped) => false,
        };
        if !taken {
            out.to_show = None;
        }
    }
    report.finish()
}

/// Shows every event.
async fn show(mut terminal: Terminal, mut inbox: mpsc::Receiver<RunEvent>) -> std::io::Result<()> {
    loop {
        match tokio::time::timeout(TICK, inbox.recv()).await {
            Ok(Some(event)) => terminal.event(&event),
            Ok(None) => return terminal.finish(),
            Err(_) => terminal.tick(),
        }
    }
}
