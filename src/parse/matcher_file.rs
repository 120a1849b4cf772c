//! Problem matcher files: `{"problemMatcher": [{"owner": …, "pattern": [{"regexp": …}]}]}`.
//!
//! Owns the file's form and the rules by which the runner accepts or refuses one. What a matcher then does with a line
//! is [`crate::parse::problem_matcher`]'s business.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::parse::pattern::{self, PatternError};
use crate::parse::prefilter::{self, Prefilter};
use crate::parse::problem_matcher::{Matcher, Matchers, Pattern};

/// Largest file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// Most matchers in a file, and most patterns in a matcher.
const MAX_COUNT: usize = 64;

/// Largest automaton, in states, that a pattern may become. It bounds what one byte of a hostile line can cost.
const MAX_COST: u64 = 20_000;

/// What the slowest engine may do for one line, in steps of one state and one byte.
const LINE_BUDGET: u64 = 1 << 28;

/// A matcher file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// It is larger than [`MAX_FILE`].
    #[error("the matcher file is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the matcher file is not JSON")]
    Json(#[source] serde_json::Error),
    /// It breaks a rule.
    #[error("{place}: {problem}")]
    Rule {
        /// Where, as in `problemMatcher[0].pattern[1].message`.
        place: String,
        /// Which rule, in words.
        problem: String,
    },
    /// A regular expression cannot be used.
    #[error("{place}: the regular expression cannot be used")]
    Pattern {
        /// Where.
        place: String,
        /// Why.
        #[source]
        problem: PatternError,
    },
}

/// What a group of a pattern can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    File,
    Line,
    Column,
    Severity,
    Code,
    Message,
    FromPath,
}

impl Property {
    /// Every property, in the order of the variants.
    pub(crate) const ALL: [Self; 7] =
        [Self::File, Self::Line, Self::Column, Self::Severity, Self::Code, Self::Message, Self::FromPath];

    const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Line => "line",
            Self::Column => "column",
            Self::Severity => "severity",
            Self::Code => "code",
            Self::Message => "message",
            Self::FromPath => "fromPath",
        }
    }
}

/// Compiles the text of a matcher file.
///
/// # Errors
/// Says which rule of the runner is broken and where, or what this engine cannot do.
pub fn compile(json: &str) -> Result<Matchers, MatcherError> {
    if json.len() > MAX_FILE {
        return Err(MatcherError::TooLarge);
    }
    let json = json.strip_prefix('\u{FEFF}').unwrap_or(json);
    let root: Value = serde_json::from_str(json).map_err(MatcherError::Json)?;
    let root = Node { place: "the file".to_owned(), value: &root };
    let Some(list) = root.object()?.get("problemMatcher") else {
        return root.refuse("has no `problemMatcher`");
    };
    let mut matchers: Vec<Matcher> = Vec::new();
    for node in list.named("problemMatcher").list()? {
        let matcher = compile_matcher(&node)?;
        if matchers.iter().any(|other| other.has_owner(&matcher.owner)) {
            return node.refuse(format!("the owner `{}` is taken by a matcher before", matcher.owner));
        }
        matchers.push(matcher);
    }
    Ok(Matchers::new(matchers))
}

fn compile_matcher(node: &Node<'_>) -> Result<Matcher, MatcherError> {
    let object = node.object()?;
    let owner = object.get("owner").map_or(Ok(None), |owner| owner.text())?.unwrap_or_default();
    if owner.is_empty() {
        return node.refuse("`owner` must not be empty");
    }
    let severity = object.get("severity").map_or(Ok(None), |severity| severity.text())?.unwrap_or_default();
    if !["", "error", "warning", "notice"].iter().any(|known| severity.eq_ignore_ascii_case(known)) {
        return node.refuse(format!("the default severity `{severity}` is none of error, warning, notice"));
    }
    let from_path = object.get("fromPath").map_or(Ok(None), |path| path.text())?.unwrap_or_default();
    let list = object.get("pattern").map_or(Ok(Vec::new()), |patterns| patterns.list())?;
    if list.is_empty() {
        return node.refuse("has no `pattern`");
    }
    let mut patterns: Vec<Pattern> = Vec::new();
    for (index, node) in list.iter().enumerate() {
        let pattern = compile_pattern(node, index > 0 && index + 1 == list.len())?;
        for (property, _) in &pattern.picks {
            let twice =
                patterns.iter().flat_map(|before| &before.picks).any(|(before, _)| before == property);
            if twice {
                return node.refuse(format!("`{}` is set by a pattern before", property.name()));
            }
        }
        patterns.push(pattern);
    }
    if !patterns.iter().flat_map(|pattern| &pattern.picks).any(|(property, _)| *property == Property::Message)
    {
        return node.refuse("no pattern sets `message`");
    }
    Ok(Matcher::new(owner, severity, from_path, patterns))
}

