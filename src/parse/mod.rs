//! Bytes to findings: what tools print and write, read as it streams by, in memory that does not grow with it.
//!
//! Owns every report format and nothing else. Which steps are read and what a finding leads to is not known here, nor
//! are files: a caller hands over bytes. A format that cannot be read says so with the place, and what was found before
//! that place stands.

mod checkstyle;
pub mod diagnosis;
pub mod errorformat;
pub mod ignore;
mod json;
mod junit;
pub mod lines;
pub mod matcher_file;
mod nunit;
pub mod options;
mod output;
pub mod path;
pub mod pattern;
mod pester;
mod prefilter;
pub mod problem_matcher;
#[cfg(test)]
mod properties;
mod psscriptanalyzer;
mod rdjson;
mod region;
mod ruff;
mod sarif;
mod spill;
mod stack;
mod tap;
mod test_case;
#[cfg(test)]
mod testing;
pub mod text;
mod trx;
pub mod workflow_commands;
mod xml;

use std::io::{self, Read};

use crate::finding::Finding;
use crate::finding::test::Test;
use crate::manifest::model::Parser;
use crate::parse::errorformat::Errorformat;
use crate::parse::lines::LineSplitter;
use crate::parse::options::Options;
use crate::parse::problem_matcher::{Line, Matchers};
use crate::parse::text::Decoded;
use crate::parse::workflow_commands::{Commands, Said};

/// Which of a step's two streams a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What finds something in lines.
#[derive(Clone, Debug)]
pub enum LineFormat {
    /// Problem matchers.
    Matchers(Matchers),
    /// Patterns of an `errorformat`.
    Errorformat(Errorformat),
}

impl Default for LineFormat {
    /// Matchers, of which there are none.
    fn default() -> Self {
        Self::Matchers(Matchers::default())
    }
}

impl LineFormat {
    /// Reads one line. Whether it is part of a finding; what it completes goes to `found`.
    fn line(&mut self, line: &Line<'_>, options: &Options, found: &mut dyn FnMut(Finding)) -> bool {
        match self {
            Self::Matchers(matchers) => matchers.line_of(line, options).map(found).is_some(),
            Self::Errorformat(errorformat) => errorformat.line(&line.shown(), options, found),
        }
    }

    /// Another one took the line, or there are no more: what waits for further lines is over.
    fn break_off(&mut self, options: &Options, found: &mut dyn FnMut(Finding)) {
        match self {
            Self::Matchers(matchers) => matchers.reset_but(None),
            Self::Errorformat(errorformat) => errorformat.finish(options, found),
        }
    }
}

/// A format of lines and what the manifest says about it.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The format.
    pub format: LineFormat,
    /// How what they match becomes findings.
    pub options: Options,
    /// The only stream that they see; absent: both.
    pub only: Option<Origin>,
}

impl Source {
    fn break_off(&mut self, sink: &mut dyn FnMut(Said)) {
        self.format.break_off(&self.options, &mut |finding| sink(Said::Finding(Box::new(finding))));
    }
}

/// Reads the output of one step: workflow commands first, and what is no command with every source's matchers.
///
/// The two streams are split into lines apart and read as one, in the order in which their lines end.
#[derive(Debug, Default)]
pub struct LineParser {
    stdout: LineSplitter,
    stderr: LineSplitter,
    reader: Reader,
}

/// What a [`LineParser`] does with whole lines.
#[derive(Debug, Default)]
struct Reader {
    commands: Option<(Commands, Options)>,
    /// Commands are known, so that no matcher sees one, but nothing is said about them.
    pass_over_commands: bool,
    sources: Vec<Source>,
}

impl LineParser {
    /// Reads `sources`, and workflow commands when there are options for them. Sources come in the order in which they
    /// see a line.
    #[must_use]
    pub fn new(commands: Option<Options>, sources: Vec<Source>) -> Self {
        let commands = commands.map(|options| (Commands::default(), options));
        Self { reader: Reader { commands, pass_over_commands: false, sources }, ..Self::default() }
    }

