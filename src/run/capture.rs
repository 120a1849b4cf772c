//! Output that holds a whole document: kept in a temporary file until the step has ended, because its parser needs it
//! from the beginning to the end.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};

use crate::event::Stream;
use crate::parse::lines::LineSplitter;
use crate::parse::reads_lines;
use crate::plan::model::{PlannedSource, SourcePlace};

/// The documents of one attempt, one for each source that needs one.
#[derive(Default)]
pub(super) struct Captures(Vec<Capture>);

struct Capture {
    /// Which of the step's sources it is for.
    source: usize,
    streams: Streams,
    file: Option<BufWriter<File>>,
    room: u64,
    trouble: Option<Trouble>,
}

/// What of a step's output belongs to a document.
enum Streams {
    One(Stream),
    /// Both, line by line, so that no line is broken by one of the other stream.
    Both(Box<[LineSplitter; 2]>),
}

/// Why a document was not kept whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("is larger than the limit for reports")]
    TooLarge,
    #[error("cannot be kept")]
    Write(#[from] io::Error),
}

impl Captures {
    /// Captures for those of `sources` that read a stream as a document, each of at most `limit` bytes.
    pub(super) fn new(sources: &[PlannedSource], limit: u64) -> Self {
        let capture = |(source, planned): (usize, &PlannedSource)| {
            let streams = match planned.from {
                _ if reads_lines(planned.parser) => return None,
                SourcePlace::Files(_) => return None,
                SourcePlace::Stdout => Streams::One(Stream::Stdout),
                SourcePlace::Stderr => Streams::One(Stream::Stderr),
                SourcePlace::Both => Streams::Both(Box::default()),
            };
            Some(Capture { source, streams, file: None, room: limit, trouble: None })
        };
        Self(sources.iter().enumerate().filter_map(capture).collect())
    }

    /// Takes in what the step wrote.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        for Capture { streams, file, room, trouble, .. } in &mut self.0 {
            match streams {
                Streams::One(wanted) if *wanted == stream => keep(file, room, trouble, &[bytes]),
                Streams::One(_) => {}
                Streams::Both(splitters) => {
                    let splitter = &mut splitters[usize::from(stream == Stream::Stderr)];
                    splitter.push(bytes, &mut |line| keep(file, room, trouble, &[line, b"\n"]));
                }
            }
        }
    }

    /// The documents, from their beginning, each with the index of its source.
    pub(super) fn finish(self) -> impl Iterator<Item = (usize, Result<Option<File>, Trouble>)> {
        self.0.into_iter().map(|mut capture| {
            if let Streams::Both(splitters) = &mut capture.streams {
                for splitter in &mut splitters[..] {
                    splitter.finish(&mut |line| {
                        keep(&mut capture.file, &mut capture.room, &mut capture.trouble, &[line, b"\n"]);
                    });
                }
            }
            (capture.source, capture.into_file())
        })
    }
}

fn keep(file: &mut Option<BufWriter<File>>, room: &mut u64, trouble: &mut Option<Trouble>, parts: &[&[u8]]) {
    if trouble.is_some() {
        return;
    }
    let length = parts.iter().map(|part| part.len() as u64).sum();
    let Some(left) = room.checked_sub(length) else {
        *trouble = Some(Trouble::TooLarge);
        return;
    };
    *room = left;
    let written = open(file).and_then(|file| parts.iter().try_for_each(|part| file.write_all(part)));
    if let Err(error) = written {
        *trouble = Some(error.into());
    }
}

fn open(file: &mut Option<BufWriter<File>>) -> io::Result<&mut BufWriter<File>> {
    Ok(match file {
        Some(file) => file,
        none => none.insert(BufWriter::new(tempfile::tempfile()?)),
    })
}

impl Capture {
    /// The document; none when nothing was written.
    fn into_file(self) -> Result<Option<File>, Trouble> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let Some(file) = self.file else { return Ok(None) };
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Some(file))
    }
}
