//! One attempt at a step: a child from its start until nothing of it is left.
//!
//! A single loop waits for output, for the helper's word, for the clock and for a wish to stop, so that a full terminal
//! or a silent script can hold up none of the others.

mod reading;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::unix::pipe;
use tokio::time::Instant;

use crate::clock::{self, Timestamp, readable};
use crate::event::{RunEvent, Stream};
use crate::record::{HangDiagnosis, Outcome};
use crate::run::attempt::reading::{read, receiver};
use crate::run::attempt::verdict::signal_name;
use crate::run::ended::{Ended, outcome_of, strongest, with_source};
use crate::run::executor::{Job, Message, Tools};
use crate::run::ladder::{Action, CANCEL_GRACE, Ladder};
use crate::run::output::Output;
use crate::run::scratch::Scratch;
use crate::run::stop::{Stop, Urgency};
use crate::run::warden::Warden;
use crate::sandbox::cgroup::Group;
use crate::sandbox::child::Child;
use crate::sandbox::processes;
use crate::sandbox::spawn::SpawnError;
use crate::sandbox::status::{FRAME, SetupError, Status};
use crate::sandbox::strays::sweep_strays;
use crate::workspace::files::Beneath;

/// How long output may stay open after everything that we started is dead.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long killing what a dead helper left behind may take.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);

/// A running attempt.
pub(super) struct Attempt<'a> {
    job: &'a Job,
    tools: &'a Tools,
    output: Output,
    child: Child,
    warden: Warden,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    status: Option<pipe::Receiver>,
    frame: Vec<u8>,
    /// Something to tell for which the dispatcher has had no room yet. Nothing more is read until it is gone.
    unsent: Option<RunEvent>,
    ladder: Ladder,
    started: Instant,
    began: SystemTime,
    slow: bool,
    /// Why it is being stopped, and the outcome that follows from it.
    stopping: Option<(Outcome, String)>,
    hang: Option<HangDiagnosis>,
    end: Option<End>,
    setup: Option<SetupError>,
    /// Processes that the helper had to kill after the program; absent until it says that nothing is left.
    outlived: Option<i32>,
    /// Most memory that one of its processes had, in KiB.
    largest: i32,
    /// When waiting for output ends, once everything is dead.
    drain_until: Option<Instant>,
}

/// How the program itself ended.
#[derive(Clone, Copy)]
enum End {
    Code(i32),
    Signal(i32),
}

impl<'a> Attempt<'a> {
    /// Runs the job's program once.
    pub(super) async fn run(job: &'a Job, tools: &'a Tools, output: Output) -> (Ended, Output) {
        let began = clock::file_time();
        let private = job.scratch.as_ref().map(Scratch::root);
        let warden = match Warden::of(job.launch.confinement.as_ref(), tools.ground.cgroups(), private) {
            Ok(warden) => warden,
            Err(error) => return (Ended::not_started(with_source(&error)), output),
        };
        let child = match tools.sandbox.spawn_in(&job.launch, warden.group()) {
            Ok(child) => child,
            Err(SpawnError::Setup(setup)) => return (Ended::not_started(setup.with_remedy()), output),
            Err(error) => return (Ended::not_started(with_source(&error)), output),
        };
        let pid = child.helper();
        let cgroup = warden.group().map(|group| group.path().to_owned());
        let started = RunEvent::ProcessStarted { key: job.key.clone(), pid, cgroup };
        let pipes = [&child.stdout, &child.stderr, &child.status].map(receiver);
        let [Ok(stdout), Ok(stderr), Ok(status)] = pipes else {
            return (Ended::not_started("failed to read a pipe of the child".to_owned()), output);
        };
        let attempt = Self {
            job,
            tools,
            output,
            child,
            warden,
            stdout: Some(stdout),
            stderr: Some(stderr),
            status: Some(status),
            frame: Vec::new(),
            unsent: Some(started),
            ladder: Ladder::new(),
            started: Instant::now(),
            began,
            slow: false,
            stopping: None,
            hang: None,
            end: None,
            setup: None,
            outlived: None,
            largest: 0,
            drain_until: None,
        };
        let ended = attempt.supervise().await;
        tools.tell(RunEvent::ProcessEnded { pid }).await;
        ended
    }

