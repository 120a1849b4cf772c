//! Workflow commands: `::error file=a.c,line=3::text` and the older `##[error]text`.
//!
//! Owns the runner's grammar for them and its repairs of lines and columns. It decides what a line says, never what
//! follows: masking a value or failing a step is for whoever reads the step's output.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::finding::{Finding, Level, Location};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::text;

/// Tool of a finding whose step names none: the script itself said it.
pub const TOOL: &str = "script";

/// What one line of output says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// No command: ordinary output, which problem matchers look at.
    Nothing,
    /// A command that changes nothing here, such as `group` or `debug`, or one that stops or resumes commands.
    Handled,
    /// Something was found.
    Finding(Box<Finding>),
    /// A value that may not be shown from here on. Never empty; may have several lines.
    Mask(String),
    /// A command, by its name, that would let output change the environment of later steps. The runner fails such a step.
    Refused(&'static str),
    /// A command, by its name, that has no effect here, though the script counts on one.
    WithoutEffect(&'static str),
}

/// Reads the lines of one step. Commands that were stopped stay stopped until the end of the step.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    /// The word that resumes commands, while they are stopped.
    stopped: Option<String>,
}

/// The commands that the runner knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Issue(Level),
    AddMask,
    StopCommands,
    /// `debug`, `group`, `endgroup`, `echo`
    Display,
    Refused(&'static str),
    WithoutEffect(&'static str),
}

const COMMANDS: [(&str, Command); 15] = [
    ("error", Command::Issue(Level::Failure)),
    ("warning", Command::Issue(Level::Warning)),
    ("notice", Command::Issue(Level::Notice)),
    ("add-mask", Command::AddMask),
    ("stop-commands", Command::StopCommands),
    ("debug", Command::Display),
    ("group", Command::Display),
    ("endgroup", Command::Display),
    ("echo", Command::Display),
    ("set-env", Command::Refused("set-env")),
    ("add-path", Command::Refused("add-path")),
    ("set-output", Command::WithoutEffect("set-output")),
    ("save-state", Command::WithoutEffect("save-state")),
    ("add-matcher", Command::WithoutEffect("add-matcher")),
    ("remove-matcher", Command::WithoutEffect("remove-matcher")),
];

fn command(name: &str) -> Option<Command> {
    COMMANDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, command)| *command)
}

/// Longest word that resumes commands. It is kept while they are stopped.
const MAX_TOKEN: usize = 4096;

impl Commands {
    /// Says what `line` means. A finding's place and tool follow `options`.
    pub fn line(&mut self, line: &[u8], options: &Options) -> Said {
        if !may_hold_command(line) {
            return Said::Nothing;
        }
        let line = String::from_utf8_lossy(line);
        if let Some(token) = &self.stopped {
            let resumes = |name: &str| name.to_lowercase() == *token;
            let known = |name: &str| resumes(name) || command(name).is_some();
            if !parse(&line, known).is_some_and(|parsed| resumes(parsed.name)) {
                return Said::Nothing;
            }
            self.stopped = None;
            return Said::Handled;
        }
        let Some(parsed) = parse(&line, |name| command(name).is_some()) else {
            return Said::Nothing;
        };
        match command(parsed.name) {
            None => Said::Nothing,
            Some(Command::Issue(level)) => issue(level, &parsed, options),
            Some(Command::AddMask) if parsed.data().trim().is_empty() => Said::Handled,
            Some(Command::AddMask) => Said::Mask(parsed.data()),
            Some(Command::StopCommands) => self.stop(&parsed.data()),
            Some(Command::Display) => Said::Handled,
            Some(Command::Refused(command)) => Said::Refused(command),
            Some(Command::WithoutEffect(command)) => Said::WithoutEffect(command),
        }
    }

    /// Stops commands until `token` comes as a command, unless the runner would not take it for one.
    fn stop(&mut self, token: &str) -> Said {
        let weak = token.is_empty() || token.len() > MAX_TOKEN || token.eq_ignore_ascii_case("pause-logging");
        if weak || command(token).is_some() {
            return Said::WithoutEffect("stop-commands");
        }
        self.stopped = Some(token.to_lowercase());
        Said::Handled
    }
}

/// Whether it is worth looking closer. Nearly all lines end here.
fn may_hold_command(line: &[u8]) -> bool {
    let first = line.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'));
    let Some(text) = first.map(|first| &line[first..]) else {
        return false;
    };
    // Blanks beyond ASCII may stand before a command too.
    let at_start = text.starts_with(b"::") || (!text[0].is_ascii() && memmem::find(text, b"::").is_some());
    at_start || find_legacy(line)
}

