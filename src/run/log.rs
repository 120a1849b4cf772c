//! A step's log file: whole lines of both streams as they came, each stream up to a limit, with an exact note of what
//! is missing.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::event::Stream;
use crate::manifest::fields::bytes;

/// The log of one step. Everything that comes here is without secrets already.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    limit: u64,
    stdout: Tally,
    stderr: Tally,
    /// Whether the last line has no end: it was cut, or goes on.
    within_line: bool,
    /// The first failure to write; the step goes on without its log.
    error: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kept: u64,
    dropped: u64,
}

impl Log {
    /// Creates the file in `folder`, which is created as well.
    pub(super) fn create(folder: &Path, limit: u64) -> Self {
        let opened = std::fs::create_dir_all(folder).and_then(|()| File::create(folder.join("output.log")));
        let (file, error) = match opened {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        Self { file, limit, stdout: Tally::default(), stderr: Tally::default(), within_line: false, error }
    }

    /// Keeps as much of `bytes` as the limit of `stream` allows, and returns that part.
    pub(super) fn keep<'a>(&mut self, stream: Stream, bytes: &'a [u8]) -> &'a [u8] {
        let tally = self.tally(stream);
        let room = tally.1.saturating_sub(tally.0.kept);
        let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, dropped) = bytes.split_at(take);
        let cut = !dropped.is_empty() && tally.0.dropped == 0;
        tally.0.kept += kept.len() as u64;
        tally.0.dropped += dropped.len() as u64;
        self.write(kept);
        if cut {
            // What comes next is of the other stream, or ours.
            self.end_line();
        }
        kept
    }

    fn tally(&mut self, stream: Stream) -> (&mut Tally, u64) {
        match stream {
            Stream::Stdout => (&mut self.stdout, self.limit),
            Stream::Stderr => (&mut self.stderr, self.limit),
        }
    }

    fn end_line(&mut self) {
        if self.within_line {
            self.write(b"\n");
        }
    }

    /// Writes a line of our own, such as the beginning of another attempt.
    pub(super) fn remark(&mut self, text: &str) {
        self.end_line();
        self.write(format!("[rungate: {text}]\n").as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.within_line = *last != b'\n';
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.error = Some(error);
            self.file = None;
        }
    }

    /// Bytes of both streams that were not kept.
    pub(super) const fn dropped(&self) -> u64 {
        self.stdout.dropped + self.stderr.dropped
    }

    /// Says that there was more than the log holds, when there was.
    pub(super) fn exceeded(&self) -> Option<String> {
        (self.dropped() > 0).then(|| {
            format!("it printed more than {} on one stream, which is the log's limit", bytes(self.limit))
        })
    }

    /// What is missing, for people; one line a stream.
    pub(super) fn missing(&self) -> Vec<String> {
        [("stdout", self.stdout), ("stderr", self.stderr)]
            .into_iter()
            .filter(|(_, tally)| tally.dropped > 0)
            .map(|(name, tally)| {
                format!(
                    "{} bytes of {name} were dropped after the first {}: the log's limit is {} bytes a stream",
                    tally.dropped, tally.kept, self.limit
                )
            })
            .collect()
    }

    /// Notes what is missing and closes the file.
    pub(super) fn finish(&mut self) -> Option<io::Error> {
        for line in self.missing() {
            self.remark(&line);
        }
        self.file = None;
        self.error.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_a_limit_of_its_own_and_the_note_is_exact() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path(), 6);
        assert_eq!(log.keep(Stream::Stdout, b"abcd\n"), b"abcd\n");
        assert_eq!(log.keep(Stream::Stdout, b"xy\n"), b"x");
        assert_eq!(log.keep(Stream::Stdout, b"zz\n"), b"");
        assert_eq!(log.keep(Stream::Stderr, b"err\n"), b"err\n");
        assert_eq!(log.dropped(), 5);
        assert!(log.finish().is_none());
        let text = std::fs::read_to_string(folder.path().join("output.log")).unwrap();
        insta::assert_snapshot!(text, @r"
        abcd
        x
        err
        [rungate: 5 bytes of stdout were dropped after the first 6: the log's limit is 6 bytes a stream]
        ");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_reported_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let mut log = Log::create(&blocked.join("below"), 100);
        assert_eq!(log.keep(Stream::Stdout, b"abc\n"), b"abc\n");
        assert!(log.finish().is_some());
    }
}
