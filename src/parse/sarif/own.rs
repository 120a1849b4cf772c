//! The properties by which logs of rungate itself say what the format has no word for, so that a finding comes back as it
//! was. Properties are free: those of another tool may have these names and be of any kind, so nothing about them is odd.

use std::io::Read;

use crate::finding::Finding;
use crate::parse::ParseError;
use crate::parse::json::{Json, Kind};
use crate::parse::output::kept;
use crate::parse::sarif::metadata::MAX_NAME;
use crate::parse::spill::record::record;

/// The driver of our own logs.
pub(crate) const DRIVER: &str = "rungate";

/// Our properties of a result or a rule.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) tool: Option<String>,
    title: Option<String>,
    step: Option<String>,
    path: Option<String>,
    start_line: Option<u32>,
    end_line: Option<u32>,
    start_column: Option<u32>,
    end_column: Option<u32>,
}

record!(Own { tool, title, step, path, start_line, end_line, start_column, end_column });

pub(crate) fn read<R: Read>(json: &mut Json<R>) -> Result<Own, ParseError> {
    let mut own = Own::default();
    if json.kind()? != Kind::Object {
        json.skip()?;
        return Ok(own);
    }
    json.object()?;
    while let Some(key) = json.key()? {
        match key {
            "tool" => own.tool = text(json)?,
            "title" => own.title = text(json)?,
            "step" => own.step = text(json)?,
            "path" => own.path = text(json)?,
            "startLine" => own.start_line = number(json)?,
            "endLine" => own.end_line = number(json)?,
            "startColumn" => own.start_column = number(json)?,
            "endColumn" => own.end_column = number(json)?,
            _ => json.skip()?,
        }
    }
    Ok(own)
}

fn text<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    if json.kind()? == Kind::Text {
        return Ok(json.text()?.map(|text| kept(text, MAX_NAME)));
    }
    json.skip()?;
    Ok(None)
}

fn number<R: Read>(json: &mut Json<R>) -> Result<Option<u32>, ParseError> {
    if json.kind()? == Kind::Number {
        return Ok(json.scalar()?.and_then(|number| number.parse().ok()));
    }
    json.skip()?;
    Ok(None)
}

impl Own {
    /// Gives `finding`, whose rule is that of `tool`, back what we once wrote down.
    pub(crate) fn restore(self, finding: &mut Finding, tool: Option<&str>, has_tool: bool) {
        if let Some(tool) = self.tool.as_deref().or(tool) {
            let rule = finding.rule.as_deref().and_then(|id| id.strip_prefix(tool)?.strip_prefix('/'));
            finding.rule = rule.map(str::to_owned);
            if !has_tool {
                tool.clone_into(&mut finding.tool);
            }
        }
        finding.title = self.title;
        finding.step = self.step.unwrap_or_default();
        if finding.path.is_none() {
            finding.path = self.path;
            finding.start_line = self.start_line;
            finding.end_line = self.end_line;
            finding.start_column = self.start_column;
            finding.end_column = self.end_column;
        }
    }
}