fn find_legacy(line: &[u8]) -> bool {
    let mut rest = line;
    // `#` is rare in logs and `[` is not, so one byte search beats the search for all three.
    while let Some(at) = memchr(b'#', rest) {
        if rest[at..].starts_with(b"##[") {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// A command in its parts, none of them decoded.
struct Parsed<'l> {
    name: &'l str,
    properties: &'l str,
    data: &'l str,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `::name key=value,key=value::data`
    Colons,
    /// `##[name key=value;key=value]data`
    Brackets,
}

/// The command in `line`, if it is one of those that `known` knows. As on the runner, a line that is no command in the
/// newer form may still be one in the older, and only the first `##[` of a line counts.
fn parse<'l>(line: &'l str, known: impl Fn(&str) -> bool) -> Option<Parsed<'l>> {
    let parsed = |head: &'l str, data: &'l str, form| {
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        known(name).then_some(Parsed { name, properties, data, form })
    };
    let colons = || {
        let (head, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
        parsed(head, data, Form::Colons)
    };
    let brackets = || {
        let (head, data) = line.split_once("##[")?.1.split_once(']')?;
        parsed(head, data, Form::Brackets)
    };
    colons().or_else(brackets)
}

impl Parsed<'_> {
    fn data(&self) -> String {
        let codes: &[_] = match self.form {
            Form::Colons => &[("0D", '\r'), ("0A", '\n'), ("25", '%')],
            Form::Brackets => &BRACKET_CODES,
        };
        decoded(self.data, codes).into_owned()
    }

    /// The value of the property `key`. The last one of that name counts; empty ones do not.
    fn property(&self, key: &str) -> Option<Cow<'_, str>> {
        let (text, separator, codes): (_, _, &[_]) = match self.form {
            Form::Colons => (
                self.properties.trim(),
                ',',
                &[("0D", '\r'), ("0A", '\n'), ("3A", ':'), ("2C", ','), ("25", '%')],
            ),
            Form::Brackets => (self.properties, ';', &BRACKET_CODES),
        };
        let mut values = text.split(separator).filter_map(|pair| {
            // The runner drops empty parts, so extra equals signs around the key are no part of key or value.
            let (name, value) = pair.trim_start_matches('=').split_once('=')?;
            let value = value.trim_start_matches('=');
            (name.eq_ignore_ascii_case(key) && !value.is_empty()).then_some(value)
        });
        values.next_back().map(|value| decoded(value, codes))
    }

    /// The value of the property `key` as the runner reads a number.
    fn number(&self, key: &str) -> Option<i32> {
        self.property(key)?.trim().parse().ok()
    }
}

const BRACKET_CODES: [(&str, char); 5] = [("3B", ';'), ("0D", '\r'), ("0A", '\n'), ("5D", ']'), ("25", '%')];

