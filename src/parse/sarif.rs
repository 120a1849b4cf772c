//! SARIF 2.1.0, as static analysers write it and code scanning reads it.
//!
//! A result leans on what its run says elsewhere: rules with default levels and message texts, files by number, folders
//! by name. All of that may come after the results, and in the logs of widespread tools it does. So a result is made a
//! finding at once when all that it needs is known, and waits for the end of its run when not.
//!
//! Left out are results that report no failure, or that the tool's own baseline calls absent or unchanged. Those that it
//! calls suppressed are handed over as such. Version 1 is another format and is refused by name.

mod finding;
mod metadata;
mod own;
mod place;
mod result;
mod rules;
mod suppression;

use std::io::Read;

use crate::parse::json::{Json, Kind, Layout, records};
use crate::parse::options::Options;
use crate::parse::output::kept;
use crate::parse::sarif::metadata::Metadata;
use crate::parse::sarif::result::Outcome;
use crate::parse::spill::Spill;
use crate::parse::{Item, ParseError};

/// Tool of a run whose driver has no name.
pub(crate) const TOOL: &str = "sarif";

/// The only version that is read.
const VERSION: &str = "2.1.0";

/// Reads one log. `tool` is the name of a tool that has none.
///
/// # Errors
/// Says where the input is no SARIF, or of which version it is when it is not of this one.
pub(crate) fn read(
    options: &Options,
    tool: &str,
    input: impl Read,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut json = Json::new(input, Layout::Document);
    if json.kind()? != Kind::Object {
        return Err(json.malformed("this is no SARIF: an object with `version` and `runs` was expected"));
    }
    json.object()?;
    let mut has_version = false;
    let mut has_runs = false;
    while let Some(key) = json.key()? {
        match key {
            "version" => has_version |= version(&mut json)?,
            // Some writers forget the version and name the schema.
            "$schema" => has_version |= json.scalar()?.is_some_and(|schema| schema.contains(VERSION)),
            "runs" => {
                has_runs = true;
                runs(&mut json, options, tool, sink)?;
            }
            _ => json.skip()?,
        }
    }
    match (has_version, has_runs) {
        (true, true) => json.end(),
        (false, true) => Err(json.malformed("the SARIF has no `version`; only 2.1.0 can be read")),
        (_, false) => Err(json.malformed("this is no SARIF: it has no `runs`")),
    }
}

fn version<R: Read>(json: &mut Json<R>) -> Result<bool, ParseError> {
    json.kind()?;
    let offset = json.offset();
    match json.scalar()? {
        Some(VERSION) => Ok(true),
        Some(other) => {
            let other = kept(other, 32);
            let message = format!(
                "SARIF {other} cannot be read, only {VERSION}: convert it with \
                 `sarif-multitool transform --sarif-output-version Current`, found"
            );
            Err(ParseError::Malformed { offset, message })
        }
        None => Ok(false),
    }
}

fn runs<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    tool: &str,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    json.each(|json| {
        if json.object()? {
            run(json, options, tool, sink)?;
        }
        tell_oddity(json, sink);
        Ok(())
    })?;
    tell_oddity(json, sink);
    Ok(())
}

fn run<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    tool: &str,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut metadata = Metadata::default();
    let mut spill = Spill::default();
    let read = members(json, options, tool, &mut metadata, &mut spill, sink);
    // What was read before a fault stands, as far as it is known what it means.
    spill.drain(|result: Box<result::Result>| tell(result, &metadata, options, tool, sink))?;
    if let Some(offset) = metadata.left_out_at() {
        let message = format!("rules and files of more than {} bytes are left out", metadata::MAX_KEPT);
        sink(Item::Broken { offset, message });
    }
    read
}

fn members<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    tool: &str,
    metadata: &mut Metadata,
    spill: &mut Spill,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    while let Some(key) = json.key()? {
        match key {
            "results" => results(json, options, tool, metadata, spill, sink)?,
            "tool" => metadata.read_tool(json)?,
            "artifacts" => metadata.read_artifacts(json)?,
            "originalUriBaseIds" => metadata.read_bases(json)?,
            "invocations" => metadata.read_invocations(json)?,
            _ => json.skip()?,
        }
        tell_oddity(json, sink);
    }
    Ok(())
}

fn results<R: Read>(
    json: &mut Json<R>,
    options: &Options,
    tool: &str,
    metadata: &Metadata,
    spill: &mut Spill,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    json.each(|json| {
        match records::one(json, result::read)? {
            Err(broken) => sink(broken),
            Ok(Outcome::LeftOut) => {}
            Ok(Outcome::Counts(result)) if spill.is_used() || !metadata.suffices_for(&result) => {
                spill.add(&result)?;
            }
            Ok(Outcome::Counts(result)) => tell(result, metadata, options, tool, sink),
        }
        Ok(())
    })
}

fn tell(
    mut result: Box<result::Result>,
    metadata: &Metadata,
    options: &Options,
    tool: &str,
    sink: &mut dyn FnMut(Item),
) {
    let suppressed = result.suppressed.take();
    let Some(finding) = result.finding(metadata, options, tool).map(Box::new) else { return };
    sink(match suppressed {
        None => Item::Finding(finding),
        Some(reason) => Item::Suppressed { finding, reason },
    });
}

fn tell_oddity<R: Read>(json: &mut Json<R>, sink: &mut dyn FnMut(Item)) {
    if let Some(odd) = json.take_oddity() {
        sink(Item::Broken { offset: odd.offset, message: odd.message });
    }
}

#[cfg(test)]
mod tests;
