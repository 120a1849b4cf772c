//! One result, as far as it is read.

use std::borrow::Cow;
use std::io::Read;

use crate::finding::FINGERPRINT;
use crate::parse::ParseError;
use crate::parse::json::Json;
use crate::parse::options::MAX_MESSAGE;
use crate::parse::output::kept;
use crate::parse::region::{Region, counted};
use crate::parse::sarif::metadata::{MAX_NAME, index, member, name};
use crate::parse::sarif::own::{self, Own};
use crate::parse::sarif::place::{self, Place};
use crate::parse::sarif::suppression;
use crate::parse::spill::record::record;

/// Most arguments of a message, and the length of each in bytes.
const MAX_ARGUMENTS: usize = 32;
const MAX_ARGUMENT: usize = 4096;

/// Most steps of a flow that are told, and the length of each text in it in bytes.
const MAX_STEPS: usize = 10;
pub(super) const MAX_STEP: usize = 200;

/// Longest text of all partial fingerprints together, in bytes.
const MAX_FINGERPRINT: usize = 2048;

/// The partial fingerprint that code scanning goes by.
const LINE_HASH: &str = "primaryLocationLineHash";

/// What was read of a part of a result.
type Parsed<T> = std::result::Result<T, ParseError>;

/// What a result leads to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A finding, when its level is known.
    Counts(Box<Result>),
    /// Nothing: it is no failure, or nothing new.
    LeftOut,
}

/// A result as it is written.
#[derive(Debug, Default)]
pub(crate) struct Result {
    pub(super) rule: Reference,
    pub(crate) level: Option<Cow<'static, str>>,
    pub(super) message: Message,
    pub(crate) place: Option<Place>,
    pub(super) region: Region,
    pub(super) fingerprint: String,
    pub(super) fix: Option<String>,
    pub(super) flow: Vec<Step>,
    /// Steps of the flow beyond those that are kept.
    pub(super) further_steps: u32,
    /// Boxed, for only logs of our own have some.
    pub(super) own: Option<Box<Own>>,
    /// Why the tool takes it for accepted, if it does.
    pub(crate) suppressed: Option<String>,
    /// The run of the tool that found it.
    pub(crate) invocation: Option<u32>,
}

record!(Result {
    rule,
    level,
    message,
    place,
    region,
    fingerprint,
    fix,
    flow,
    further_steps,
    own,
    suppressed,
    invocation,
});

/// Which rule is meant.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) id: Option<String>,
    pub(crate) index: Option<u32>,
    pub(crate) component: Option<ComponentReference>,
}

record!(Reference { id, index, component });

/// Which driver or extension is meant.
#[derive(Debug, Default)]
pub(crate) struct ComponentReference {
    pub(crate) index: Option<u32>,
    pub(crate) guid: Option<String>,
    pub(crate) name: Option<String>,
}

record!(ComponentReference { index, guid, name });

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) text: Option<String>,
    pub(super) markdown: Option<String>,
    pub(super) id: Option<String>,
    pub(super) arguments: Vec<String>,
}

record!(Message { text, markdown, id, arguments });

/// One step of a flow.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) place: Option<Place>,
    pub(super) region: Region,
    pub(super) message: Option<String>,
}

record!(Step { place, region, message });

