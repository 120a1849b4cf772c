//! Writes records to a crash-safe file, or reads them, so that `tests/faults/append.py` can disturb it from outside.
//!
//! ```text
//! cargo run --example append -- write FILE NAME COUNT    COUNT records of NAME, each acknowledged on standard output
//! cargo run --example append -- read FILE                every record on standard output
//! cargo run --example append -- journal FOLDER COUNT     COUNT entries of a journal, for benches/append.py
//! ```
//!
//! `write` takes the file for each record anew, as several processes that share an audit log do; `keep` holds it for all of
//! them, as the process that makes a run holds its journal. `write` makes the file where there is none.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the caller reads")]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use rungate::append::log::{AppendError, Held, Log, read};
use rungate::clock::Timestamp;
use rungate::id::RunId;
use rungate::journal::entry::{Entry, Planned};
use rungate::journal::file::Journal;
use rungate::redact::Registry;

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
        ["journal", folder, count] => return journal(Path::new(folder), count.parse().unwrap_or(0)),
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
        let record = format!(r#"{{"by":"{name}","number":{number},"pad":"{number:0>140}"}}"#);
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

/// Entries as a delivery writes them, of a registry that knows some secrets. Prints how many a second.
fn journal(folder: &Path, count: u32) -> ExitCode {
    let registry = Registry::new();
    for secret in ["correct-horse-battery-staple", "another secret of some length"] {
        let _known_or_not = registry.add(secret);
    }
    let now = Timestamp::now();
    let planned = Planned {
        run_id: RunId::fresh(),
        name: "bench".to_owned(),
        api: "https://api.github.com".to_owned(),
        repository: "octo-org/hello".to_owned(),
        sha: "0".repeat(40),
        folder: folder.to_owned(),
        started_at: now,
        deadline: now,
    };
    let check = planned.run_id.to_string();
    let entry = |arrived| Entry::AnnotationsReceipt { check: check.clone(), arrived };
    let written = Journal::create(folder, planned, &registry).and_then(|journal| {
        let started = Instant::now();
        for number in 0..count {
            journal.write(&entry(u64::from(number)))?;
        }
        let length = std::fs::metadata(journal.path()).map_or(0, |it| it.len());
        println!(
            "{:.1} {}",
            f64::from(count) / started.elapsed().as_secs_f64(),
            length / u64::from(count.max(1))
        );
        Ok(())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Lets others have their turn.
fn again(held: Held) -> Result<Held, AppendError> {
    held.release()?.hold(|_, _| ())
}
