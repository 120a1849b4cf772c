//! What a run says for all of its results: its tool with rules and messages, its files, its folders.
//!
//! A hostile log may have any amount of it, so what is kept has a limit.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use crate::parse::ParseError;
use crate::parse::json::Json;
use crate::parse::options::MAX_MESSAGE;
use crate::parse::output::kept;
use crate::parse::sarif::own;
use crate::parse::sarif::place::{self, Place};
use crate::parse::sarif::result::{Reference, Result as SarifResult};

/// Most bytes of one run's metadata that are kept.
pub(crate) const MAX_KEPT: usize = 16 << 20;

/// What an entry costs beside its text, in bytes, rounded up.
const OVERHEAD: usize = 160;

/// Longest id, name or title that is kept, in bytes.
pub(crate) const MAX_NAME: usize = 4096;

/// Longest short description that becomes a title, in bytes.
const MAX_TITLE: usize = 255;

/// What was read so far. A part that did not come yet is absent.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(super) tool: Option<Tool>,
    artifacts: Option<Vec<Artifact>>,
    bases: Option<BTreeMap<String, Place>>,
    /// The folder that was asked for last, and whether it is outside of the repository.
    outside: RefCell<Option<(String, bool)>>,
    /// For each invocation, the levels that it gave to rules.
    pub(super) overrides: Option<Vec<Vec<Override>>>,
    kept: usize,
    left_out_at: Option<u64>,
}

/// A tool: its driver and then its extensions.
#[derive(Debug, Default)]
pub(crate) struct Tool {
    pub(crate) name: Option<String>,
    pub(super) components: Vec<Component>,
}

/// A driver or an extension.
#[derive(Debug, Default)]
pub(crate) struct Component {
    pub(super) name: Option<String>,
    pub(super) guid: Option<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) by_id: HashMap<String, usize>,
    pub(crate) messages: BTreeMap<String, String>,
}

/// A rule.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub(crate) id: String,
    /// The level of results that have none.
    pub(crate) level: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) messages: BTreeMap<String, String>,
    /// The tool behind a rule, where rungate itself wrote the log.
    pub(crate) tool: Option<String>,
}

/// A file, perhaps one inside another.
#[derive(Debug, Default)]
pub(crate) struct Artifact {
    pub(crate) place: Place,
    pub(crate) parent: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Override {
    pub(super) rule: Reference,
    pub(super) level: Option<String>,
}

impl Metadata {
    /// Where metadata began to be left out, because there was too much of it.
    pub(crate) const fn left_out_at(&self) -> Option<u64> {
        self.left_out_at
    }

    /// Whether everything that `result` refers to has been read.
    pub(crate) fn suffices_for(&self, result: &SarifResult) -> bool {
        let leans_on_file = result.place.as_ref().is_some_and(|place| place.index.is_some());
        let leans_on_folder =
            result.place.as_ref().is_some_and(|place| place.base.is_some()) || leans_on_file;
        let leans_on_invocation = result.level.is_none() && result.invocation.is_some();
        self.tool.is_some()
            && (!leans_on_file || self.artifacts.is_some())
            && (!leans_on_folder || self.bases.is_some())
            && (!leans_on_invocation || self.overrides.is_some())
    }

    pub(crate) fn tool_name(&self) -> Option<&str> {
        self.tool.as_ref()?.name.as_deref()
    }

    pub(crate) fn artifact(&self, index: u32) -> Option<&Artifact> {
        self.artifacts.as_ref()?.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn base(&self, id: &str) -> Option<&Place> {
        self.bases.as_ref()?.get(id)
    }

    /// What `find` says of the folder `id`. Nearly all results of a run name the same one.
    pub(crate) fn is_outside(&self, id: &str, find: impl FnOnce() -> bool) -> bool {
        let mut last = self.outside.borrow_mut();
        match &*last {
            Some((known, outside)) if known == id => *outside,
            _ => last.insert((id.to_owned(), find())).1,
        }
    }

    /// Whether `bytes` more may be kept.
    fn keep<R: Read>(&mut self, json: &Json<R>, bytes: usize) -> bool {
        self.kept = self.kept.saturating_add(bytes + OVERHEAD);
        let fits = self.kept <= MAX_KEPT;
        if !fits {
            self.left_out_at.get_or_insert(json.offset());
        }
        fits
    }

    pub(crate) fn read_tool<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let mut tool = Tool::default();
        let mut driver = Component::default();
        if json.object()? {
            while let Some(key) = json.key()? {
                match key {
                    "driver" => driver = self.read_component(json)?,
                    "extensions" => json.each(|json| {
                        let component = self.read_component(json)?;
                        let fits = self.keep(json, 0);
                        tool.components.extend(fits.then_some(component));
                        Ok(())
                    })?,
                    _ => json.skip()?,
                }
            }
        }
        tool.name.clone_from(&driver.name);
        tool.components.insert(0, driver);
        self.tool = Some(tool);
        Ok(())
    }

    fn read_component<R: Read>(&mut self, json: &mut Json<R>) -> Result<Component, ParseError> {
        let mut component = Component::default();
        if !json.object()? {
            return Ok(component);
        }
        while let Some(key) = json.key()? {
            match key {
                "name" => component.name = name(json)?,
                "guid" => component.guid = name(json)?,
                "globalMessageStrings" => component.messages = self.read_messages(json)?,
                "rules" => json.each(|json| {
                    let rule = self.read_rule(json)?;
                    if self.keep(json, 2 * rule.id.len() + rule.title.as_deref().map_or(0, str::len)) {
                        let next = component.rules.len();
                        component.by_id.entry(rule.id.clone()).or_insert(next);
                        component.rules.push(rule);
                    }
                    Ok(())
                })?,
                _ => json.skip()?,
            }
        }
        Ok(component)
    }

