//! From a result and what its run says to a finding.

use std::fmt::Write as _;

use crate::finding::{Finding, Level};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::sarif::metadata::{Component, Metadata, Rule};
use crate::parse::sarif::own;
use crate::parse::sarif::result::{MAX_STEP, Message, Result};
use crate::parse::text::cut;

/// The format's words for levels.
const LEVELS: [(&str, Level); 3] =
    [("error", Level::Failure), ("warning", Level::Warning), ("note", Level::Notice)];

impl Result {
    /// The finding; nothing when the result's level is `none`.
    pub(crate) fn finding(self, metadata: &Metadata, options: &Options, tool: &str) -> Option<Finding> {
        let (rule, component) = metadata.rule(&self.rule);
        let overridden =
            || self.invocation.and_then(|invocation| metadata.override_level(invocation, &self.rule));
        let default = || rule.and_then(|rule| rule.level.as_deref());
        let word = self.level.as_deref().or_else(overridden).or_else(default);
        let is_mapped = || options.map.keys().any(|key| key.eq_ignore_ascii_case("none"));
        if word.is_some_and(|word| word.eq_ignore_ascii_case("none")) && !is_mapped() {
            return None;
        }
        let level = options.level_of(word, &LEVELS, Level::Warning);
        let mut message = self.message.resolve(rule, component);
        self.add_fix_and_flow(&mut message, metadata, options);
        let tool = options.tool.as_deref().or_else(|| metadata.tool_name()).unwrap_or(tool);
        let path = self.place.as_ref().and_then(|place| place.path(metadata, &options.paths));
        let mut finding = Finding::new(tool, level, message).at(self.region.location(path));
        finding.rule = self.rule.id.or_else(|| rule.map(|rule| rule.id.clone())).filter(|id| !id.is_empty());
        finding.title =
            rule.and_then(|rule| rule.title.clone()).filter(|title| !finding.message.starts_with(&**title));
        finding.fingerprint = self.fingerprint;
        if metadata.tool_name() == Some(own::DRIVER) {
            self.own.map(|own| *own).unwrap_or_default().restore(
                &mut finding,
                rule.and_then(|rule| rule.tool.as_deref()),
                options.tool.is_some(),
            );
        }
        Some(finding)
    }

    /// Adds what the tool would do about it and how it came there: for a reader, behind the message.
    fn add_fix_and_flow(&self, message: &mut String, metadata: &Metadata, options: &Options) {
        if let Some(fix) = &self.fix {
            let _ = write!(message, "\n\nFix: {fix}");
        }
        if self.flow.len() > 1 {
            message.push_str("\n\nFlow:");
            for step in &self.flow {
                let path = step.place.as_ref().and_then(|place| place.path(metadata, &options.paths));
                let path = cut(path.unwrap_or_default(), MAX_STEP);
                let line = step.region.start_line.map(|line| format!(":{line}")).unwrap_or_default();
                let text = step.message.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
                let _ = write!(message, "\n- {path}{line}{text}");
            }
            if self.further_steps > 0 {
                let _ = write!(message, "\n- and {} more", self.further_steps);
            }
        }
    }
}

impl Message {
    /// The message's text: its own, or by its id the rule's or the tool's, with the arguments put in.
    fn resolve(&self, rule: Option<&Rule>, component: Option<&Component>) -> String {
        let by_id = || {
            let id = self.id.as_deref()?;
            rule.and_then(|rule| rule.messages.get(id)).or_else(|| component?.messages.get(id))
        };
        let own = self.text.as_ref().or_else(by_id).or(self.markdown.as_ref());
        match own.filter(|text| !text.trim().is_empty()) {
            Some(text) if self.arguments.is_empty() => text.clone(),
            Some(text) => cut(filled(text, &self.arguments), MAX_MESSAGE),
            // A tool that says no more has still found something.
            None => match (rule.and_then(|rule| rule.title.as_ref()), &self.id) {
                (Some(title), _) => title.clone(),
                (None, Some(id)) => id.clone(),
                (None, None) => "no message".to_owned(),
            },
        }
    }
}

/// `template` with each `{n}` replaced by the argument of that number; `{{` and `}}` are braces.
fn filled(template: &str, arguments: &[String]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (brace, tail) = rest[at..].split_at(1);
        rest = tail;
        let argument = || {
            let (number, after) = tail.split_once('}')?;
            Some((arguments.get(number.parse::<usize>().ok()?)?, after))
        };
        if let Some(after) = tail.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
        } else if brace == "{"
            && let Some((argument, after)) = argument()
        {
            // Arguments can be long and occur often.
            if out.len() <= MAX_MESSAGE {
                out.push_str(argument);
            }
            rest = after;
        } else {
            out.push_str(brace);
        }
    }
    out.push_str(rest);
    out
}