    async fn supervise(mut self) -> (Ended, Output) {
        let (mut own, mut run) = (self.tools.own.clone(), self.tools.run.clone());
        let (mut out, mut err) = (vec![0_u8; 64 << 10], vec![0_u8; 64 << 10]);
        let mut word = [0_u8; 64];
        self.obey(strongest(self.tools)).await;
        while self.stdout.is_some() || self.stderr.is_some() || self.status.is_some() || self.unsent.is_some()
        {
            let free = self.unsent.is_none();
            let next = self.next_deadline();
            tokio::select! {
                biased;
                _ = own.changed() => self.obey(strongest(self.tools)).await,
                _ = run.changed() => self.obey(strongest(self.tools)).await,
                () = tokio::time::sleep_until(next) => {
                    if !self.on_time().await {
                        break;
                    }
                }
                read = read(&mut self.status, &mut word) => self.on_status(read.map(|count| &word[..count])),
                permit = self.tools.messages.reserve(), if !free => {
                    if let (Ok(permit), Some(event)) = (permit, self.unsent.take()) {
                        permit.send(Message::Event(event));
                    }
                }
                read = read(&mut self.stdout, &mut out), if free => {
                    self.on_output(Stream::Stdout, read.map(|count| &out[..count]));
                }
                read = read(&mut self.stderr, &mut err), if free => {
                    self.on_output(Stream::Stderr, read.map(|count| &err[..count]));
                }
            }
        }
        self.finish()
    }

    /// What a stream gave: bytes, or its end.
    fn on_output(&mut self, stream: Stream, bytes: Option<&[u8]>) {
        let shown = if let Some(bytes) = bytes {
            self.output.push(stream, bytes)
        } else {
            match stream {
                Stream::Stdout => self.stdout = None,
                Stream::Stderr => self.stderr = None,
            }
            self.output.end(stream)
        };
        self.unsent = shown.map(|bytes: Arc<[u8]>| RunEvent::StepOutput { key: self.job.key.clone(), bytes });
    }

    /// What the helper said, or that it is gone.
    fn on_status(&mut self, bytes: Option<&[u8]>) {
        let Some(bytes) = bytes else {
            self.status = None;
            // Nobody that we know holds the output open any more.
            if self.outlived.is_none() && self.setup.is_none() {
                // The helper was killed, by us or by the script, and what it watched over has come to this process.
                self.child.force_kill();
                self.child.reap();
                sweep_strays(SWEEP_PATIENCE);
            }
            self.drain_until = Some(Instant::now() + DRAIN_PATIENCE);
            return;
        };
        self.frame.extend_from_slice(bytes);
        while let Some(frame) = self.frame.first_chunk::<FRAME>() {
            match Status::decode(frame) {
                Some(Status::Failed(error)) => {
                    let _the_first_one_counts = self.setup.get_or_insert(error);
                }
                Some(Status::Exited { code }) => self.end = Some(End::Code(code)),
                Some(Status::Signaled { signal }) => self.end = Some(End::Signal(signal)),
                Some(Status::Swept { killed, largest }) => {
                    (self.outlived, self.largest) = (Some(killed), largest);
                    // The last word: nobody has to wait until there is nobody to say one.
                    self.status = None;
                    self.drain_until = Some(Instant::now() + DRAIN_PATIENCE);
                }
                Some(Status::Started { .. }) | None => {}
            }
            self.frame.drain(..FRAME);
        }
    }

