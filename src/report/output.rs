//! Where the terminal's words go: redacted, harmless to whatever reads them, and never a reason to stop a run.

use std::io::{self, Write};

use crate::redact::{Registry, guard};

/// Standard output or standard error.
pub(super) struct Output {
    to: Box<dyn Write + Send>,
    registry: Registry,
    in_actions: bool,
    error: Option<io::Error>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("in_actions", &self.in_actions)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Output {
    pub(super) fn new(to: Box<dyn Write + Send>, registry: &Registry, in_actions: bool) -> Self {
        Self { to, registry: registry.clone(), in_actions, error: None }
    }

    /// Writes words of ours, which may quote somebody else's.
    pub(super) fn say(&mut self, text: &str) {
        let clean = self.registry.text(text);
        if self.in_actions {
            let guarded = guard::text(&clean);
            self.write(guarded.as_bytes());
        } else {
            self.write(clean.as_bytes());
        }
    }

    /// Writes a document of JSON.
    pub(super) fn json(&mut self, text: &str) {
        let clean = self.registry.text(text);
        if self.in_actions {
            let guarded = guard::json(&clean);
            self.write(guarded.as_bytes());
        } else {
            self.write(clean.as_bytes());
        }
    }

    /// Writes a workflow command of ours, with `value` made harmless.
    pub(super) fn command(&mut self, name: &str, value: &str) {
        let clean = self.registry.text(value);
        let line = format!("::{name}::{}\n", guard::message(&clean));
        self.write(line.as_bytes());
    }

    /// Writes what has no text of anybody else in it.
    pub(super) fn raw(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.to.write_all(bytes).and_then(|()| self.to.flush()).err();
        }
    }

    /// What kept something from being written. A reader that has gone away has wanted no more.
    pub(super) fn finish(self) -> io::Result<()> {
        match self.error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
