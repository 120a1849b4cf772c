//! A writer that everything leaves the process through.

use std::fmt;
use std::io::{self, Write};

use crate::redact::guard::{Form, Guard};
use crate::redact::{Registry, Stream};

/// Redacts what is written, breaks forged commands where that was asked for, and hands the rest on.
///
/// A few bytes may be kept back, because they may be the begin of a secret. [`Writer::finish`] writes them; a writer that
/// is dropped without it loses them, for a destructor could not say that writing failed.
#[must_use = "the last bytes are written by `finish`"]
pub struct Writer<W> {
    stream: Stream,
    guard: Option<Guard>,
    inner: W,
    redacted: Vec<u8>,
    guarded: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer for what the runner does not read: files, terminals, pipes.
    pub fn new(registry: &Registry, inner: W) -> Self {
        Self { stream: Stream::new(registry), guard: None, inner, redacted: Vec::new(), guarded: Vec::new() }
    }

    /// A writer for what ends in the runner's log.
    pub fn guarded(registry: &Registry, form: Form, inner: W) -> Self {
        Self { guard: Some(Guard::new(form)), ..Self::new(registry, inner) }
    }

    /// Writes what was kept back, flushes, and returns what was written to.
    ///
    /// # Errors
    /// Returns the error of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        self.redacted.clear();
        self.stream.finish(&mut self.redacted);
        self.hand_on()?;
        if let Some(guard) = &mut self.guard {
            self.guarded.clear();
            guard.finish(&mut self.guarded);
            self.inner.write_all(&self.guarded)?;
        }
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let Some(guard) = &mut self.guard else {
            return self.inner.write_all(&self.redacted);
        };
        self.guarded.clear();
        guard.push(&self.redacted, &mut self.guarded);
        self.inner.write_all(&self.guarded)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.redacted.clear();
        self.stream.push(bytes, &mut self.redacted);
        self.hand_on()?;
        Ok(bytes.len())
    }

    /// Flushes the writer below. What is kept back stays so.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("stream", &self.stream)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cut_by_writes_is_redacted_and_then_commands_are_broken() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        let mut writer = Writer::guarded(&registry, Form::Text, Vec::new());
        for part in ["::add-mask::hunter2", "-hunter2\n#", "#[error]hunter2-"] {
            write!(writer, "{part}").unwrap();
        }
        let out = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert_eq!(out, ": :add-mask::***\n## [error]hunter2-");
    }

    #[test]
    fn whole_lines_are_not_kept_back() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        let mut writer = Writer::new(&registry, Vec::new());
        writer.write_all(b"compiling the universe\n$ hunt").unwrap();
        assert_eq!(writer.inner, b"compiling the universe\n$ ");
    }

    #[test]
    fn errors_below_come_up() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = Writer::new(&Registry::new(), Full).write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
