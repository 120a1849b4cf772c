//! Every reader of reports, and lines by patterns: no panic, no more items than bytes, and the same items in whatever
//! pieces the bytes come.
//!
//! The first byte names the parser, the second how many bytes come at a time; the rest is the report.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use rungate::manifest::model::Parser;
use rungate::parse::errorformat::Errorformat;
use rungate::parse::matcher_file;
use rungate::parse::options::Options;
use rungate::parse::{Item, LineFormat, file};

/// Patterns with a file, lines over several lines, a stack of files and lines that are passed over.
const PATTERNS: [&str; 7] =
    ["%A%f:%l:%c: %t%*[a-z]: %m", "%C  %m", "%Z%p^", "%-Pin file %f", "%l: %m", "%-Q", "%-G#%.%#"];

/// A matcher of one line and one of two, the second of which repeats.
const MATCHERS: &str = r#"{"problemMatcher": [
    {"owner": "one", "pattern": [{"regexp": "^(.+):(\\d+):(\\d+): (error|warning): (.*) \\[(.+)\\]$",
        "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5, "code": 6}]},
    {"owner": "two", "pattern": [{"regexp": "^file (.*)$", "file": 1},
        {"regexp": "^\\s+(\\d+) (.*)$", "line": 1, "message": 2, "loop": true}]}]}"#;

fn format(parser: Parser) -> LineFormat {
    match parser {
        Parser::Errorformat => LineFormat::Errorformat(Errorformat::compile(PATTERNS).unwrap()),
        Parser::ProblemMatcher => LineFormat::Matchers(matcher_file::compile(MATCHERS).unwrap()),
        _ => LineFormat::default(),
    }
}

/// Gives so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn read(parser: Parser, bytes: &[u8], piece: usize) -> (Vec<Item>, Result<(), String>) {
    let mut items = Vec::new();
    let result =
        file(parser, &Options::default(), format(parser), Pieces(bytes, piece), &mut |item| items.push(item));
    (items, result.map_err(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    let [choice, piece, report @ ..] = input else { return };
    let parser = Parser::ALL[usize::from(*choice) % Parser::ALL.len()];
    let whole = read(parser, report, usize::MAX);
    assert!(whole.0.len() <= report.len() + 1, "{} items of {} bytes", whole.0.len(), report.len());
    assert_eq!(read(parser, report, usize::from(*piece).max(1)), whole);
});
