//! Problem matchers: what GitHub's runner does with the lines of a step when a matcher file is registered.
//!
//! Owns the order in which matchers see a line and the state of those that span several. The rules are the runner's:
//! the first matcher that completes takes the line and all others begin anew; the patterns of a matcher match lines that
//! follow each other; a last pattern with `loop` keeps what the patterns before it found. One accident of the runner is
//! not repeated: with four patterns or more it lets a half-finished match outlive a line that breaks it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex};

use crate::finding::{Finding, Location};
use crate::parse::matcher_file::Property;
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::path;
use crate::parse::prefilter::Prefilter;
use crate::parse::text;

/// Most of a line that is kept while a matcher waits for the lines after it, in bytes.
const MAX_KEPT: usize = 64 << 10;

/// Longest value of a property other than the message, in bytes.
const MAX_VALUE: usize = 8 << 10;

/// Compiled matchers, in the order in which they see a line. A clone shares the patterns and has a state of its own.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    matchers: Vec<Matcher>,
}

/// One matcher and how far it has come.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    pub(crate) owner: String,
    /// Where no pattern found one; may be empty.
    severity: String,
    /// Where no pattern found one; may be empty.
    from_path: String,
    patterns: Vec<Pattern>,
    /// For each pattern but the last: what it and those before it found in the lines up to this one.
    state: Vec<Option<Running>>,
}

/// One pattern of a matcher.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    /// The same for lines of ASCII only.
    pub(crate) ascii: Option<Regex>,
    pub(crate) prefilter: Prefilter,
    /// The group that reaches to the end of the line, where the pattern ends in one. The engine finds only its start.
    pub(crate) rest: Option<usize>,
    /// Which group is which property.
    pub(crate) picks: Vec<(Property, usize)>,
    pub(crate) repeats: bool,
    /// How much of a line it sees, so that the slowest pattern has an end.
    pub(crate) sees: usize,
}

/// A match that waits for its next line.
#[derive(Clone, Debug)]
enum Running {
    /// The lines, one for each pattern. Most are thrown away, so nothing is taken out of them yet.
    Lines(Vec<Arc<[u8]>>),
    /// What was found, kept for a `loop`.
    Found(Fields<'static>),
}

/// The values of the properties, by [`Property`].
type Fields<'l> = [Option<Cow<'l, str>>; Property::ALL.len()];

impl Matchers {
    pub(crate) const fn new(matchers: Vec<Matcher>) -> Self {
        Self { matchers }
    }

    /// Adds matchers that were registered later: they see a line first, and replace those of the same owner.
    pub fn register(&mut self, newer: Self) {
        let replaced = |old: &Matcher| newer.matchers.iter().any(|new| new.has_owner(&old.owner));
        let kept =
            std::mem::take(&mut self.matchers).into_iter().filter(|old| !replaced(old)).collect::<Vec<_>>();
        self.matchers = newer.matchers;
        self.matchers.extend(kept);
    }

    /// What the next line of output completes.
    pub fn line(&mut self, line: &[u8], options: &Options) -> Option<Finding> {
        self.line_of(&Line::new(line), options)
    }

    /// As [`Self::line`], for a line that several sets of matchers see.
    pub(crate) fn line_of(&mut self, line: &Line<'_>, options: &Options) -> Option<Finding> {
        for index in 0..self.matchers.len() {
            let Some(fields) = self.matchers[index].line(line) else { continue };
            self.reset_but(Some(index));
            // A match without a message or of an unknown severity is none, and the next matcher has its turn, from
            // its beginning.
            if let Some(finding) = self.matchers[index].finding(fields, options) {
                return Some(finding);
            }
        }
        None
    }

    /// Lets every matcher begin anew, but for the one at `index`.
    pub(crate) fn reset_but(&mut self, index: Option<usize>) {
        for (other, matcher) in self.matchers.iter_mut().enumerate() {
            if Some(other) != index {
                matcher.state.fill_with(|| None);
            }
        }
    }
}