/// Reads one result.
pub(crate) fn read<R: Read>(json: &mut Json<R>) -> Parsed<Outcome> {
    // On the heap from the beginning: it is large, and is handed on.
    let mut result = Box::<Result>::default();
    let mut counts = true;
    let mut target = None;
    if !json.object()? {
        return Ok(Outcome::LeftOut);
    }
    while let Some(key) = json.key()? {
        match key {
            "ruleId" => result.rule.id = name(json)?.or_else(|| result.rule.id.take()),
            "ruleIndex" => result.rule.index = index(json)?.or(result.rule.index),
            "rule" => result.rule = Reference::read(json)?.or(std::mem::take(&mut result.rule)),
            "level" => result.level = level(json)?,
            "kind" => counts &= json.text()?.is_none_or(|kind| kind == "fail"),
            "baselineState" => {
                counts &= json.text()?.is_none_or(|state| !matches!(state, "absent" | "unchanged"));
            }
            "suppressions" => result.suppressed = suppression::read(json)?,
            "message" => result.message = Message::read(json)?,
            "locations" => locations(json, &mut result)?,
            "analysisTarget" => target = place::read(json)?,
            "partialFingerprints" => result.fingerprint = fingerprint(json)?,
            "fixes" => result.fix = fix(json)?,
            "codeFlows" => flows(json, &mut result)?,
            "properties" => {
                let own = own::read(json)?;
                result.own = (own != Own::default()).then(|| Box::new(own));
            }
            "provenance" => result.invocation = invocation(json)?,
            _ => json.skip()?,
        }
    }
    // The file that was looked at is better than no file.
    result.place = result.place.take().or(target);
    Ok(if counts { Outcome::Counts(result) } else { Outcome::LeftOut })
}

impl Reference {
    /// Reads a reference to a descriptor.
    pub(crate) fn read<R: Read>(json: &mut Json<R>) -> Parsed<Self> {
        let mut reference = Self::default();
        if json.object()? {
            while let Some(key) = json.key()? {
                match key {
                    "id" => reference.id = name(json)?,
                    "index" => reference.index = index(json)?,
                    "toolComponent" => reference.component = Some(ComponentReference::read(json)?),
                    _ => json.skip()?,
                }
            }
        }
        Ok(reference)
    }

    fn or(self, other: Self) -> Self {
        Self {
            id: other.id.or(self.id),
            index: other.index.or(self.index),
            component: self.component.or(other.component),
        }
    }
}

impl ComponentReference {
    fn read<R: Read>(json: &mut Json<R>) -> Parsed<Self> {
        let mut reference = Self::default();
        if json.object()? {
            while let Some(key) = json.key()? {
                match key {
                    "index" => reference.index = index(json)?,
                    "guid" => reference.guid = name(json)?,
                    "name" => reference.name = name(json)?,
                    _ => json.skip()?,
                }
            }
        }
        Ok(reference)
    }
}

impl Message {
    fn read<R: Read>(json: &mut Json<R>) -> Parsed<Self> {
        let mut message = Self::default();
        if json.object()? {
            while let Some(key) = json.key()? {
                match key {
                    "text" => message.text = text(json, MAX_MESSAGE)?,
                    "markdown" => message.markdown = text(json, MAX_MESSAGE)?,
                    "id" => message.id = name(json)?,
                    "arguments" => json.each(|json| {
                        let argument = json.scalar()?.map(|text| kept(text, MAX_ARGUMENT));
                        if message.arguments.len() < MAX_ARGUMENTS {
                            message.arguments.push(argument.unwrap_or_default());
                        }
                        Ok(())
                    })?,
                    _ => json.skip()?,
                }
            }
        }
        Ok(message)
    }
}

/// A level. The format's own words need no memory of their own.
fn level<R: Read>(json: &mut Json<R>) -> Parsed<Option<Cow<'static, str>>> {
    Ok(json.text()?.filter(|word| !word.is_empty()).map(|word| {
        let known = ["error", "warning", "note", "none"].into_iter().find(|known| *known == word);
        known.map_or_else(|| Cow::Owned(kept(word, MAX_NAME)), Cow::Borrowed)
    }))
}

fn text<R: Read>(json: &mut Json<R>, max: usize) -> Parsed<Option<String>> {
    Ok(json.text()?.map(|text| kept(text, max)))
}

/// Reads the first location that is in a file.
fn locations<R: Read>(json: &mut Json<R>, result: &mut Result) -> Parsed<()> {
    json.each(|json| {
        if result.place.is_some() {
            return json.skip();
        }
        let step = location(json)?;
        if step.place.is_some() {
            (result.place, result.region) = (step.place, step.region);
        }
        Ok(())
    })
}

