//! Writes records to a crash-safe file, or reads them, so that `tests/faults/append.py` can disturb it from outside.
//!
//! ```text
//! cargo run --example append -- write FILE NAME COUNT    COUNT records of NAME, each acknowledged on standard output
//! cargo run --example append -- read FILE                every record on standard output
//! ```
//!
//! `write` takes the file for each record anew, as several processes that share an audit log do; `keep` holds it for all of
//! them, as the process that makes a run holds its journal. `write` makes the file where there is none.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the caller reads")]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use rungate::append::log::{AppendError, Held, Log, read};

/// Space that is kept free behind the end, in bytes.
const RESERVE: u64 = 64 << 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["write", file, name, count] => write(Path::new(file), name, count.parse().unwrap_or(0), false),
        ["keep", file, name, count] => write(Path::new(file), name, count.parse().unwrap_or(0), true),
        ["read", file] => {
            read(Path::new(file), |_, record| println!("{}", String::from_utf8_lossy(record))).map(drop)
        }
        _ => {
            eprintln!("usage: append write|keep FILE NAME COUNT | append read FILE");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("{error}{source}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &Path, name: &str, count: u64, keep: bool) -> Result<(), AppendError> {
    let log = if path.exists() {
        Log::open(path, RESERVE)?
    } else {
        Log::create(path, RESERVE).or_else(|_| Log::open(path, RESERVE))?
    };
    let mut held: Held = log.hold(|_, _| ())?;
    if !keep {
        held = again(held)?;
    }
    for number in 0..count {
        // As long as an entry of a journal.
        let record = format!(r#"{{"by":"{name}","number":{number},"pad":"{:0>140}"}}"#, number);
        held.append(&[record.as_bytes()])?;
        // Whoever reads this may rely on it from now on.
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{name} {number}").and_then(|()| out.flush()).is_err() {
            break;
        }
        drop(out);
        if !keep {
            held = again(held)?;
        }
    }
    Ok(())
}

/// Lets others have their turn.
fn again(held: Held) -> Result<Held, AppendError> {
    held.release()?.hold(|_, _| ())
}