impl Matcher {
    pub(crate) fn new(owner: String, severity: String, from_path: String, patterns: Vec<Pattern>) -> Self {
        let state = vec![None; patterns.len().saturating_sub(1)];
        Self { owner, severity, from_path, patterns, state }
    }

    pub(crate) fn has_owner(&self, owner: &str) -> bool {
        self.owner.to_lowercase() == owner.to_lowercase()
    }

    /// What the line completes. Later patterns look first, because what they continue is what the line before left.
    fn line<'l>(&mut self, line: &'l Line<'_>) -> Option<Fields<'l>> {
        let last = self.patterns.len().checked_sub(1)?;
        if last == 0 {
            return self.patterns[0].captured(line.text());
        }
        if self.state[last - 1].is_some() {
            let found = self.patterns[last].captured(line.kept());
            // Whatever the last pattern says, the match that it continued is over, unless it loops.
            let running = self.state[last - 1].take();
            if let (Some(found), Some(running)) = (found, running) {
                let before = self.resolve(running);
                self.state.fill_with(|| None);
                let mut fields: Fields<'l> = before.clone();
                if self.patterns[last].repeats {
                    self.state[last - 1] = Some(Running::Found(before));
                }
                merge(&mut fields, found);
                return Some(fields);
            }
        }
        for index in (0..last).rev() {
            let before = match index.checked_sub(1) {
                None => Some(Vec::new()),
                Some(before) => match self.state[before].take() {
                    Some(Running::Lines(lines)) => Some(lines),
                    Some(Running::Found(_)) | None => None,
                },
            };
            self.state[index] =
                before.filter(|_| self.patterns[index].matches(line.kept())).map(|mut lines| {
                    lines.push(line.shared());
                    Running::Lines(lines)
                });
        }
        None
    }

    /// What the patterns found in the lines that wait.
    fn resolve(&self, running: Running) -> Fields<'static> {
        match running {
            Running::Found(fields) => fields,
            Running::Lines(lines) => {
                let mut fields = Fields::default();
                for (pattern, line) in self.patterns.iter().zip(lines) {
                    let found = pattern.captured(&line).unwrap_or_default();
                    merge(&mut fields, found.map(|value| value.map(|value| Cow::Owned(value.into_owned()))));
                }
                fields
            }
        }
    }

    /// The finding that a complete match is, if it is one.
    fn finding(&self, fields: Fields<'_>, options: &Options) -> Option<Finding> {
        let [file, line, column, severity, code, message, from_path] = fields.map(Option::unwrap_or_default);
        if message.trim().is_empty() {
            return None;
        }
        let level = options.level(if severity.is_empty() { &self.severity } else { &severity })?;
        let from_path = if from_path.is_empty() { &self.from_path } else { &*from_path };
        let file = Some(file.trim()).filter(|file| !file.is_empty());
        let path = file.and_then(|file| options.paths.place(&path::beside(from_path.trim(), file)));
        let tool = options.tool.as_deref().unwrap_or(&self.owner);
        let place = Location {
            path,
            start_line: counted(&line),
            start_column: counted(&column),
            ..Location::default()
        };
        let mut finding = Finding::new(tool, level, text::cut(message.into_owned(), MAX_MESSAGE)).at(place);
        finding.rule = Some(code.trim()).filter(|code| !code.is_empty()).map(str::to_owned);
        Some(finding)
    }
}

/// A line or column: digits and nothing else, from 1.
fn counted(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: i32 = text.parse().ok().filter(|_| digits)?;
    u32::try_from(number).ok().filter(|number| *number > 0)
}

/// Adds what a later pattern found. No property is set by two patterns of a matcher.
fn merge<'l>(fields: &mut Fields<'l>, found: Fields<'l>) {
    for (field, value) in fields.iter_mut().zip(found) {
        if value.is_some() {
            *field = value;
        }
    }
}

impl Pattern {
    fn matches(&self, text: &[u8]) -> bool {
        let text = head(text, self.sees);
        self.prefilter.admits(text) && self.regex_for(text).is_match(text)
    }

