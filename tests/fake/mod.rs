//! A GitHub of our own: by specification where other emulators are lenient, and with faults on request.
//!
//! Tests start it in their process, `examples/fake_github` starts it by hand. It answers what rungate calls and nothing
//! else; every request is held against an extract of GitHub's official description as well. It must not know rungate:
//! what it accepts comes from GitHub's documents alone.

mod annotations;
mod apps;
pub(crate) mod artifacts;
mod auth;
pub(crate) mod call;
mod check_runs;
mod check_suites;
mod code_scanning;
mod contract;
mod control;
pub(crate) mod faults;
mod output;
mod refs;
mod route;
mod server;
mod statuses;
mod wire;
pub(crate) mod world;

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use self::faults::Rule;
use self::world::{Settings, World};

/// Both origins of the fake work on one world.
pub(crate) type Shared = Arc<Mutex<World>>;

/// How long anything in the fake waits for anything else: a test that holds on to the world fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// The world, unless somebody keeps it for longer than [`PATIENCE`].
fn locked(world: &Shared) -> Option<MutexGuard<'_, World>> {
    let started = Instant::now();
    loop {
        match world.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A running fake; it ends when this is dropped.
pub(crate) struct Fake {
    world: Shared,
    here: SocketAddr,
    base: &'static str,
    elsewhere: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    /// Disconnected when the server's thread has ended.
    ended: Receiver<()>,
    tolerant: bool,
}

impl Fake {
    /// Starts a fake github.com on a free port of the loopback interface.
    pub(crate) fn start() -> Self {
        Self::with(Settings::default(), 0).unwrap_or_else(|error| panic!("the fake does not start: {error}"))
    }

    /// Starts a fake on `port` (0 takes a free one) of the loopback interface.
    pub(crate) fn with(settings: Settings, port: u16) -> std::io::Result<Self> {
        let here = TcpListener::bind(("127.0.0.1", port))?;
        let elsewhere = TcpListener::bind(("127.0.0.1", 0))?;
        let addresses = (here.local_addr()?, elsewhere.local_addr()?);
        let base = settings.host.base_path();
        let mut world = World::new(settings);
        world.here = format!("http://{}", addresses.0);
        world.elsewhere = format!("http://{}", addresses.1);
        let world = Arc::new(Mutex::new(world));
        let (stop, stopped) = oneshot::channel();
        let ended = server::spawn(here, elsewhere, Arc::clone(&world), stopped)?;
        Ok(Self {
            world,
            here: addresses.0,
            base,
            elsewhere: addresses.1,
            stop: Some(stop),
            ended,
            tolerant: false,
        })
    }

    /// What `GITHUB_API_URL` holds: with `/api/v3` when it plays GitHub Enterprise Server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.here, self.base)
    }

    /// Another origin with the same world behind it, for redirects that must not carry a token along.
    pub(crate) fn elsewhere(&self) -> String {
        format!("http://{}", self.elsewhere)
    }

    /// The world, to look at or to change. No request is answered for as long as the guard lives.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world).unwrap_or_else(|| panic!("the world of the fake is held elsewhere"))
    }

    /// Adds a fault to those that wait.
    pub(crate) fn fault(&self, rule: Rule) {
        self.world().faults.push(rule);
    }

    /// Everything that happened so far, as `GET /_fake/state` tells it.
    pub(crate) fn state(&self) -> Value {
        control::state(&self.world())
    }

    /// Requests against the official description do not fail the test: it sends them on purpose.
    pub(crate) fn tolerate_bad_requests(mut self) -> Self {
        self.tolerant = true;
        self
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more when the server has ended by itself.
            let _ = stop.send(());
        }
        let ended = self.ended.recv_timeout(PATIENCE);
        if !std::thread::panicking() {
            assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the fake does not end");
            let violations = std::mem::take(&mut self.world().violations);
            let violations = if self.tolerant { Vec::new() } else { violations };
            assert!(violations.is_empty(), "GitHub's official description refuses requests: {violations:#?}");
        }
    }
}