/// `text` with the `%XX` of `codes` decoded once, so that `%250A` is the text `%0A` and not a line break. Other codes,
/// and lower case ones, are text.
fn decoded<'t>(text: &'t str, codes: &[(&str, char)]) -> Cow<'t, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        rest = after;
        match codes.iter().find_map(|(code, c)| Some((after.strip_prefix(code)?, *c))) {
            Some((tail, c)) => {
                out.push(c);
                rest = tail;
            }
            None => out.push('%'),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The finding of an `error`, `warning` or `notice`.
fn issue(said: Level, parsed: &Parsed<'_>, options: &Options) -> Said {
    let word = if said == Level::Failure { "error" } else { said.as_str() };
    let level = options.level(word).unwrap_or(said);
    let title =
        parsed.property("title").map(|title| plain(&title, MAX_TITLE)).filter(|title| !title.is_empty());
    let mut message = plain(&parsed.data(), MAX_MESSAGE);
    if message.trim().is_empty() {
        // A tool that says "error" and no more has still said "error".
        message = title.clone().unwrap_or_else(|| "no message".to_owned());
    }
    let path = parsed.property("file").and_then(|file| options.paths.place(&file));
    let place = repaired(
        [parsed.number("line"), parsed.number("endLine")],
        [parsed.number("col"), parsed.number("endColumn")],
    );
    let mut finding =
        Finding::new(options.tool.as_deref().unwrap_or(TOOL), level, message).at(Location { path, ..place });
    finding.title = title;
    Said::Finding(Box::new(finding))
}

/// Longest title that is kept, in bytes. The Checks API takes 255 characters; who shows it may cut further.
const MAX_TITLE: usize = 1024;

fn plain(text: &str, max: usize) -> String {
    let plain = text::without_escapes(text.as_bytes());
    text::cut(String::from_utf8_lossy(&plain).into_owned(), max)
}

/// The lines and columns that the runner keeps: an end alone is a beginning, a range must not run backwards, and
/// columns need a line and make sense on one line only.
fn repaired([line, end_line]: [Option<i32>; 2], [column, end_column]: [Option<i32>; 2]) -> Location {
    let backwards =
        |start: Option<i32>, end: Option<i32>| start.zip(end).is_some_and(|(start, end)| end < start);
    let start_line = line.or(end_line);
    let several_lines = end_line.is_some() && end_line != start_line;
    let keep_columns = start_line.is_some() && !several_lines && !backwards(column, end_column);
    let keep_lines = !backwards(line, end_line);
    let counted = |number: Option<i32>, keep: bool| {
        number.filter(|_| keep).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
    };
    Location {
        path: None,
        start_line: counted(start_line, keep_lines),
        end_line: counted(end_line, keep_lines),
        start_column: counted(column.or(end_column), keep_columns),
        end_column: counted(end_column, keep_columns),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// One line of text for each line that says something.
    fn said(lines: &[&str]) -> String {
        let mut commands = Commands::default();
        let mut out = String::new();
        for line in lines {
            match commands.line(line.as_bytes(), &Options::default()) {
                Said::Finding(f) => {
                    let place = [f.start_line, f.end_line, f.start_column, f.end_column]
                        .map(|n| n.map_or_else(|| "-".to_owned(), |n| n.to_string()))
                        .join(" ");
                    let (path, title) = (f.path.as_deref().unwrap_or("-"), f.title.as_deref().unwrap_or("-"));
                    let _ = writeln!(out, "{} {path} {place} {title:?} {:?}", f.level.as_str(), f.message);
                }
                other => {
                    let _ = writeln!(out, "{other:?}");
                }
            }
        }
        out
    }

    #[test]
    fn both_forms_are_read() {
        insta::assert_snapshot!(said(&[
            "::error::plain",
            "\t ::Warning FILE=src/x.rs,Line=7,COL=2,endColumn=9,title=Look here::with a place",
            "\u{a0}::notice::after a blank beyond ASCII",
            "10:32:07 ##[error]anywhere in a line",
            "x ##[warning file=a%3Bb.c;line=4]semi%5Dcolon",
            "::unknown::x ##[notice]the older form is tried second",
            "text ::error::not at the start",
            ":error:no", "::error", "::error no end", "##[error", "##[unknown]x ##[error]only the first counts",
            "::errors::x", ":: error::x", "::error file=a.c,line=1:one colon",
        ]), @r#"
        failure - - - - - "-" "plain"
        warning src/x.rs 7 - 2 9 "Look here" "with a place"
        notice - - - - - "-" "after a blank beyond ASCII"
        failure - - - - - "-" "anywhere in a line"
        warning a;b.c 4 - - - "-" "semi]colon"
        notice - - - - - "-" "the older form is tried second"
        Nothing
        Nothing
        Nothing
        Nothing
        Nothing
        Nothing
        Nothing
        Nothing
        Nothing
        "#);
    }

    #[test]
    fn codes_are_decoded_once_and_only_where_they_mean_something() {
        insta::assert_snapshot!(said(&[
            "::error title=a%3Ab%2Cc%25,file=x%2Cy.c::one%0Atwo%0D%0A%250A %25",
            "::error::%3A %2C %0a %5D %",
            "##[error title=a%3Bb%2C]%3B%5D%0A%253B",
        ]), @r#"
        failure x,y.c - - - - "a:b,c%" "one\ntwo\r\n%0A %"
        failure - - - - - "-" "%3A %2C %0a %5D %"
        failure - - - - - "a;b%2C" ";]\n%3B"
        "#);
    }

    #[test]
    fn properties_are_split_as_the_runner_splits_them() {
        insta::assert_snapshot!(said(&[
            "::error   file=a.c,,line=3,::blanks around all of them",
            "::error file=a.c, line=3::blanks inside belong to the key",
            "::error file=,line,=title=x,=::empty ones",
            "::error title==x=y,file=a.c,file=b.c::signs and a repeated key",
            "::error file= a b.c ,line= 5 ::blanks in values",
        ]), @r#"
        failure a.c 3 - - - "-" "blanks around all of them"
        failure a.c - - - - "-" "blanks inside belong to the key"
        failure - - - - - "x" "empty ones"
        failure b.c - - - - "x=y" "signs and a repeated key"
        failure a b.c 5 - - - "-" "blanks in values"
        "#);
    }

    #[test]
    fn lines_and_columns_are_repaired() {
        insta::assert_snapshot!(said(&[
            "::error endLine=4::an end is a beginning",
            "::error line=4,endLine=4,endColumn=9::and so for columns",
            "::error line=4,endLine=6,col=1,endColumn=2::columns need one line",
            "::error line=6,endLine=4,col=1::backwards",
            "::error line=6,col=9,endColumn=2::columns backwards",
            "::error col=3::columns need a line",
            "::error line=six,endLine=4x,col=1::words",
            "::error line=-3,col=0::not counted from 1",
            "::error line=99999999999::too large",
        ]), @r#"
        failure - 4 4 - - "-" "an end is a beginning"
        failure - 4 4 9 9 "-" "and so for columns"
        failure - 4 6 - - "-" "columns need one line"
        failure - - - - - "-" "backwards"
        failure - 6 - - - "-" "columns backwards"
        failure - - - - - "-" "columns need a line"
        failure - - - - - "-" "words"
        failure - - - - - "-" "not counted from 1"
        failure - - - - - "-" "too large"
        "#);
    }

    #[test]
    fn stopped_commands_are_output_until_the_token_comes() {
        insta::assert_snapshot!(said(&[
            "::stop-commands::Token-1",
            "::error::hidden",
            "::add-mask::hidden",
            "::stop-commands::other",
            "::other::",
            "::TOKEN-1::",
            "::error::seen",
            "##[stop-commands]t",
            "##[t]",
            "::t::",
            "::stop-commands::", "::stop-commands::Error", "::stop-commands::pause-logging",
            "::error::still seen",
        ]), @r#"
        Handled
        Nothing
        Nothing
        Nothing
        Nothing
        Handled
        failure - - - - - "-" "seen"
        Handled
        Handled
        Nothing
        WithoutEffect("stop-commands")
        WithoutEffect("stop-commands")
        WithoutEffect("stop-commands")
        failure - - - - - "-" "still seen"
        "#);
    }

    #[test]
    fn other_commands_are_told_apart() {
        insta::assert_snapshot!(said(&[
            "::add-mask::s3cr%0Aet", "::add-mask:: ", "::SET-ENV name=PATH::x", "##[add-path]/x",
            "::set-output name=a::b", "::save-state name=a::b", "::add-matcher::m.json", "::remove-matcher owner=x::",
            "::debug::x", "::group::x", "::endgroup::", "::echo::on",
        ]), @r#"
        Mask("s3cr\net")
        Handled
        Refused("set-env")
        Refused("add-path")
        WithoutEffect("set-output")
        WithoutEffect("save-state")
        WithoutEffect("add-matcher")
        WithoutEffect("remove-matcher")
        Handled
        Handled
        Handled
        Handled
        "#);
    }

    #[test]
    fn messages_are_plain_bounded_and_never_empty() {
        insta::assert_snapshot!(said(&["::error::", "::error title=T:: ", "::error::\x1b[31mred\x1b[0m"]), @r#"
        failure - - - - - "-" "no message"
        failure - - - - - "T" "T"
        failure - - - - - "-" "red"
        "#);
        let long = format!("::error title={}::{}", "t".repeat(2 * MAX_TITLE), "m".repeat(2 * MAX_MESSAGE));
        let Said::Finding(finding) = Commands::default().line(long.as_bytes(), &Options::default()) else {
            panic!("no finding")
        };
        assert!(finding.message.len() < MAX_MESSAGE + 4 && finding.title.unwrap().len() < MAX_TITLE + 4);
    }

    /// What a script's own library does to a value before it prints it.
    fn escaped(text: &str, property: bool) -> String {
        let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(message in "m[ -~\r\n%äß]{0,30}", title in "t[ -~\r\n%äß]{0,20}z") {
            let line = format!("::error title={}::{}", escaped(&title, true), escaped(&message, false));
            let Said::Finding(finding) = Commands::default().line(line.as_bytes(), &Options::default()) else {
                panic!("no finding")
            };
            prop_assert_eq!(&finding.message, &message);
            prop_assert_eq!(finding.title.as_deref(), Some(title.as_str()));
        }

        #[test]
        fn any_bytes_may_come(line in prop::collection::vec(prop::sample::select(&b"::##[]error stop-commands%250AD=,;\xFF\x1b "[..]), 0..60)) {
            let mut commands = Commands::default();
            commands.line(&line, &Options::default());
            commands.line(&[b"::stop-commands::", &line[..]].concat(), &Options::default());
            commands.line(&line, &Options::default());
        }
    }
}