    /// The values of the groups that are properties, when the pattern matches. A group that took no part is empty.
    fn captured<'l>(&self, text: &'l [u8]) -> Option<Fields<'l>> {
        let text = head(text, self.sees);
        if !self.prefilter.admits(text) {
            return None;
        }
        let regex = self.regex_for(text);
        let mut places: CaptureLocations = regex.capture_locations();
        regex.captures_read(&mut places, text)?;
        let mut fields = Fields::default();
        for (property, group) in &self.picks {
            let (start, end) = places.get(*group).unwrap_or((0, 0));
            let to_the_end = self.rest.is_some_and(|rest| *group == rest || *group == 0);
            let end = if to_the_end { text.len() } else { end };
            // A message is cut when it is told; the other values are of no use when they are long.
            let max = if *property == Property::Message { usize::MAX } else { MAX_VALUE };
            fields[*property as usize] = Some(String::from_utf8_lossy(head(&text[start..end], max)));
        }
        Some(fields)
    }

    fn regex_for(&self, text: &[u8]) -> &Regex {
        self.ascii.as_ref().filter(|_| text.is_ascii()).unwrap_or(&self.regex)
    }
}

/// A line as matchers see it. Its forms are made when the first matcher asks for them.
#[derive(Debug)]
pub(crate) struct Line<'l> {
    plain: Cow<'l, [u8]>,
    /// With replacement characters, where it was no UTF-8.
    replaced: OnceCell<Option<String>>,
    shared: OnceCell<Arc<[u8]>>,
}

impl<'l> Line<'l> {
    pub(crate) fn new(line: &'l [u8]) -> Self {
        Self { plain: text::without_escapes(line), replaced: OnceCell::new(), shared: OnceCell::new() }
    }

    /// Without colours, and UTF-8.
    fn text(&self) -> &[u8] {
        let replaced = self.replaced.get_or_init(|| match std::str::from_utf8(&self.plain) {
            Ok(_) => None,
            Err(_) => Some(String::from_utf8_lossy(&self.plain).into_owned()),
        });
        replaced.as_ref().map_or(&*self.plain, String::as_bytes)
    }

    /// As much of it as is looked at where the whole line is text.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.kept())
    }

    /// As much of it as a matcher of several lines may keep.
    fn kept(&self) -> &[u8] {
        head(self.text(), MAX_KEPT)
    }

    fn shared(&self) -> Arc<[u8]> {
        Arc::clone(self.shared.get_or_init(|| Arc::from(self.kept())))
    }
}