    /// When the clock is next of interest.
    fn next_deadline(&self) -> Instant {
        let mut next = self.drain_until;
        let mut earliest = |at: Option<Instant>| {
            next = match (next, at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        };
        earliest(self.ladder.due());
        earliest(self.warden.due().filter(|_| self.end.is_none()));
        if self.ladder.is_calm() && self.end.is_none() {
            earliest(Some(self.started + self.job.timeout));
            if !self.slow {
                earliest(Some(self.started + self.job.slow_after));
            }
        }
        next.unwrap_or_else(|| self.started + self.job.timeout + Duration::from_hours(1))
    }

    /// Does what the clock asks for. False when there is nothing left to wait for.
    async fn on_time(&mut self) -> bool {
        let now = Instant::now();
        if self.drain_until.is_some_and(|until| now >= until) {
            return false;
        }
        if self.end.is_none()
            && let Some(exceeded) = self.warden.look(self.child.helper())
        {
            self.too_much(exceeded).await;
        }
        if self.ladder.due().is_some_and(|due| now >= due) {
            let action = self.ladder.climb(now);
            self.act(action).await;
        } else if self.ladder.is_calm() && self.end.is_none() {
            if now >= self.started + self.job.timeout {
                self.hang = Some(self.diagnose());
                let reason = format!("timed out after {}", readable(self.job.timeout));
                self.stop(Outcome::TimedOut, reason, self.job.grace).await;
            } else if !self.slow && now >= self.started + self.job.slow_after {
                self.slow = true;
                let elapsed_ms = millis(self.started.elapsed());
                self.tell(RunEvent::StepSlow { key: self.job.key.clone(), at: Timestamp::now(), elapsed_ms })
                    .await;
            }
        }
        true
    }

    /// Follows a wish to stop.
    async fn obey(&mut self, stop: Stop) {
        let now = Instant::now();
        match stop.urgency {
            Urgency::Go => {}
            Urgency::Stop if self.ladder.is_calm() => {
                let grace = self.job.grace.min(CANCEL_GRACE);
                self.stop(outcome_of(stop.why), stop.why.text().to_owned(), grace).await;
            }
            // It is being stopped already, for whatever reason: now it has less time.
            Urgency::Stop => self.ladder.hurry(now),
            Urgency::Kill => {
                self.stopping.get_or_insert_with(|| (outcome_of(stop.why), stop.why.text().to_owned()));
                if let Some(action) = self.ladder.kill(now) {
                    self.act(action).await;
                }
            }
        }
    }

    /// Begins to stop the child.
    async fn stop(&mut self, outcome: Outcome, reason: String, grace: Duration) {
        self.stopping = Some((outcome, reason));
        let action = self.ladder.begin(Instant::now(), grace);
        self.act(action).await;
    }

    /// Kills a child that is above a limit. It had no warning from the kernel either.
    async fn too_much(&mut self, exceeded: String) {
        self.stopping.get_or_insert((Outcome::Failure, exceeded));
        if let Some(action) = self.ladder.kill(Instant::now()) {
            self.act(action).await;
        }
    }

    async fn act(&self, action: Action) {
        match action {
            Action::Order(order, signal) => {
                self.child.order(order);
                let reason = self.stopping.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default();
                let key = self.job.key.clone();
                self.tell(RunEvent::StepStopping { key, at: Timestamp::now(), reason, signal }).await;
            }
            Action::Force => {
                // Where it is there, nothing gets away from it; where it is not, the walk has to do.
                let _ = self.warden.group().map(Group::kill);
                self.child.force_kill();
            }
        }
    }

    /// Tells the dispatcher, but never at the cost of the ladder: with a full channel the news is dropped, the record
    /// has it anyway.
    async fn tell(&self, event: RunEvent) {
        let patience = Duration::from_millis(100);
        let _ = tokio::time::timeout(patience, self.tools.tell(event)).await;
    }

    /// What can be seen of a child whose time is up.
    fn diagnose(&self) -> HangDiagnosis {
        HangDiagnosis {
            processes: processes::describe(self.child.helper()),
            last_output: self.output.tail(),
            silent_ms: self.output.last.map(|last| millis(last.elapsed())),
        }
    }

    /// Everything is over: says how it went.
    fn finish(mut self) -> (Ended, Output) {
        if self.status.is_some() {
            self.child.force_kill();
        }
        // A stream that is still open is held by something that escaped; what it said so far goes to the log.
        for (stream, open) in
            [(Stream::Stdout, self.stdout.is_some()), (Stream::Stderr, self.stderr.is_some())]
        {
            if open {
                let _shown_by_nobody = self.output.end(stream);
            }
        }
        self.output.finish();
        let (code, signal) = match self.end {
            Some(End::Code(code)) => (Some(code), None),
            Some(End::Signal(number)) => (None, Some(signal_name(number))),
            None => (None, None),
        };
        if let Some(count) = self.outlived.filter(|count| *count > 0) {
            self.output.log.remark(&format!("{count} processes had outlived the step and were killed"));
        }
        let private = self.child.private_files();
        let (outcome, reason) = self.verdict(code, signal.as_deref(), private.as_ref());
        let ended = Ended {
            outcome,
            reason,
            code,
            signal,
            ran: self.setup.is_none(),
            slow: self.slow,
            hang: self.hang.take(),
            files: private.map(Beneath::of),
            began: self.began,
        };
        let Self { mut child, warden, output, .. } = self;
        // First, because the helper is there to remove the group when this process is killed.
        drop(warden);
        child.reap();
        (ended, output)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
