//! `rungate findings parse`: one report by itself.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};

use crate::cli::args::findings::{Parse, ParseFormat};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::finding::{Finding, Fingerprints};
use crate::manifest::model::Parser;
use crate::parse::errorformat::Errorformat;
use crate::parse::options::Options;
use crate::parse::problem_matcher::Matchers;
use crate::parse::{self, Item, LineFormat, matcher_file};
use crate::redact::guard;
use crate::report::sarif;

pub(super) fn parse(args: &Parse, talk: Talk) -> Result<Exit, io::Error> {
    let Some(parser) = Parser::from_word(&args.parser) else {
        let known: Vec<&str> = Parser::ALL.iter().map(|parser| parser.as_str()).collect();
        let help = format!("the parsers are: {}", known.join(", "));
        talk.error(&format!("there is no parser {:?}", args.parser), Some(&help));
        return Ok(Exit::Usage);
    };
    let format = match line_format(args, parser) {
        Ok(format) => format,
        Err(problem) => {
            talk.error(&problem, None);
            return Ok(Exit::Usage);
        }
    };
    let input: Box<dyn Read> = match &args.file {
        Some(path) if path.as_os_str() != "-" => match File::open(path) {
            Ok(_) if path.is_dir() => {
                talk.error(&format!("{} is a folder", path.display()), Some("name one report"));
                return Ok(Exit::Usage);
            }
            Ok(file) => Box::new(file),
            Err(error) => {
                talk.error(&format!("failed to open {}: {error}", path.display()), None);
                return Ok(Exit::Usage);
            }
        },
        _ => Box::new(io::stdin().lock()),
    };
    let options = Options { tool: args.tool.clone(), ..Options::default() };
    let mut printer = Printer::new(args.format, talk.in_actions);
    let mut fingerprints = Fingerprints::default();
    let mut broken = None;
    let mut suppressed: u64 = 0;
    let result = parse::file(parser, &options, format, input, &mut |item| match item {
        Item::Finding(mut finding) => {
            fingerprints.assign(&mut finding, None);
            printer.print(&finding);
        }
        Item::Suppressed { .. } => suppressed += 1,
        Item::Test(_) => {}
        Item::Broken { offset, message } => {
            broken.get_or_insert_with(|| format!("{message} at byte {offset}"));
        }
    });
    printer.finish()?;
    if suppressed > 0 {
        let plural = if suppressed == 1 { "finding is" } else { "findings are" };
        talk.note(&format!("{suppressed} {plural} suppressed by the tool and left out"));
    }
    match result {
        Ok(()) => match broken {
            None => Ok(Exit::Passed),
            Some(broken) => {
                talk.error(&broken, None);
                Ok(Exit::Usage)
            }
        },
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            talk.error(&format!("{error}{source}"), None);
            Ok(Exit::Usage)
        }
    }
}

/// What the arguments say about lines, where the parser reads lines.
fn line_format(args: &Parse, parser: Parser) -> Result<LineFormat, String> {
    if parser != Parser::Errorformat {
        return if args.errorformat.is_empty() {
            matchers(args, parser).map(LineFormat::Matchers)
        } else {
            Err(format!("--errorformat goes with --parser errorformat, not with {}", parser.as_str()))
        };
    }
    if args.errorformat.is_empty() {
        return Err("--parser errorformat needs --errorformat PATTERN".to_owned());
    }
    matchers(args, parser)?;
    let patterns = args.errorformat.iter().map(String::as_str);
    Errorformat::compile(patterns).map(LineFormat::Errorformat).map_err(|error| error.to_string())
}

/// The matchers of all files together; a later file comes first, as on the runner.
fn matchers(args: &Parse, parser: Parser) -> Result<Matchers, String> {
    if parser != Parser::ProblemMatcher {
        return if args.matcher.is_empty() {
            Ok(Matchers::default())
        } else {
            Err(format!("--matcher goes with --parser problem-matcher, not with {}", parser.as_str()))
        };
    }
    if args.matcher.is_empty() {
        return Err("--parser problem-matcher needs --matcher FILE".to_owned());
    }
    let mut all = Matchers::default();
    for path in &args.matcher {
        let mut text = String::new();
        // One byte more than a matcher file may have, so that a larger one is refused as such.
        File::open(path)
            .and_then(|file| file.take(matcher_file::MAX_FILE as u64 + 1).read_to_string(&mut text))
            .map_err(|error| format!("failed to read the matcher file {}: {error}", path.display()))?;
        let one = matcher_file::compile(&text).map_err(|error| {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{}: {error}{source}", path.display())
        })?;
        all.register(one);
    }
    Ok(all)
}

/// Bytes that are handed to standard output at a time.
const OUT: usize = 64 << 10;

/// Writes findings as they come. SARIF is one document, so its findings are collected first.
struct Printer {
    out: BufWriter<io::StdoutLock<'static>>,
    format: ParseFormat,
    in_actions: bool,
    count: u64,
    /// What is written next, kept so that not every finding needs memory of its own.
    text: Vec<u8>,
    collected: Vec<Finding>,
    error: Option<io::Error>,
}

impl Printer {
    fn new(format: ParseFormat, in_actions: bool) -> Self {
        let out = BufWriter::with_capacity(OUT, io::stdout().lock());
        Self { out, format, in_actions, count: 0, text: Vec::new(), collected: Vec::new(), error: None }
    }

    fn print(&mut self, finding: &Finding) {
        if self.error.is_some() {
            return;
        }
        let result = match self.format {
            ParseFormat::Jsonl => self.line(finding, "\n"),
            ParseFormat::Json => {
                let before = if self.count == 0 { "[\n" } else { ",\n" };
                self.out.write_all(before.as_bytes()).and_then(|()| self.line(finding, ""))
            }
            ParseFormat::Sarif => {
                self.collected.push(finding.clone());
                Ok(())
            }
        };
        self.count += 1;
        self.error = result.err();
    }

    fn line(&mut self, finding: &Finding, end: &str) -> io::Result<()> {
        if self.in_actions {
            let text = guard::json(&serde_json::to_string(finding)?);
            self.out.write_all(text.as_bytes())?;
        } else {
            self.text.clear();
            serde_json::to_writer(&mut self.text, finding)?;
            self.out.write_all(&self.text)?;
        }
        self.out.write_all(end.as_bytes())
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.format {
            ParseFormat::Jsonl => {}
            ParseFormat::Json if self.count == 0 => self.out.write_all(b"[]\n")?,
            ParseFormat::Json => self.out.write_all(b"\n]\n")?,
            ParseFormat::Sarif => {
                let mut text = sarif::document(&self.collected)?;
                if self.in_actions {
                    text = guard::json(&text);
                }
                self.out.write_all(text.as_bytes())?;
            }
        }
        self.out.flush()
    }
}
