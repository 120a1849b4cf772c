//! The requests of a delivery, written down instead of sent.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::deliver::publish::Api;
use crate::deliver::state::Came;
use crate::github::checks::{Call, CheckRun};

/// Writes every request as an element of one JSON array, as it would be sent.
#[derive(Debug)]
pub struct Preview<W> {
    repository: String,
    to: Mutex<To<W>>,
}

#[derive(Debug)]
struct To<W> {
    writer: W,
    count: u64,
    error: Option<io::Error>,
}

impl<W: Write> Preview<W> {
    /// Requests about `repository` go to `writer`.
    pub fn new(repository: &str, writer: W) -> Self {
        let to = To { writer, count: 0, error: None };
        Self { repository: repository.to_owned(), to: Mutex::new(to) }
    }

    /// Ends the array and gives the writer back.
    ///
    /// # Errors
    /// The first thing that was not taken.
    pub fn finish(self) -> io::Result<W> {
        let mut to = self.to.into_inner().unwrap_or_else(PoisonError::into_inner);
        to.error.map_or(Ok(()), Err)?;
        to.writer.write_all(if to.count == 0 { b"[]\n" } else { b"\n]\n" })?;
        Ok(to.writer)
    }

    /// Writes a request that is none of the Checks API.
    pub fn show(&self, request: &Value) {
        if let Err(error) = self.write(request) {
            self.fail(error);
        }
    }

    fn fail(&self, error: io::Error) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.error.get_or_insert(error);
    }

    fn call_of(&self, call: &Call) -> io::Result<Value> {
        // What GitHub would give the run is not known.
        let path = call.path(&self.repository).replace("/check-runs/0", "/check-runs/{id}");
        Ok(json!({"method": call.method().word(), "path": path, "body": call.body()?}))
    }

    fn write(&self, request: &Value) -> io::Result<()> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if to.count == 0 { "[\n" } else { ",\n" };
        to.count += 1;
        let text = format!("{before}{request:#}");
        to.writer.write_all(text.as_bytes())
    }
}

impl<W: Write + Send> Api for Preview<W> {
    async fn call(&self, call: &Call, _deadline: Instant) -> Came {
        if let Err(error) = self.call_of(call).and_then(|request| self.write(&request)) {
            self.fail(error);
        }
        Came::Run(CheckRun::default())
    }

    fn is_pressed(&self) -> bool {
        false
    }

    async fn app_id(&self) -> Option<u64> {
        None
    }
}