fn compile_pattern(node: &Node<'_>, may_loop: bool) -> Result<Pattern, MatcherError> {
    let object = node.object()?;
    let text = object.get("regexp").map_or(Ok(None), |text| text.text())?.unwrap_or_default();
    let refuse = |problem| MatcherError::Pattern { place: format!("{}.regexp", node.place), problem };
    let translated = pattern::translate(&text).map_err(refuse)?;
    let engine = |message: String| refuse(PatternError { message, at: 1 });
    let hir = regex_syntax::parse(&translated.text).map_err(|error| engine(summary(&error)))?;
    let cost = prefilter::cost(&hir);
    if cost > MAX_COST {
        return Err(engine("it repeats so much that matching would be slow".to_owned()));
    }
    let rest = prefilter::rest_of_line(&hir, &translated.text);
    let text = rest.as_ref().map_or(&translated.text, |(text, _)| text);
    let regex = build(text, true).map_err(|error| engine(error.to_string()))?;
    let mut picks = Vec::new();
    for property in Property::ALL {
        let Some(value) = object.get(property.name()) else { continue };
        let Some(number) = value.integer()? else { continue };
        match usize::try_from(number).ok().and_then(|number| translated.groups.get(number)) {
            Some(group) => picks.push((property, *group)),
            None => return value.refuse(format!("the pattern has no group {number}")),
        }
    }
    let repeats = object.get("loop").map_or(Ok(false), |value| value.flag())?;
    if repeats && !may_loop {
        return node.refuse("only the last of several patterns may set `loop`");
    }
    if repeats && !picks.iter().any(|(property, _)| *property == Property::Message) {
        return node.refuse("a pattern that sets `loop` must set `message`");
    }
    let ascii = build(text, false).ok();
    let sees = usize::try_from(LINE_BUDGET / cost.max(1)).unwrap_or(usize::MAX);
    let rest = rest.map(|(_, group)| group);
    Ok(Pattern { regex, ascii, prefilter: Prefilter::of(&hir), rest, picks, repeats, sees })
}

/// Without `unicode` the pattern is for lines of ASCII only, and faster. Not every pattern can be built that way.
fn build(text: &str, unicode: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(unicode).size_limit(4 << 20).dfa_size_limit(1 << 20).build()
}

/// The engine's complaint without its picture of a pattern that nobody wrote.
fn summary(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    }
}

/// A value and where it stands.
struct Node<'v> {
    place: String,
    value: &'v Value,
}

/// An object and where it stands. Its keys are found whatever their case, and `null` is as good as absent.
struct Object<'v> {
    place: String,
    fields: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    fn get(&self, key: &str) -> Option<Node<'v>> {
        let value = self.fields.get(key).or_else(|| {
            let mut fields = self.fields.iter();
            fields.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        });
        let place = format!("{}.{key}", self.place);
        value.filter(|value| !value.is_null()).map(|value| Node { place, value })
    }
}

impl<'v> Node<'v> {
    fn named(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }

    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T, MatcherError> {
        Err(MatcherError::Rule { place: self.place.clone(), problem: problem.into() })
    }

