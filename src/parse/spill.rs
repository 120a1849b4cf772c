//! Records that wait for what stands behind them in the input.
//!
//! A report may say after its results what all of them need. They wait here, in a little memory and then in a temporary
//! file without a name, so that a report of any length is read in bounded memory.

pub(crate) mod record;

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, Write as _};

use tempfile::SpooledTempFile;

use crate::parse::ParseError;
use crate::parse::spill::record::Record;

/// Bytes that wait in memory.
const IN_MEMORY: usize = 1 << 20;

/// Bytes that are written to the file at a time, and read from it.
const PIECE: usize = 64 << 10;

/// Records in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    file: Option<SpooledTempFile>,
    /// Records, each behind its length, on their way to the file.
    bytes: Vec<u8>,
}

impl Spill {
    /// Whether a record waits. Then all that follow must wait as well, or the order is lost.
    pub(crate) const fn is_used(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn add(&mut self, record: &impl Record) -> Result<(), ParseError> {
        let file = self.file.get_or_insert_with(|| SpooledTempFile::new(IN_MEMORY));
        let length = self.bytes.len();
        0_usize.put(&mut self.bytes);
        let begin = self.bytes.len();
        record.put(&mut self.bytes);
        let written = self.bytes.len() - begin;
        self.bytes[length..begin].copy_from_slice(&written.to_le_bytes());
        if self.bytes.len() >= PIECE {
            file.write_all(&self.bytes).map_err(ParseError::Spill)?;
            self.bytes.clear();
        }
        Ok(())
    }

    /// Hands every record to `each`, and is empty then.
    pub(crate) fn drain<T: Record>(&mut self, each: impl FnMut(T)) -> Result<(), ParseError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let last = std::mem::take(&mut self.bytes);
        file.write_all(&last).and_then(|()| read_back(file, last, each)).map_err(ParseError::Spill)
    }
}

/// Hands every record of `file` to `each`. `bytes` is room to read into.
fn read_back<T: Record>(
    mut file: SpooledTempFile,
    mut bytes: Vec<u8>,
    mut each: impl FnMut(T),
) -> io::Result<()> {
    file.rewind()?;
    let mut records = BufReader::with_capacity(PIECE, file);
    while !records.fill_buf()?.is_empty() {
        let mut length = [0; size_of::<usize>()];
        records.read_exact(&mut length)?;
        bytes.resize(usize::from_le_bytes(length), 0);
        records.read_exact(&mut bytes)?;
        each(T::take(&mut &bytes[..]).ok_or(ErrorKind::InvalidData)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered {
        number: u32,
        text: String,
    }

    record::record!(Numbered { number, text });

    #[test]
    fn records_come_back_in_order_however_many_they_are() {
        let mut spill = Spill::default();
        let text = "x\n".repeat(1000);
        for number in 0..2000_u32 {
            spill.add(&Numbered { number, text: text.clone() }).unwrap();
        }
        let mut next = 0;
        spill
            .drain(|record: Numbered| {
                assert_eq!((record.number, &record.text), (next, &text));
                next += 1;
            })
            .unwrap();
        assert_eq!((next, spill.is_used()), (2000, false));
    }
}