    /// Reads the next bytes of a stream, in whatever pieces they come. `sink` hears everything but [`Said::Nothing`] and
    /// [`Said::Handled`].
    pub fn push(&mut self, origin: Origin, bytes: &[u8], sink: &mut dyn FnMut(Said)) {
        let splitter = match origin {
            Origin::Stdout => &mut self.stdout,
            Origin::Stderr => &mut self.stderr,
        };
        splitter.push(bytes, &mut |line| self.reader.line(origin, line, sink));
    }

    /// The step has ended: reads last lines that have no end.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Said)) {
        self.stdout.finish(&mut |line| self.reader.line(Origin::Stdout, line, sink));
        self.stderr.finish(&mut |line| self.reader.line(Origin::Stderr, line, sink));
        self.reader.sources.iter_mut().for_each(|source| source.break_off(sink));
    }

    /// How many lines so far were longer than [`lines::MAX_LINE`] and were read without their end.
    #[must_use]
    pub const fn cut_lines(&self) -> u64 {
        self.stdout.cut() + self.stderr.cut()
    }
}

impl Reader {
    fn line(&mut self, origin: Origin, line: &[u8], sink: &mut dyn FnMut(Said)) {
        if let Some((commands, options)) = &mut self.commands {
            match commands.line(line, options) {
                Said::Nothing => {}
                Said::Handled => return,
                _ if self.pass_over_commands => return,
                said => return sink(said),
            }
        }
        if self.sources.is_empty() {
            return;
        }
        let line = Line::new(line);
        let sees = |source: &Source| source.only.is_none_or(|only| only == origin);
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if !sees(source) {
                continue;
            }
            let mut found = Vec::new();
            let is_taken = source.format.line(&line, &source.options, &mut |finding| found.push(finding));
            if is_taken {
                let others = self.sources.iter_mut().enumerate().filter(|(other, _)| *other != index);
                others.for_each(|(_, other)| other.break_off(sink));
            }
            for finding in found {
                sink(Said::Finding(Box::new(finding)));
            }
            if is_taken {
                return;
            }
        }
    }
}

/// What a report gives, in its own order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A finding.
    Finding(Box<Finding>),
    /// A finding that the tool itself takes for accepted. It decides nothing, and is counted all the same.
    Suppressed {
        /// The finding.
        finding: Box<Finding>,
        /// Why, in the tool's words as far as it gave some.
        reason: String,
    },
    /// A test that was run or skipped. One that failed is also a finding.
    Test(Test),
    /// A record that cannot be read. Reading goes on after it.
    Broken {
        /// Where it is, in bytes from the beginning.
        offset: u64,
        /// What is wrong with it.
        message: String,
    },
}

/// A report that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes could not be had.
    #[error("the input breaks off at byte {offset}")]
    Read {
        /// Bytes that were read before.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What has to wait for the end of the report cannot be kept.
    #[error("a temporary file for the report cannot be used")]
    Spill(#[source] io::Error),
    /// The bytes are not of the format.
    #[error("{message} at byte {offset}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong.
        message: String,
    },
}

impl ParseError {
    /// The first bytes could not be had.
    const fn unread(source: io::Error) -> Self {
        Self::Read { offset: 0, source }
    }
}

/// Whether a parser reads output line by line while it comes. The others need a document from beginning to end.
#[must_use]
pub const fn reads_lines(parser: Parser) -> bool {
    match parser {
        Parser::WorkflowCommands | Parser::ProblemMatcher | Parser::Errorformat => true,
        Parser::Sarif
        | Parser::Junit
        | Parser::Nunit
        | Parser::Trx
        | Parser::Rdjson
        | Parser::Rdjsonl
        | Parser::Checkstyle
        | Parser::Tap
        | Parser::Psscriptanalyzer
        | Parser::Pester
        | Parser::Ruff => false,
    }
}