fn location<R: Read>(json: &mut Json<R>) -> Parsed<Step> {
    let mut step = Step::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "physicalLocation" => (step.place, step.region) = physical(json)?,
                "message" => step.message = member(json, "text", MAX_STEP)?,
                _ => json.skip()?,
            }
        }
    }
    Ok(step)
}

fn physical<R: Read>(json: &mut Json<R>) -> Parsed<(Option<Place>, Region)> {
    let mut read = (None, Region::default());
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "artifactLocation" => read.0 = place::read(json)?,
                "region" => read.1 = region(json)?,
                _ => json.skip()?,
            }
        }
    }
    Ok(read)
}

fn region<R: Read>(json: &mut Json<R>) -> Parsed<Region> {
    let mut region = Region::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "startLine" => region.start_line = counted(json.integer()?),
                "startColumn" => region.start_column = counted(json.integer()?),
                "endLine" => region.end_line = counted(json.integer()?),
                "endColumn" => region.end_column = counted(json.integer()?),
                _ => json.skip()?,
            }
        }
    }
    Ok(region)
}

/// The partial fingerprint that code scanning goes by, else all of them together: they hold only together.
fn fingerprint<R: Read>(json: &mut Json<R>) -> Parsed<String> {
    let mut all = String::new();
    let mut line_hash = None;
    if json.object()? {
        while let Some(key) = json.key()? {
            let (name, _version) = key.split_once('/').unwrap_or((key, ""));
            let (is_line_hash, is_ours) = (name == LINE_HASH, key == FINGERPRINT);
            let key = if is_line_hash || is_ours { String::new() } else { kept(key, MAX_NAME) };
            let Some(value) = text(json, MAX_FINGERPRINT)?.filter(|value| !value.is_empty()) else {
                continue;
            };
            if is_line_hash {
                line_hash = Some(value);
            } else if is_ours {
                line_hash = line_hash.or(Some(value));
            } else if all.len() < MAX_FINGERPRINT {
                all.push_str(&key);
                all.push('=');
                all.push_str(&value);
                all.push('\n');
            }
        }
    }
    Ok(line_hash.unwrap_or(all))
}

/// What the first fix that says so would do.
fn fix<R: Read>(json: &mut Json<R>) -> Parsed<Option<String>> {
    let mut found = None;
    json.each(|json| {
        if found.is_some() || !json.object()? {
            return if found.is_some() { json.skip() } else { Ok(()) };
        }
        while let Some(key) = json.key()? {
            if key == "description" {
                found = member(json, "text", MAX_NAME)?;
            } else {
                json.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads the first thread of the first flow.
fn flows<R: Read>(json: &mut Json<R>, result: &mut Result) -> Parsed<()> {
    json.each(|json| {
        first(json, "threadFlows", result, |json, result| first(json, "locations", result, step))
    })
}

/// Reads, by `read`, the items of the list `wanted` of the next value, unless a flow has been read.
fn first<R: Read>(
    json: &mut Json<R>,
    wanted: &str,
    result: &mut Result,
    read: fn(&mut Json<R>, &mut Result) -> Parsed<()>,
) -> Parsed<()> {
    if !result.flow.is_empty() {
        return json.skip();
    }
    if json.object()? {
        while let Some(key) = json.key()? {
            if key == wanted {
                json.each(|json| read(json, result))?;
            } else {
                json.skip()?;
            }
        }
    }
    Ok(())
}

fn step<R: Read>(json: &mut Json<R>, result: &mut Result) -> Parsed<()> {
    if result.flow.len() >= MAX_STEPS {
        result.further_steps += 1;
        return json.skip();
    }
    if json.object()? {
        while let Some(key) = json.key()? {
            if key == "location" {
                result.flow.push(location(json)?);
            } else {
                json.skip()?;
            }
        }
    }
    Ok(())
}

fn invocation<R: Read>(json: &mut Json<R>) -> Parsed<Option<u32>> {
    let mut invocation = None;
    if json.object()? {
        while let Some(key) = json.key()? {
            if key == "invocationIndex" {
                invocation = index(json)?;
            } else {
                json.skip()?;
            }
        }
    }
    Ok(invocation)
}
