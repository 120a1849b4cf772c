//! Records that wait for what stands behind them in the input.
//!
//! A report may say after its results what all of them need. They wait here, in a little memory and then in a temporary
//! file without a name, so that a report of any length is read in bounded memory.

use std::io::{BufRead as _, BufReader, Seek as _, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

use crate::parse::ParseError;

/// Bytes that wait in memory.
const IN_MEMORY: usize = 1 << 20;

/// Records in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    file: Option<SpooledTempFile>,
    line: Vec<u8>,
}

impl Spill {
    /// Whether a record waits. Then all that follow must wait as well, or the order is lost.
    pub(crate) const fn is_used(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn add(&mut self, record: &impl Serialize) -> Result<(), ParseError> {
        self.line.clear();
        let file = self.file.get_or_insert_with(|| SpooledTempFile::new(IN_MEMORY));
        serde_json::to_writer(&mut self.line, record)
            .map_err(std::io::Error::from)
            .and_then(|()| {
                self.line.push(b'\n');
                file.write_all(&self.line)
            })
            .map_err(ParseError::Spill)
    }

    /// Hands every record to `each`, and is empty then.
    pub(crate) fn drain<T: DeserializeOwned>(&mut self, mut each: impl FnMut(T)) -> Result<(), ParseError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.rewind().map_err(ParseError::Spill)?;
        let mut lines = BufReader::with_capacity(64 << 10, file);
        loop {
            self.line.clear();
            if lines.read_until(b'\n', &mut self.line).map_err(ParseError::Spill)? == 0 {
                return Ok(());
            }
            each(serde_json::from_slice(&self.line).map_err(|error| ParseError::Spill(error.into()))?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_however_many_they_are() {
        let mut spill = Spill::default();
        let text = "x\n".repeat(1000);
        for number in 0..2000_u32 {
            spill.add(&(number, &text)).unwrap();
        }
        let mut next = 0;
        spill
            .drain(|(number, read): (u32, String)| {
                assert_eq!((number, &read), (next, &text));
                next += 1;
            })
            .unwrap();
        assert_eq!((next, spill.is_used()), (2000, false));
    }
}
