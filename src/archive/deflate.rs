//! Deflate, piece by piece: each is compressed by itself and ends on a byte, so that many can be made at a time and stand
//! one behind the other as one stream.

use flate2::{Compress, Compression, FlushCompress, Status};

/// What a piece became.
pub(super) struct Deflated {
    /// The compressed bytes.
    pub(super) bytes: Vec<u8>,
    /// The checksum of the bytes before.
    pub(super) crc: crc32fast::Hasher,
}

/// Compresses at one level.
pub(super) struct Deflater(Compress);

impl Deflater {
    /// `level` is 0, which only frames, to 9.
    pub(super) fn new(level: u8) -> Self {
        Self(Compress::new(Compression::new(u32::from(level.min(9))), false))
    }

    /// Compresses `piece`, which ends the stream when it `is_last`.
    ///
    /// # Errors
    /// None that any bytes can cause.
    pub(super) fn deflate(&mut self, piece: &[u8], is_last: bool) -> Result<Deflated, flate2::CompressError> {
        self.0.reset();
        let mut crc = crc32fast::Hasher::new();
        crc.update(piece);
        let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
        let mut bytes = Vec::with_capacity(piece.len() / 2 + 1024);
        loop {
            let done = usize::try_from(self.0.total_in()).unwrap_or(piece.len());
            let status = self.0.compress_vec(&piece[done..], &mut bytes, flush)?;
            let is_over = match status {
                Status::StreamEnd => true,
                // Room that is left says that the flush is done.
                Status::Ok | Status::BufError => {
                    !is_last && self.0.total_in() == piece.len() as u64 && bytes.len() < bytes.capacity()
                }
            };
            if is_over {
                return Ok(Deflated { bytes, crc });
            }
            bytes.reserve(piece.len() / 4 + 1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Read back by the same library's decoder, which the pieces know nothing of.
        #[test]
        fn pieces_one_behind_the_other_are_one_stream(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3000), 0_usize..40, 0_u8..=9), 1..6),
        ) {
            let (mut stream, mut whole, mut crc) = (Vec::new(), Vec::new(), crc32fast::Hasher::new());
            let count = pieces.len();
            for (index, (seed, repeat, level)) in pieces.into_iter().enumerate() {
                let piece = seed.repeat(repeat);
                let made = Deflater::new(level).deflate(&piece, index + 1 == count).unwrap();
                stream.extend(made.bytes);
                crc.combine(&made.crc);
                whole.extend(piece);
            }
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut back).unwrap();
            prop_assert_eq!(crc.finalize(), crc32fast::hash(&whole));
            prop_assert_eq!(back, whole);
        }
    }
}
