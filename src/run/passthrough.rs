//! One program in a sandbox, with its output passed on as it comes. No step, no plan, no record.
//!
//! Each stream on which something is said has a thread of its own, which waits as long as its reader takes nothing: neither
//! the clock nor a signal is held up by that.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::redact::writer::Writer;
use crate::run::ladder::{Action, Ladder};
use crate::run::warden::Warden;
use crate::sandbox::cgroup::{CgroupError, Cgroups, Group};
use crate::sandbox::child::Child;
use crate::sandbox::init::Order;
use crate::sandbox::launch::Launch;
use crate::sandbox::spawn::{Sandbox, SpawnError};
use crate::sandbox::status::{FRAME, SetupError, Status};
use crate::sandbox::strays::sweep_strays;

/// How long output may stay open after everything that we started is dead, when somebody else holds it.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long killing what a dead helper left behind may take.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);

/// How long a program may take to start before this process gets ready to be asked to stop it, in milliseconds.
const START_PATIENCE: u8 = 20;

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
    /// Its time was up.
    TimedOut,
    /// Its helper was killed, and everything with it.
    Lost,
}

/// What became of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How it ended.
    pub ended: Ended,
    /// Which limit ended it or stood in its way, when one did.
    pub limit: Option<String>,
}

/// How a program is to be run.
#[derive(Debug)]
pub struct Pass {
    /// Where its standard output goes, and its standard error.
    pub sinks: [Writer<File>; 2],
    /// When it is stopped.
    pub timeout: Option<Duration>,
    /// How long it has to end by itself then.
    pub grace: Duration,
}

/// Why there is nothing to say about the program.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A limit could not be set.
    #[error(transparent)]
    Group(#[from] CgroupError),
    /// It could not be started.
    #[error(transparent)]
    Spawn(SpawnError),
    /// It could not be started, as the helper found.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// This process cannot watch over it.
    #[error("failed to watch over the program")]
    Watch(#[from] io::Error),
}

/// A program that is being started, and that nobody attends to yet.
#[derive(Debug)]
pub struct Begun {
    child: Child,
    warden: Warden,
    /// Until somebody listens.
    postponed: Option<Postponed>,
    /// Whether nothing of the program is left.
    over: bool,
}

/// Starts the program of `launch`. `private` is where its private folders lie on the host, if they do. What this process needs
/// to attend to it is better made afterwards, while it starts.
///
/// # Errors
/// Fails when the program cannot be started. What goes wrong later is heard by [`Begun::attend`].
pub fn begin(
    sandbox: &Sandbox,
    launch: &Launch,
    cgroups: &Cgroups,
    private: Option<&Path>,
) -> Result<Begun, PassError> {
    // Before anything is started: a signal that comes meanwhile must not end this process.
    let postponed = Postponed::begin()?;
    let warden = Warden::of(launch.confinement.as_ref(), Some(cgroups), private)?;
    let child = sandbox.spawn_in(launch, warden.group()).map_err(|error| match error {
        SpawnError::Setup(setup) => PassError::Setup(setup),
        other => PassError::Spawn(other),
    })?;
    child.wait_for_news(START_PATIENCE);
    Ok(Begun { child, warden, postponed: Some(postponed), over: false })
}

impl Begun {
    /// Passes the program's output on and hands signals on to it, until nothing of it is left.
    ///
    /// # Errors
    /// Fails when the program could not be started. However it ends is no error.
    pub async fn attend(&mut self, pass: Pass) -> Result<Passed, PassError> {
        let signals = Signals::listen()?;
        self.postponed = None;
        let mut copies = Vec::with_capacity(pass.sinks.len());
        let streams = [&mut self.child.stdout, &mut self.child.stderr];
        for (stream, sink) in streams.into_iter().zip(pass.sinks) {
            // Taken out of the child, so that it is closed as soon as nobody reads what is copied from it: then the program
            // is told, as it would be without us.
            let stream = std::mem::replace(stream, File::open("/dev/null")?.into());
            copies.push(tokio::spawn(pass_on(stream, sink)));
        }
        let status = pipe::Receiver::from_owned_fd(self.child.status.try_clone()?)?;
        let until = pass.timeout.map(|time| Instant::now() + time);
        let watch = Watch { begun: self, ladder: Ladder::new(), grace: pass.grace, until };
        let told = watch.until_dead(status, signals).await;
        self.over = true;
        let result = told.ended();
        // A reader that is slow gets all of it; but nobody waits for a stream that something which escaped holds open.
        let patient = told.swept && !matches!(result, Ok(Ended::TimedOut));
        let mut all_passed = Ok(());
        for copied in copies {
            let passed = if patient {
                copied.await
            } else {
                tokio::time::timeout(DRAIN_PATIENCE, copied).await.unwrap_or(Ok(Ok(())))
            };
            // One that has panicked has said so.
            all_passed = all_passed.and(passed.unwrap_or(Ok(())));
        }
        let ended = result?;
        all_passed?;
        let failed = !matches!(ended, Ended::Exited(0) | Ended::TimedOut);
        let mut found = || self.warden.post_mortem(self.child.private_files().as_ref(), told.largest);
        let limit = told.exceeded.or_else(|| if failed { found() } else { None });
        Ok(Passed { ended, limit })
    }

    /// Removes everything that was made for the program, and in the end the processes that watched over it, which would remove
    /// it for a process that is killed meanwhile. `private` is what its private folders go with. A program whose end nobody has
    /// seen is killed before anything else.
    pub fn end<T>(self, private: T) {
        let Self { mut child, warden, over, .. } = self;
        if over {
            drop(warden);
            drop(private);
            child.reap();
        } else {
            drop(child);
            drop(warden);
            drop(private);
        }
    }
}

/// Passes everything from `stream` on to `sink`: on a thread of its own, once there is something. Most programs say nothing on
/// one of their streams.
async fn pass_on(stream: OwnedFd, sink: Writer<File>) -> io::Result<()> {
    let stream = pipe::Receiver::from_owned_fd(stream)?;
    let mut first = [0; 512];
    let count = loop {
        stream.readable().await?;
        match stream.try_read(&mut first) {
            Ok(0) => return Ok(()),
            Ok(count) => break count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    };
    let stream = File::from(stream.into_blocking_fd()?);
    let (done, copied) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        copy(&first[..count], stream, sink);
        let _ = done.send(());
    })?;
    // A thread that ends without a word has nothing more to pass on, either.
    let _ = copied.await;
    Ok(())
}

