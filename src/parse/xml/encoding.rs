//! From the bytes of an XML document to UTF-8, by its byte order mark or by what its first line declares.
//!
//! Nothing here knows what the document says. Every offset is one of the bytes as they came.

use std::io::{self, Read};
use std::ops::Range;

use encoding_rs::{Decoder, DecoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memmem;

/// Bytes that are asked of the input at a time.
const PIECE: usize = 64 << 10;

/// Bytes within which a declaration must end. Real ones need less than a hundred.
const HEAD: usize = 1 << 10;

/// Least room that [`Source::read_into`] needs: the longest character and a replacement.
pub(super) const LEAST_ROOM: usize = 16;

pub(super) const MARK: &[u8] = "\u{FFFD}".as_bytes();

/// Why the input gives no more text.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The input could not be read on.
    Read(io::Error),
    /// The document declares an encoding that nobody knows.
    Encoding(String),
}

/// A document on its way to UTF-8.
pub(super) struct Source<R> {
    inner: R,
    raw: Vec<u8>,
    /// What of `raw` is not decoded yet.
    waiting: Range<usize>,
    /// Chosen by the first bytes.
    decoder: Option<Decoder>,
    /// Length of the byte order mark.
    mark: u64,
    /// Bytes of the input that are decoded, or were a byte order mark.
    taken: u64,
    /// The input has no more bytes.
    ended: bool,
    /// The decoder has given all that it had.
    finished: bool,
    /// Where the first bytes are that are no text in the encoding.
    fault: Option<u64>,
    /// Whether such bytes were told of. How many there are depends on how the input comes, so the first ones stand for all.
    is_told: bool,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            raw: vec![0; PIECE],
            waiting: 0..0,
            decoder: None,
            mark: 0,
            taken: 0,
            ended: false,
            finished: false,
            fault: None,
            is_told: false,
        }
    }

    /// Length of the byte order mark.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// How many bytes of the input the text that was decoded so far was.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes of the input `text` was. A guess for the multi-byte encodings of East Asia; there is no cheap way
    /// to know, and an offset in an error may be a little off there.
    pub(super) fn length_of(&self, text: &[u8]) -> u64 {
        let encoding = self.encoding();
        if encoding == UTF_8 {
            return text.len() as u64;
        }
        let characters = text.iter().filter(|byte| **byte & 0xC0 != 0x80);
        let wide = |least: u8| characters.clone().filter(|byte| **byte >= least).count();
        let length = if encoding == UTF_16BE || encoding == UTF_16LE {
            2 * (wide(0) + wide(0xF0))
        } else if encoding.is_single_byte() {
            wide(0)
        } else {
            wide(0) + wide(0x80)
        };
        length as u64
    }

    fn encoding(&self) -> &'static Encoding {
        self.decoder.as_ref().map_or(UTF_8, Decoder::encoding)
    }

    /// The encoding's name.
    pub(super) fn name(&self) -> &'static str {
        self.encoding().name()
    }

    /// Where the first bytes are that are no text in this encoding, if there were any since this was asked last.
    pub(super) const fn fault(&mut self) -> Option<u64> {
        let fault = self.fault.take();
        self.is_told |= fault.is_some();
        fault
    }

    /// Decodes a piece into `room`, of at least [`LEAST_ROOM`] bytes, and says how many bytes it filled; none at the end
    /// of the input. What cannot be decoded becomes U+FFFD.
    pub(super) fn read_into(&mut self, room: &mut [u8]) -> Result<usize, Trouble> {
        while !self.finished {
            if self.waiting.is_empty() && !self.ended {
                self.fill(0)?;
            }
            let Some(decoder) = &mut self.decoder else {
                self.begin()?;
                continue;
            };
            let free = room.len() - MARK.len();
            let source = &self.raw[self.waiting.clone()];
            let (result, read, mut written) =
                decoder.decode_to_utf8_without_replacement(source, &mut room[..free], self.ended);
            self.waiting.start += read;
            self.taken += read as u64;
            match result {
                DecoderResult::Malformed(length, after) => {
                    let back = u64::from(length) + u64::from(after);
                    if !self.is_told {
                        self.fault.get_or_insert(self.taken.saturating_sub(back));
                    }
                    room[written..written + MARK.len()].copy_from_slice(MARK);
                    written += MARK.len();
                }
                DecoderResult::InputEmpty => self.finished = self.ended,
                DecoderResult::OutputFull => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }

    /// Looks at the beginning and chooses the decoder.
    fn begin(&mut self) -> Result<(), Trouble> {
        while self.waiting.len() < HEAD && !self.ended {
            self.fill(self.waiting.len())?;
        }
        // No more of it than that, however much came at once: the answer must not depend on the pieces.
        let head = self.waiting.start..self.waiting.end.min(self.waiting.start + HEAD);
        let (encoding, mark) = detect(&self.raw[head]).map_err(Trouble::Encoding)?;
        self.waiting.start += mark;
        self.mark = mark as u64;
        self.taken = self.mark;
        self.decoder = Some(encoding.new_decoder_without_bom_handling());
        Ok(())
    }

    /// Reads the next bytes behind the `kept` first ones of the raw buffer.
    fn fill(&mut self, kept: usize) -> Result<(), Trouble> {
        match self.inner.read(&mut self.raw[kept..]) {
            Ok(count) => {
                self.ended = count == 0;
                self.waiting = 0..kept + count;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(Trouble::Read(error)),
        }
    }
}

/// The encoding of a document that begins with `head`, and the length of its byte order mark; else the encoding's name,
/// when nobody knows it.
fn detect(head: &[u8]) -> Result<(&'static Encoding, usize), String> {
    if let Some(marked) = Encoding::for_bom(head) {
        return Ok(marked);
    }
    match head {
        [b'<', 0, ..] => return Ok((UTF_16LE, 0)),
        [0, b'<', ..] => return Ok((UTF_16BE, 0)),
        _ => {}
    }
    let Some(label) = declared(head) else { return Ok((UTF_8, 0)) };
    match Encoding::for_label(label) {
        // The declaration could be read byte by byte, so this is what a program says that has long made UTF-8 of it.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok((UTF_8, 0)),
        Some(encoding) if encoding != REPLACEMENT => Ok((encoding, 0)),
        _ => Err(String::from_utf8_lossy(label).into_owned()),
    }
}

/// What `<?xml … encoding="…"?>` declares.
fn declared(head: &[u8]) -> Option<&[u8]> {
    let head = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let declaration = &head[..memmem::find(head, b"?>")?];
    let at = memmem::find(declaration, b"encoding")?;
    let value =
        declaration[at + b"encoding".len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = value.iter().position(|byte| byte == quote)?;
    Some(&value[..end])
}