    fn object(&self) -> Result<Object<'v>, MatcherError> {
        match self.value {
            Value::Object(fields) => Ok(Object { place: self.place.clone(), fields }),
            _ => self.refuse("must be an object"),
        }
    }

    fn list(&self) -> Result<Vec<Self>, MatcherError> {
        let Value::Array(items) = self.value else {
            return self.refuse("must be a list");
        };
        if items.len() > MAX_COUNT {
            return self.refuse(format!("has more than {MAX_COUNT} entries"));
        }
        let nodes = items.iter().enumerate();
        Ok(nodes.map(|(index, value)| Self { place: format!("{}[{index}]", self.place), value }).collect())
    }

    fn text(&self) -> Result<Option<String>, MatcherError> {
        match self.value {
            Value::String(text) => Ok(Some(text.clone())),
            _ => self.refuse("must be a text"),
        }
    }

    /// A number, or a text that is one, as the runner's JSON reader takes it.
    fn integer(&self) -> Result<Option<i64>, MatcherError> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map_or_else(|| self.refuse("must be a whole number"), |number| Ok(Some(number)))
    }

    fn flag(&self) -> Result<bool, MatcherError> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => self.refuse("must be true or false"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use proptest::prelude::*;

    use super::*;

    fn refusal(json: &str) -> String {
        let Err(error) = compile(json) else { return "accepted".to_owned() };
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    }

    fn of_patterns(patterns: &str) -> String {
        refusal(&format!(r#"{{"problemMatcher":[{{"owner":"o","pattern":[{patterns}]}}]}}"#))
    }

    #[test]
    fn the_runners_rules_hold() {
        let patterns = [
            r#"{"regexp":"(.+)","file":1}"#,
            r#"{"regexp":"(.+)","message":2}"#,
            r#"{"regexp":"(.+)","message":-1}"#,
            r#"{"regexp":"(.+)","message":1.5}"#,
            r#"{"regexp":"(.+)","message":1,"loop":true}"#,
            r#"{"regexp":"(.+)","file":1,"loop":true},{"regexp":"(.+)","message":1}"#,
            r#"{"regexp":"(.+)","message":1},{"regexp":"(.+)","file":1,"loop":true}"#,
            r#"{"regexp":"(.+)","file":1},{"regexp":"(.+)","file":1},{"regexp":"(.+)","message":1}"#,
            r#"{"regexp":"(a(?=b))","message":1}"#,
            r#"{"regexp":"(","message":0}"#,
            r#"{"regexp":"\\p{Nonsense}","message":0}"#,
            r#"{"regexp":"((a{1,900}){1,900})","message":0}"#,
            r#"{"regexp":4,"message":0}"#,
            "3",
        ];
        let refusals: Vec<String> = patterns.into_iter().map(of_patterns).collect();
        insta::assert_snapshot!(refusals.join("\n"), @"
        problemMatcher[0]: no pattern sets `message`
        problemMatcher[0].pattern[0].message: the pattern has no group 2
        problemMatcher[0].pattern[0].message: the pattern has no group -1
        problemMatcher[0].pattern[0].message: must be a whole number
        problemMatcher[0].pattern[0]: only the last of several patterns may set `loop`
        problemMatcher[0].pattern[0]: only the last of several patterns may set `loop`
        problemMatcher[0].pattern[1]: a pattern that sets `loop` must set `message`
        problemMatcher[0].pattern[1]: `file` is set by a pattern before
        problemMatcher[0].pattern[0].regexp: the regular expression cannot be used: look-ahead needs an engine that can take exponential time (at character 5)
        problemMatcher[0].pattern[0].regexp: the regular expression cannot be used: a group is not closed (at character 1)
        problemMatcher[0].pattern[0].regexp: the regular expression cannot be used: Unicode property not found (at character 1)
        problemMatcher[0].pattern[0].regexp: the regular expression cannot be used: it repeats so much that matching would be slow (at character 1)
        problemMatcher[0].pattern[0].regexp: must be a text
        problemMatcher[0].pattern[0]: must be an object
        ");
        let files = [
            "",
            "[]",
            "{}",
            r#"{"problemMatcher":{}}"#,
            r#"{"problemMatcher":[{"pattern":[{"regexp":"x","message":0}]}]}"#,
            r#"{"problemMatcher":[{"owner":"o","pattern":[]}]}"#,
            r#"{"problemMatcher":[{"owner":"o","pattern":{"regexp":"x","message":0}}]}"#,
            r#"{"problemMatcher":[{"owner":"o","severity":"info","pattern":[{"regexp":"x","message":0}]}]}"#,
            r#"{"problemMatcher":[{"owner":"o","pattern":[{"regexp":"x","message":0}]},{"owner":"O","pattern":[{"regexp":"x","message":0}]}]}"#,
        ];
        let refusals: Vec<String> = files.into_iter().map(refusal).collect();
        insta::assert_snapshot!(refusals.join("\n"), @"
        the matcher file is not JSON: EOF while parsing a value at line 1 column 0
        the file: must be an object
        the file: has no `problemMatcher`
        problemMatcher: must be a list
        problemMatcher[0]: `owner` must not be empty
        problemMatcher[0]: has no `pattern`
        problemMatcher[0].pattern: must be a list
        problemMatcher[0]: the default severity `info` is none of error, warning, notice
        problemMatcher[1]: the owner `O` is taken by a matcher before
        ");
    }

    #[test]
    fn what_the_runner_accepts_is_accepted() {
        for patterns in [
            r#"{"regexp":"(.+)","message":0,"file":null,"unknown":true}"#,
            r#"{"regexp":"(.+)","message":"1","loop":false}"#,
            r#"{"message":0}"#,
            r#"{"RegExp":"(.+)","Message":1}"#,
            r#"{"regexp":"(.+)","message":1},{"regexp":"(.+)","file":1}"#,
            r#"{"regexp":"a","file":0},{"regexp":"(.+)","message":1,"loop":"true"}"#,
        ] {
            assert_eq!(of_patterns(patterns), "accepted", "{patterns}");
        }
        assert_eq!(refusal("\u{feff}{\"problemMatcher\":[]}"), "accepted");
    }

    #[test]
    fn a_file_has_an_end() {
        assert!(refusal(&" ".repeat(MAX_FILE + 1)).contains("larger than"));
        let many = vec![r#"{"regexp":"x"}"#; MAX_COUNT + 1].join(",");
        assert!(of_patterns(&many).contains("more than 64 entries"));
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(json in r#"[\[\]{}":,a-z0-9 \\.*()]{0,60}"#) {
            let _ = compile(&json);
        }
    }
}