/// Reads a whole report and hands each item to `sink` as soon as it is known. `format` is used by
/// `problem-matcher` and `errorformat` alone, and sees what it would see in a run: no line that is a workflow command.
///
/// # Errors
/// Says why and where reading ended. What was handed over before stands.
pub fn file(
    parser: Parser,
    options: &Options,
    format: LineFormat,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut reader = match parser {
        Parser::WorkflowCommands => LineParser::new(Some(options.clone()), Vec::new()),
        Parser::ProblemMatcher | Parser::Errorformat => {
            let source = Source { format, options: options.clone(), only: None };
            let mut parser = LineParser::new(Some(Options::default()), vec![source]);
            parser.reader.pass_over_commands = true;
            parser
        }
        Parser::Sarif => return sarif::read(options, sarif::TOOL, Decoded::new(input), sink),
        Parser::Rdjson => return rdjson::document(options, Decoded::new(input), sink),
        Parser::Rdjsonl => return rdjson::lines(options, Decoded::new(input), sink),
        Parser::Psscriptanalyzer => return psscriptanalyzer::read(options, Decoded::new(input), sink),
        Parser::Ruff => return ruff::read(options, Decoded::new(input), sink),
        Parser::Checkstyle => return checkstyle::read(input, options, sink),
        Parser::Junit => return junit::read(input, options, sink),
        Parser::Nunit => return nunit::read(input, options, sink),
        Parser::Tap => return tap::read(input, options, sink),
        Parser::Trx => return trx::read(input, options, sink),
        Parser::Pester => return pester::read(input, options, sink),
    };
    let mut hear = |said| {
        if let Said::Finding(finding) = said {
            sink(Item::Finding(finding));
        }
    };
    let mut input = Decoded::new(input);
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                reader.push(Origin::Stdout, &buffer[..count], &mut hear);
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                reader.finish(&mut hear);
                return Err(ParseError::Read { offset, source });
            }
        }
    }
    reader.finish(&mut hear);
    Ok(())
}

