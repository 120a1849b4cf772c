//! Measures the redactor: megabytes a second over a log, by number of secrets. `benches/run.sh` runs it in release mode.

use std::io::Write;
use std::time::Instant;

use rungate::redact::{Registry, Stream};

const LOG_BYTES: usize = 256 << 20;
const CHUNK_BYTES: usize = 64 << 10;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| secrets | bytes | time | throughput |")?;
    writeln!(out, "|---:|---:|---:|---:|")?;
    let piece = log_piece();
    for secrets in [0, 1, 16, 255] {
        let registry = Registry::default();
        for number in 0..secrets {
            let _ = registry.add(&secret(number));
        }
        let mut stream = Stream::new(&registry);
        let mut redacted = Vec::with_capacity(2 * CHUNK_BYTES);
        let started = Instant::now();
        let mut done = 0;
        while done < LOG_BYTES {
            redacted.clear();
            stream.push(&piece, &mut redacted);
            done += piece.len();
        }
        stream.finish(&mut redacted);
        let seconds = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = done as f64 / seconds / 1e6;
        writeln!(out, "| {secrets} | {done} | {seconds:.2} s | {rate:.0} MB/s |")?;
    }
    Ok(())
}

/// The text of a log, one chunk long: words, paths and numbers, as compilers write them, with one secret in it.
fn log_piece() -> Vec<u8> {
    let mut piece = Vec::with_capacity(CHUNK_BYTES + 128);
    let mut line = 0;
    while piece.len() < CHUNK_BYTES {
        line += 1;
        let place = format!("src/module_{}.rs:{line}:{}", line % 37, line % 80);
        piece.extend_from_slice(format!("{place}: warning: unused variable `value_{line}`\n").as_bytes());
    }
    piece.truncate(CHUNK_BYTES - 32);
    piece.extend_from_slice(secret(0).as_bytes());
    piece.push(b'\n');
    piece
}

/// A made-up value that looks like a token, the same in every run.
fn secret(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut text = String::from("tok_");
    for _ in 0..24 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(ALPHABET[usize::from(state.to_le_bytes()[0] & 63)]));
    }
    text
}