    fn read_rule<R: Read>(&mut self, json: &mut Json<R>) -> Result<Rule, ParseError> {
        let mut rule = Rule::default();
        let mut short_name = None;
        if !json.object()? {
            return Ok(rule);
        }
        while let Some(key) = json.key()? {
            match key {
                "id" => rule.id = name(json)?.unwrap_or_default(),
                "name" => short_name = name(json)?,
                "shortDescription" => rule.title = member(json, "text", MAX_TITLE)?,
                "defaultConfiguration" => rule.level = member(json, "level", MAX_NAME)?,
                "messageStrings" => rule.messages = self.read_messages(json)?,
                "properties" => rule.tool = own::read(json)?.tool,
                _ => json.skip()?,
            }
        }
        rule.title = rule.title.or(short_name).filter(|title| *title != rule.id);
        Ok(rule)
    }

    fn read_messages<R: Read>(&mut self, json: &mut Json<R>) -> Result<BTreeMap<String, String>, ParseError> {
        let mut messages = BTreeMap::new();
        if json.object()? {
            while let Some(key) = json.key()? {
                let id = kept(key, MAX_NAME);
                let text = message_string(json)?.unwrap_or_default();
                if self.keep(json, id.len() + text.len()) {
                    messages.insert(id, text);
                }
            }
        }
        Ok(messages)
    }

    pub(crate) fn read_artifacts<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let mut artifacts = Vec::new();
        json.each(|json| {
            let artifact = read_artifact(json)?;
            if self.keep(json, artifact.place.uri.as_deref().map_or(0, str::len)) {
                artifacts.push(artifact);
            }
            Ok(())
        })?;
        self.artifacts = Some(artifacts);
        Ok(())
    }

    pub(crate) fn read_bases<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let mut bases = BTreeMap::new();
        if json.object()? {
            while let Some(key) = json.key()? {
                let id = kept(key, MAX_NAME);
                let place = place::read(json)?.unwrap_or_default();
                if self.keep(json, id.len() + place.uri.as_deref().map_or(0, str::len)) {
                    bases.insert(id, place);
                }
            }
        }
        self.bases = Some(bases);
        self.outside.take();
        Ok(())
    }

    pub(crate) fn read_invocations<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let mut invocations = Vec::new();
        json.each(|json| {
            let overrides = self.read_overrides(json)?;
            let fits = self.keep(json, 0);
            invocations.extend(fits.then_some(overrides));
            Ok(())
        })?;
        self.overrides = Some(invocations);
        Ok(())
    }

    fn read_overrides<R: Read>(&mut self, json: &mut Json<R>) -> Result<Vec<Override>, ParseError> {
        let mut overrides = Vec::new();
        if json.object()? {
            while let Some(key) = json.key()? {
                if key != "ruleConfigurationOverrides" {
                    json.skip()?;
                    continue;
                }
                json.each(|json| {
                    let entry = read_override(json)?;
                    let fits = self.keep(json, entry.rule.id.as_deref().map_or(0, str::len));
                    overrides.extend(fits.then_some(entry));
                    Ok(())
                })?;
            }
        }
        Ok(overrides)
    }
}

fn read_artifact<R: Read>(json: &mut Json<R>) -> Result<Artifact, ParseError> {
    let mut artifact = Artifact::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "location" => artifact.place = place::read(json)?.unwrap_or_default(),
                "parentIndex" => artifact.parent = index(json)?,
                _ => json.skip()?,
            }
        }
    }
    Ok(artifact)
}

fn read_override<R: Read>(json: &mut Json<R>) -> Result<Override, ParseError> {
    let mut read = Override::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "descriptor" => read.rule = Reference::read(json)?,
                "configuration" => read.level = member(json, "level", MAX_NAME)?,
                _ => json.skip()?,
            }
        }
    }
    Ok(read)
}

/// The text of a message string, else its Markdown.
fn message_string<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    let (mut text, mut markdown) = (None, None);
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "text" => text = json.text()?.map(|text| kept(text, MAX_MESSAGE)),
                "markdown" => markdown = json.text()?.map(|text| kept(text, MAX_MESSAGE)),
                _ => json.skip()?,
            }
        }
    }
    Ok(text.or(markdown))
}

pub(crate) fn name<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    Ok(json.text()?.map(|text| kept(text, MAX_NAME)).filter(|text| !text.is_empty()))
}

/// A number that refers to an entry of a list; -1 refers to none.
pub(crate) fn index<R: Read>(json: &mut Json<R>) -> Result<Option<u32>, ParseError> {
    Ok(json.integer()?.and_then(|index| u32::try_from(index).ok()))
}

/// The text of the one member of an object that is of interest.
pub(crate) fn member<R: Read>(
    json: &mut Json<R>,
    wanted: &str,
    max: usize,
) -> Result<Option<String>, ParseError> {
    let mut found = None;
    if json.object()? {
        while let Some(key) = json.key()? {
            if key == wanted {
                found = json.text()?.map(|text| kept(text, max)).filter(|text| !text.is_empty());
            } else {
                json.skip()?;
            }
        }
    }
    Ok(found)
}
