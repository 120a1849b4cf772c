//! The grammar of one line of TAP.

use std::time::Duration;

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line<'l> {
    /// `TAP version 14`, `pragma +strict`
    Header,
    /// `1..4`
    Plan { first: u64, last: u64 },
    /// `not ok 3 - description # TODO why`
    Point(Point),
    /// `Bail out! why`
    BailOut(&'l str),
    /// `# text`, without the mark.
    Comment(&'l str),
    /// `---` alone.
    BlockBegins,
    /// `{` alone: the subtest of the point before follows.
    BraceOpens,
    /// `}` alone, after a subtest in braces.
    BraceCloses,
    /// Not TAP: what the program under test printed.
    Other,
}

/// A test point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) ok: bool,
    /// Its number, unless it is counted.
    pub(super) number: Option<u64>,
    pub(super) description: String,
    pub(super) directive: Option<Directive>,
    pub(super) duration: Option<Duration>,
    /// Its subtest follows in braces.
    pub(super) opens: bool,
}

/// Why the outcome of a test point does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    Skip,
    Todo,
}

/// What `text` is, given without its indentation.
pub(super) fn read(text: &str) -> Line<'_> {
    let text = text.trim_end();
    if let Some(comment) = text.strip_prefix('#') {
        return Line::Comment(comment);
    }
    match text {
        "---" => return Line::BlockBegins,
        "{" => return Line::BraceOpens,
        "}" => return Line::BraceCloses,
        _ => {}
    }
    if let Some(point) = point(text) {
        return Line::Point(point);
    }
    if let Some(plan) = plan(text) {
        return plan;
    }
    let starts = |word: &str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    match text {
        _ if starts("bail out!") => Line::BailOut(text["bail out!".len()..].trim()),
        _ if starts("tap version ") || starts("pragma ") => Line::Header,
        _ => Line::Other,
    }
}

fn plan(text: &str) -> Option<Line<'_>> {
    let plan = text.split_once('#').map_or(text, |(plan, _)| plan);
    let (first, last) = plan.trim_end().split_once("..")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return None;
    }
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    Some(Line::Plan { first: number(first), last: number(last) })
}

fn point(text: &str) -> Option<Point> {
    let (ok, rest) = match text.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok")?),
    };
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return None;
    }
    let text = rest.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = match text.as_bytes().get(digits) {
        None | Some(b' ' | b'\t') if digits > 0 => {
            (Some(text[..digits].parse().unwrap_or(u64::MAX)), text[digits..].trim_start())
        }
        _ => (None, text),
    };
    let (rest, opens) = match rest.strip_suffix('{') {
        Some(before) if before.is_empty() || before.ends_with(char::is_whitespace) => {
            (before.trim_end(), true)
        }
        _ => (rest, false),
    };
    let mut point = Point { ok, number, description: String::new(), directive: None, duration: None, opens };
    point.describe(rest);
    Some(point)
}

impl Point {
    /// Splits a description from what follows its marks.
    fn describe(&mut self, text: &str) {
        let mut end = text.len();
        for (at, _) in text.match_indices('#') {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| !c.is_whitespace()) {
                continue;
            }
            let remark = &text[at + 1..];
            let directive = directive(remark);
            let duration = remark.trim_start().strip_prefix("time=").and_then(duration);
            if directive.is_some() || duration.is_some() {
                self.directive = self.directive.or(directive);
                self.duration = self.duration.or(duration);
                end = end.min(at);
            }
        }
        let description = text[..end].trim();
        let description = description.strip_prefix('-').map_or(description, str::trim_start);
        self.description = unescaped(description);
    }

    /// What to call the point: its description, else its number.
    pub(super) fn name(&self, number: u64) -> String {
        if self.description.is_empty() { format!("test {number}") } else { self.description.clone() }
    }
}

/// The directive that `remark`, the text after a mark, begins with. `Skipped:` is one as well; `Todos` is none.
fn directive(remark: &str) -> Option<Directive> {
    let remark = remark.trim_start();
    let starts = |word: &str| remark.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if starts("skip") {
        return Some(Directive::Skip);
    }
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (starts("todo") && ends(&remark["todo".len()..])).then_some(Directive::Todo)
}

/// `1.234ms`, `2s` or `1.5m`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.split_whitespace().next()?;
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor = match &text[unit..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(text[..unit].parse::<f64>().ok()? * factor).ok()
}

/// A description with `\#` and `\\` decoded.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('#' | '\\')) => out.extend(characters.next()),
            _ => out.push(c),
        }
    }
    out
}