/// At most `max` bytes of `text`, which is UTF-8, up to the border of a character.
fn head(text: &[u8], max: usize) -> &[u8] {
    if text.len() <= max {
        return text;
    }
    let is_inside = |at: &usize| text[*at] & 0xC0 == 0x80;
    let border = (0..=max).rev().find(|at| !is_inside(at)).unwrap_or(0);
    &text[..border]
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::parse::matcher_file::compile;

    /// A matcher file with one matcher for each argument.
    fn file(matchers: &[&str]) -> Matchers {
        compile(&format!(r#"{{"problemMatcher":[{}]}}"#, matchers.join(",")))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// One line of text for each finding.
    fn found(mut matchers: Matchers, lines: &[&str]) -> String {
        let mut out = String::new();
        for line in lines {
            if let Some(f) = matchers.line(line.as_bytes(), &Options::default()) {
                let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
                let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                let place = format!("{}:{}:{}", or(&f.path), number(f.start_line), number(f.start_column));
                let _ =
                    writeln!(out, "{} {} {place} {} {:?}", f.tool, f.level.as_str(), or(&f.rule), f.message);
            }
        }
        out
    }

    const COMPILER: &str = r#"{"owner":"cc","pattern":[{
        "regexp":"^(.+):(\\d+):(\\S+): (?:fatal )?(warning|error|note): (.*?)(?: \\[(\\S*)\\])?$",
        "file":1,"line":2,"column":3,"severity":4,"message":5,"code":6}]}"#;

    const BY_FILE: &str = r#"{"owner":"lint","severity":"warning","pattern":[
        {"regexp":"^(\\S+\\.js)$","file":1},
        {"regexp":"^ +(\\d+): (?:(error|off) )?(.*)$","line":1,"severity":2,"message":3,"loop":true}]}"#;

    const THREE: &str = r#"{"owner":"three","pattern":[
        {"regexp":"^file (.+)$","file":1},
        {"regexp":"^(?:code|file) (.+)$","code":1},
        {"regexp":"^message (.+)$","message":1}]}"#;

    #[test]
    fn one_line_is_one_finding() {
        insta::assert_snapshot!(found(file(&[COMPILER]), &[
            "src/a.c:3:14: error: expected ';' [-Wx]",
            "src/a.c: In function 'f':",
            "\u{1b}[1m./b.c:4:2: \u{1b}[35;1mwarning: \u{1b}[0;1munused\u{1b}[K",
            "c.c:+5:x: fatal error: is no number",
            "d.c:5:x: fatal error: the column is no number",
            "e.c:99999999999:0: error: numbers that cannot be []",
            "f.c:1:1: note: a word that is no severity",
            "g.c:1:1: error: ",
            "h.c:1:1: error:   ",
        ]), @r#"
        cc failure src/a.c:3:14 -Wx "expected ';'"
        cc warning b.c:4:2 - "unused"
        cc failure d.c:5:- - "the column is no number"
        cc failure e.c:-:- - "numbers that cannot be"
        "#);
    }

    #[test]
    fn a_loop_keeps_what_came_before_it() {
        insta::assert_snapshot!(found(file(&[BY_FILE]), &[
            " 1: too early", "a.js", " 1: one", " 2: error two", " 3: off dropped", " 4: four", "", " 5: too late",
            "b.js", "c.js", " 6: six",
        ]), @r#"
        lint warning a.js:1:- - "one"
        lint failure a.js:2:- - "two"
        lint warning a.js:4:- - "four"
        lint warning c.js:6:- - "six"
        "#);
    }

    #[test]
    fn the_lines_of_a_match_follow_each_other() {
        insta::assert_snapshot!(found(file(&[THREE]), &[
            "file a", "code 1", "message whole",
            "message alone",
            "file b", "", "code 2", "message broken",
            "file c", "code 3", "code 4", "message broken later",
            "file d", "file e", "code 5", "message begun twice",
            "file f", "file g", "message of both kinds",
        ]), @r#"
        three failure a:-:- 1 "whole"
        three failure e:-:- 5 "begun twice"
        three failure f:-:- g "of both kinds"
        "#);
    }

    #[test]
    fn the_first_that_completes_takes_the_line_and_resets_the_others() {
        let any = r#"{"owner":"any","pattern":[{"regexp":"^(?:message|warn) (.*)$","message":1}]}"#;
        let lines = ["file a", "code 1", "message taken by the first", "warn x"];
        insta::assert_snapshot!(found(file(&[any, THREE]), &lines), @r#"
        any failure -:-:- - "taken by the first"
        any failure -:-:- - "x"
        "#);
        insta::assert_snapshot!(found(file(&[THREE, any]), &lines), @r#"
        three failure a:-:- 1 "taken by the first"
        any failure -:-:- - "x"
        "#);
        let reset = ["file a", "warn resets three", "code 1", "message is not three's"];
        insta::assert_snapshot!(found(file(&[THREE, any]), &reset), @r#"
        any failure -:-:- - "resets three"
        any failure -:-:- - "is not three's"
        "#);
    }

    #[test]
    fn a_match_that_is_no_finding_leaves_the_line_to_the_next() {
        let odd = r#"{"owner":"odd","pattern":[{"regexp":"^(info|error) (.*)$","severity":1,"message":2}]}"#;
        let any = r#"{"owner":"any","pattern":[{"regexp":"(.*)","message":1}]}"#;
        insta::assert_snapshot!(found(file(&[odd, any]), &["info text", "error text", "error ", ""]), @r#"
        any failure -:-:- - "info text"
        odd failure -:-:- - "text"
        any failure -:-:- - "error "
        "#);
    }

    #[test]
    fn later_files_come_first_and_replace_their_owner() {
        let matcher = |owner: &str, text: &str| {
            file(&[&format!(r#"{{"owner":"{owner}","pattern":[{{"regexp":"^{text}(.*)$","message":1}}]}}"#)])
        };
        let mut matchers = matcher("a", "x: ");
        matchers.register(matcher("b", "x: y: "));
        matchers.register(matcher("c", "z: "));
        insta::assert_snapshot!(found(matchers.clone(), &["x: y: both", "x: only a", "z: c"]), @r#"
        b failure -:-:- - "both"
        a failure -:-:- - "only a"
        c failure -:-:- - "c"
        "#);
        matchers.register(matcher("B", "w: "));
        insta::assert_snapshot!(found(matchers, &["x: y: b is gone", "w: new b"]), @r#"
        a failure -:-:- - "y: b is gone"
        B failure -:-:- - "new b"
        "#);
    }

    #[test]
    fn projects_place_their_files() {
        let matcher = r#"{"owner":"cs","fromPath":"web/site.csproj","pattern":[
            {"regexp":"^(.*): (.+?)(?: \\[(.+)\\])?$","file":1,"message":2,"fromPath":3}]}"#;
        insta::assert_snapshot!(found(file(&[matcher]), &[
            "a.cs: by default", "../a.cs: up", "a.cs: named [lib\\core\\core.csproj]", "/x/a.cs: absolute", ": no file",
        ]), @r#"
        cs failure web/a.cs:-:- - "by default"
        cs failure a.cs:-:- - "up"
        cs failure lib/core/a.cs:-:- - "named"
        cs failure /x/a.cs:-:- - "absolute"
        cs failure -:-:- - "no file"
        "#);
    }

    #[test]
    fn bytes_that_are_no_text_match_like_text() {
        let mut matchers = file(&[COMPILER]);
        let finding = matchers.line(b"a.c:1:2: error: caf\xE9 \xFF", &Options::default()).unwrap();
        assert_eq!(finding.message, "caf\u{FFFD} \u{FFFD}");
    }

    #[test]
    fn long_lines_are_bounded_and_still_found() {
        let mut matchers = file(&[THREE, COMPILER]);
        let long = "x".repeat(2 << 20);
        let options = Options::default();
        let finding = matchers.line(format!("a.c:1:2: error: {long}").as_bytes(), &options).unwrap();
        assert_eq!(finding.message.len(), MAX_MESSAGE + '…'.len_utf8());
        assert!(matchers.line(format!("file {long}").as_bytes(), &options).is_none());
        assert!(matchers.line(b"code 1", &options).is_none());
        let finding = matchers.line(b"message x", &options).unwrap();
        assert!(finding.path.unwrap().len() <= MAX_VALUE);
    }

    #[test]
    fn the_head_of_a_text_ends_between_characters() {
        assert_eq!(head("aäb".as_bytes(), 2), b"a");
        assert_eq!(head("aäb".as_bytes(), 3), "aä".as_bytes());
        assert_eq!(head("ä".as_bytes(), 0), b"");
    }

    proptest! {
        /// The engine against the rules in their plainest form: every pattern by itself, no prefilter, no state kept.
        #[test]
        fn a_sequence_is_found_exactly_where_its_lines_follow_each_other(kinds in prop::collection::vec(0usize..4, 0..30)) {
            let texts = ["file a", "code 1", "message m", "other"];
            let lines: Vec<&str> = kinds.iter().map(|kind| texts[*kind]).collect();
            // `file` lines are codes as well; a completed match takes its lines.
            let (mut expected, mut since) = (0, 0);
            for end in 0..lines.len() {
                if end >= since + 2 && lines[end] == texts[2] && lines[end - 1] != texts[2] && lines[end - 1] != texts[3]
                    && lines[end - 2] == texts[0]
                {
                    expected += 1;
                    since = end + 1;
                }
            }
            prop_assert_eq!(found(file(&[THREE]), &lines).lines().count(), expected);
        }

        #[test]
        fn any_bytes_may_come(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut matchers = file(&[COMPILER, BY_FILE, THREE]);
            for line in lines {
                matchers.line(&line, &Options::default());
            }
        }
    }
}