/// What a parser told, one line each, for snapshots.
#[cfg(test)]
fn told(parse: impl FnOnce(&mut dyn FnMut(Item)) -> Result<(), ParseError>) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let result = parse(&mut |item| {
        let _ = match item {
            Item::Finding(f) => {
                let _ = write!(out, "{} {}", f.tool, f.level.as_str());
                let _ = f.rule.as_ref().map(|rule| write!(out, " [{rule}]"));
                let _ = write!(out, " {}", f.path.as_deref().unwrap_or("-"));
                for number in [f.start_line, f.start_column, f.end_line, f.end_column]
                    .into_iter()
                    .rev()
                    .skip_while(Option::is_none)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                {
                    let _ = write!(out, ":{}", number.map(|number| number.to_string()).unwrap_or_default());
                }
                let _ = f.title.as_ref().map(|title| write!(out, " {title:?} >"));
                writeln!(out, " {:?}", f.message)
            }
            Item::Suppressed { finding, reason } => {
                writeln!(out, "suppressed ({reason}): {}", finding.message)
            }
            Item::Test(test) => writeln!(out, "{test:?}"),
            Item::Broken { offset, message } => writeln!(out, "broken: {message} at byte {offset}"),
        };
    });
    if let Err(error) = result {
        let _ = writeln!(out, "error: {error}");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::matcher_file::compile;

    fn source(owner: &str, regexp: &str, only: Option<Origin>) -> Source {
        let json = format!(
            r#"{{"problemMatcher":[{{"owner":"{owner}","pattern":[{{"regexp":"{regexp}","message":1}}]}}]}}"#
        );
        Source { format: LineFormat::Matchers(compile(&json).unwrap()), options: Options::default(), only }
    }

    fn two_lines() -> Source {
        let json = r#"{"problemMatcher":[{"owner":"two","pattern":[
            {"regexp":"^file (.*)$","file":1},{"regexp":"^E (.*)$","message":1,"loop":true}]}]}"#;
        Source { format: LineFormat::Matchers(compile(json).unwrap()), ..Source::default() }
    }

    fn shown(said: Said) -> String {
        match said {
            Said::Finding(finding) => format!("{}: {}", finding.tool, finding.message),
            other => format!("{other:?}"),
        }
    }

    fn parse(sources: Vec<Source>, pieces: &[(Origin, &[u8])]) -> Vec<String> {
        let mut heard = Vec::new();
        let mut parser = LineParser::new(Some(Options::default()), sources);
        for (origin, bytes) in pieces {
            parser.push(*origin, bytes, &mut |said| heard.push(shown(said)));
        }
        parser.finish(&mut |said| heard.push(shown(said)));
        heard
    }

    fn message(item: Item) -> Option<String> {
        match item {
            Item::Finding(finding) => Some(finding.message),
            Item::Suppressed { .. } | Item::Test(_) | Item::Broken { .. } => None,
        }
    }

    const OUT: Origin = Origin::Stdout;
    const ERR: Origin = Origin::Stderr;

    #[test]
    fn matchers_do_not_see_commands_unless_these_are_stopped() {
        let text = b"::error::E1 x\n::stop-commands::t\n::error::E2 y\n::t::\n::group::E3\nE4 z";
        let heard = parse(vec![source("m", "(E\\\\d.*)", None)], &[(OUT, text)]);
        assert_eq!(heard, ["script: E1 x", "m: E2 y", "m: E4 z"]);
    }

    #[test]
    fn streams_are_split_apart_and_sources_see_theirs() {
        let sources = || vec![source("out", "^E (.*)", Some(OUT)), source("both", "^[EW] (.*)", None)];
        let heard = parse(sources(), &[(OUT, b"E o"), (ERR, b"E e"), (OUT, b"ne\nW two\n"), (ERR, b"rr\n")]);
        assert_eq!(heard, ["out: one", "both: two", "both: err"]);
    }

    #[test]
    fn a_finding_of_one_source_resets_the_others() {
        let sources = || vec![source("one", "^W (.*)", None), two_lines()];
        assert_eq!(parse(sources(), &[(OUT, b"file a\nE b\nE c\n")]), ["two: b", "two: c"]);
        assert_eq!(parse(sources(), &[(OUT, b"file a\nW x\nE b\n")]), ["one: x"]);
    }

    #[test]
    fn a_log_read_by_matchers_alone_has_its_commands_passed_over() {
        let text = b"::error::E1 x\nE2 y\n##[group]E3\n##[other]E4 z";
        let mut found = Vec::new();
        let matchers = source("m", "(E\\\\d.*)", None).format;
        file(Parser::ProblemMatcher, &Options::default(), matchers, &text[..], &mut |item| {
            found.extend(message(item));
        })
        .unwrap();
        assert_eq!(found, ["E2 y", "E4 z"]);
    }

    #[test]
    fn files_are_decoded() {
        let utf16: Vec<u8> =
            "\u{feff}::error::ä\r\n::notice::b".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut found = Vec::new();
        let parser = Parser::WorkflowCommands;
        file(parser, &Options::default(), LineFormat::default(), &utf16[..], &mut |item| {
            found.extend(message(item));
        })
        .unwrap();
        assert_eq!(found, ["ä", "b"]);
    }

    #[test]
    fn what_was_read_before_a_fault_stands() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }
        let mut found = 0;
        let input = (&b"::error::a\n::error::b"[..]).chain(Broken);
        let parser = Parser::WorkflowCommands;
        let error =
            file(parser, &Options::default(), LineFormat::default(), input, &mut |_| found += 1).unwrap_err();
        assert_eq!((error.to_string().as_str(), found), ("the input breaks off at byte 21", 2));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            words in prop::collection::vec(prop::sample::select(&[
                "::error::x", "##[warning]y", "E one", "file a", "::stop-commands::t", "::t::", "\r\n", "\n", "\r", " ",
                "\u{feff}", "\x1b[31m", "é",
            ][..]), 0..16),
            cuts in prop::collection::vec(0usize..120, 0..4),
        ) {
            let text = words.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<(Origin, &[u8])> = cuts.windows(2).map(|cut| (OUT, &text[cut[0]..cut[1]])).collect();
            let sources = || vec![two_lines()];
            prop_assert_eq!(parse(sources(), &[(OUT, &text)]), parse(sources(), &pieces));
        }
    }
}