/// Copies `first`, and everything that comes from `stream` after it.
fn copy(first: &[u8], mut stream: File, mut sink: Writer<File>) {
    let mut buffer = vec![0; 64 << 10];
    let mut written = sink.write_all(first);
    while written.is_ok() {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => written = sink.write_all(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    drop(stream);
    // Whatever it has kept back is written now; a reader that is gone does not want it.
    let _ = sink.finish();
}

/// While there is one, signals that are handed on wait until somebody listens.
#[derive(Debug)]
struct Postponed;

impl Postponed {
    fn begin() -> io::Result<Self> {
        Ok(handed_on().thread_block().map(|()| Self)?)
    }
}

impl Drop for Postponed {
    fn drop(&mut self) {
        let _ = handed_on().thread_unblock();
    }
}

fn handed_on() -> SigSet {
    [SIGINT, SIGTERM, SIGHUP].into_iter().collect()
}

/// Signals that are handed on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.interrupt.recv() => Order::Interrupt,
            _ = self.terminate.recv() => Order::Terminate,
            _ = self.hangup.recv() => Order::Terminate,
        }
    }
}

/// What was heard of the program.
#[derive(Default)]
struct Told {
    end: Option<Ended>,
    setup: Option<SetupError>,
    timed_out: bool,
    swept: bool,
    /// Most memory that one of its processes had, in KiB.
    largest: i32,
    exceeded: Option<String>,
}

impl Told {
    fn frame(&mut self, frame: &[u8; FRAME]) {
        match Status::decode(frame) {
            Some(Status::Failed(error)) => {
                let _the_first_one_counts = self.setup.get_or_insert(error);
            }
            Some(Status::Exited { code }) => self.end = Some(Ended::Exited(code)),
            Some(Status::Signaled { signal }) => self.end = Some(Ended::Signaled(signal)),
            Some(Status::Swept { largest, .. }) => {
                self.swept = true;
                self.largest = largest;
            }
            Some(Status::Started { .. }) | None => {}
        }
    }

    fn ended(&self) -> Result<Ended, PassError> {
        match (&self.setup, &self.end) {
            (Some(setup), _) => Err(PassError::Setup(*setup)),
            (None, _) if self.timed_out => Ok(Ended::TimedOut),
            (None, Some(end)) => Ok(end.clone()),
            (None, None) => Ok(Ended::Lost),
        }
    }
}

/// A program that is watched.
struct Watch<'a> {
    begun: &'a mut Begun,
    ladder: Ladder,
    grace: Duration,
    until: Option<Instant>,
}

impl Watch<'_> {
    /// Watches until nothing of the program is left: that was said, or there is nobody any more to say it.
    async fn until_dead(mut self, mut status: pipe::Receiver, mut signals: Signals) -> Told {
        let mut told = Told::default();
        let (mut bytes, mut word) = (Vec::new(), [0_u8; FRAME]);
        let mut terminated = false;
        while !told.swept {
            let calm = self.ladder.is_calm() && told.end.is_none();
            let due = self.ladder.due().or(self.until.filter(|_| calm));
            let look = self.begun.warden.due().filter(|_| calm);
            tokio::select! {
                biased;
                order = signals.next() => {
                    // Somebody who asks twice does not want to wait for the program's consent.
                    let order = if terminated && order == Order::Terminate { Order::Kill } else { order };
                    terminated |= order == Order::Terminate;
                    self.begun.child.order(order);
                }
                () = sleep_until(due) => self.climb(&mut told),
                () = sleep_until(look) => self.look(&mut told),
                read = status.read(&mut word) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        bytes.extend_from_slice(&word[..count]);
                        while let Some(frame) = bytes.first_chunk::<FRAME>() {
                            told.frame(frame);
                            bytes.drain(..FRAME);
                        }
                    }
                },
            }
        }
        if !told.swept && told.setup.is_none() {
            self.begun.child.force_kill();
            self.begun.child.reap();
            sweep_strays(SWEEP_PATIENCE);
        }
        told
    }

    /// Kills a program that is above a limit. It had no warning from the kernel either.
    fn look(&mut self, told: &mut Told) {
        let Some(exceeded) = self.begun.warden.look(self.begun.child.helper()) else { return };
        told.exceeded = Some(exceeded);
        if let Some(Action::Order(order, _)) = self.ladder.kill(Instant::now()) {
            self.begun.child.order(order);
        }
    }

    /// The time is up, or has been for so long that the next rung is due.
    fn climb(&mut self, told: &mut Told) {
        let now = Instant::now();
        let action = if self.ladder.is_calm() {
            told.timed_out = true;
            self.ladder.begin(now, self.grace)
        } else {
            self.ladder.climb(now)
        };
        match action {
            Action::Order(order, _) => self.begun.child.order(order),
            Action::Force => {
                let _ = self.begun.warden.group().map(Group::kill);
                self.begun.child.force_kill();
            }
        }
    }
}

/// Ends at `due`, never without one.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
