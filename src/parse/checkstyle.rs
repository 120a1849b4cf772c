//! Checkstyle's XML, which many linters write: `<checkstyle><file name><error line column severity message source/>`.
//!
//! Owns the format's elements and words for levels.

use std::borrow::Cow;
use std::io::Read;

use crate::finding::Level;
use crate::parse::options::Options;
use crate::parse::output::{self, Output};
use crate::parse::xml::{self, Tag, Token};
use crate::parse::{Item, ParseError};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "checkstyle";

/// Reads a report.
pub(super) fn read(
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut out = Output::new(TOOL, options, sink);
    let mut file = None;
    xml::walk(input, &mut out, |depth, token, out| {
        let Token::Start(tag) = token else { return Ok(true) };
        Ok(match (depth, tag.name()) {
            (1, "checkstyle") => true,
            (1, name) => return Err(xml::wrong_root("a Checkstyle report", name)),
            (_, "file") => {
                file = None;
                tag.attributes(|name, value| {
                    if name == "name" {
                        file = Some(value.into_owned());
                    }
                })
            }
            (_, "error") => error(&tag, file.as_deref(), out),
            _ => true,
        })
    })
}

/// Reads one `<error>`. False when it has attributes that cannot be read.
fn error(tag: &Tag<'_>, file: Option<&str>, out: &mut Output<'_>) -> bool {
    let (mut line, mut column) = (None, None);
    let [mut severity, mut message, mut source] = [const { Cow::Borrowed("") }; 3];
    let whole = tag.attributes(|name, value| match name {
        "line" => line = output::number(&value),
        "column" => column = output::number(&value),
        "severity" => severity = value,
        "message" => message = value,
        "source" => source = value,
        _ => {}
    });
    if let Some(level) = level(&severity, out.options) {
        let fallback = if source.is_empty() { "no message" } else { &source };
        let mut finding = out.finding(level, &message, fallback).at(out.location(file, line, column));
        finding.rule = output::title(&source);
        out.give(Item::Finding(Box::new(finding)));
    }
    whole
}

/// The level that a severity means; nothing for one that asks to be left out. Checkstyle's own words are `ignore`,
/// `info`, `warning` and `error`; the others are what linters write in their place.
fn level(severity: &str, options: &Options) -> Option<Level> {
    let severity = severity.trim();
    if let Some(level) = options.level(severity) {
        return Some(level);
    }
    match severity.to_ascii_lowercase().as_str() {
        "ignore" | "ignored" | "off" | "none" => None,
        "info" | "information" | "note" | "style" | "convention" | "refactor" | "hint" | "suggestion" => {
            Some(Level::Notice)
        }
        "warn" => Some(Level::Warning),
        _ => Some(options.level.unwrap_or(Level::Failure)),
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::model::Parser;
    use crate::parse::testing::shown;

    #[test]
    fn files_errors_and_levels() {
        insta::assert_snapshot!(shown(Parser::Checkstyle, r#"<checkstyle version="8"><file name=".\src\A&amp;B.java">
            <error line="3" column="7" severity="error" message="a &lt;b&gt;" source="x.y.ZCheck"/>
            <error line="0" column="1" severity="warning" message="no line"/>
            <error line="4" severity="info" message="" source="S"/><error line="5" severity="ignore" message="left out"/>
            <error line="x" severity="unheard of" message="still told"/><exception><![CDATA[boom]]></exception></file>
            <file><error line="1" message="no file, no severity"/></file><error line="2" message=unquoted severity="notice"/></checkstyle>"#), @r#"
        failure src/A&B.java:3:7 [x.y.ZCheck] "a <b>"
        warning src/A&B.java [-] "no line"
        notice src/A&B.java:4 [S] "S"
        failure src/A&B.java [-] "still told"
        failure -:1 [-] "no file, no severity"
        notice -:2 [-] "no message"
        broken at 549: a tag with broken attributes
        "#);
    }

    #[test]
    fn a_cut_report_gives_what_it_had() {
        insta::assert_snapshot!(shown(Parser::Checkstyle, "<checkstyle><file name='a'><error line='1' message='m'/><err"), @r#"
        failure a:1 [-] "m"
        error: the document ends inside a tag at byte 60
        "#);
        insta::assert_snapshot!(shown(Parser::Checkstyle, "[]"), @"error: this is not XML: it does not begin with a tag at byte 0");
    }
}
