//! Vim's `errorformat`: lines of compilers and linters by patterns such as `%f:%l:%c: %m`.
//!
//! Owns what a line means after those before it: messages of several lines, files and folders that lines above named.
//! Patterns are tried in their order and the first that matches counts. Whether a file exists is not known here; where
//! Vim would look, a line that another pattern takes for a message is no file's name.

mod format;
mod set;

use std::sync::Arc;

use crate::finding::{Finding, Level, Location};
pub use crate::parse::errorformat::format::FormatError;
use crate::parse::errorformat::format::{Format, Keep, Part, Role};
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::output::kept;
use crate::parse::path;

/// Tool of a finding, when the manifest names none.
const TOOL: &str = "errorformat";

/// Most patterns of a source.
pub(super) const MAX_FORMATS: usize = 64;

/// Longest name that is kept, in bytes, and most files and folders that are open at a time.
const MAX_NAME: usize = 4096;
const MAX_OPEN: usize = 64;

/// The letters of `%t`.
const TYPES: [(&str, Level); 8] = [
    ("e", Level::Failure),
    ("w", Level::Warning),
    ("i", Level::Notice),
    ("n", Level::Notice),
    ("error", Level::Failure),
    ("warning", Level::Warning),
    ("info", Level::Notice),
    ("note", Level::Notice),
];

/// Compiled patterns, and what earlier lines left. A clone shares the patterns and has a state of its own.
#[derive(Clone, Debug)]
pub struct Errorformat {
    formats: Arc<[Format]>,
    state: State,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// A message whose last line may not have come.
    pending: Option<Entry>,
    lines: Lines,
    /// The file that `%P` named, and those around it.
    files: Vec<String>,
    folders: Vec<String>,
    /// The pattern that the next line is tried with first.
    first: usize,
}

/// What becomes of the lines that continue a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lines {
    /// There is no message to continue.
    #[default]
    Single,
    /// They add to it.
    Add,
    /// They are left out, as its beginning was.
    LeaveOut,
}

/// What was found in one line, or in several.
#[derive(Clone, Debug, Default)]
struct Entry {
    file: Option<String>,
    line: Option<u32>,
    end_line: Option<u32>,
    column: Option<u32>,
    end_column: Option<u32>,
    kind: Option<char>,
    number: Option<String>,
    message: String,
}

/// A line that matched.
struct Found {
    index: usize,
    entry: Entry,
    /// What `%r` left.
    rest: Option<String>,
}

impl Errorformat {
    /// Compiles `patterns`, which are tried in this order.
    ///
    /// # Errors
    /// Names the first pattern that cannot be used, and why.
    pub fn compile<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, FormatError> {
        let compile = |(index, pattern)| {
            if index < MAX_FORMATS { Format::new(pattern) } else { Err(FormatError::one_too_many(pattern)) }
        };
        let formats: Vec<Format> = patterns.into_iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { formats: formats.into(), state: State::default() })
    }

    /// Reads one line. Whether it is part of a finding; what it completes goes to `found`.
    pub fn line(&mut self, line: &str, options: &Options, found: &mut dyn FnMut(Finding)) -> bool {
        let mut first = std::mem::take(&mut self.state.first);
        let mut text = line.to_owned();
        let mut is_rest = false;
        loop {
            let matched = self.find(&text, first, is_rest);
            let matched = matched.or_else(|| (first > 0 && !is_rest).then(|| self.find(&text, 0, false))?);
            let Some(Found { index, entry, rest }) = matched else {
                self.finish(options, found);
                return false;
            };
            let format = &self.formats[index];
            let (role, keep) = (format.role, format.keep);
            if format.stays {
                self.state.first = index;
            }
            match role {
                Role::PassOver | Role::PushFile | Role::PopFile => {
                    self.state.file(role, entry.file);
                    match rest.map(|rest| rest.trim_start().to_owned()).filter(|rest| !rest.is_empty()) {
                        Some(rest) => (text, first, is_rest) = (rest, index, true),
                        None => return false,
                    }
                }
                _ => return self.take(role, keep, entry, options, found),
            }
        }
    }

    /// The output has ended, or another reader took the line: what is pending is complete.
    pub fn finish(&mut self, options: &Options, found: &mut dyn FnMut(Finding)) {
        self.state.lines = Lines::Single;
        if let Some(entry) = self.state.pending.take() {
            found(entry.finding(options));
        }
    }

    fn take(
        &mut self,
        role: Role,
        keep: Keep,
        entry: Entry,
        options: &Options,
        found: &mut dyn FnMut(Finding),
    ) -> bool {
        let state = &mut self.state;
        match (role, keep) {
            (Role::EnterFolder, _) => {
                push(&mut state.folders, entry.file);
                false
            }
            (Role::LeaveFolder, _) => {
                state.folders.pop();
                false
            }
            (Role::Begin(_), Keep::Nothing) => {
                self.finish(options, found);
                self.state.lines = Lines::LeaveOut;
                false
            }
            (Role::Begin(_), _) => {
                self.finish(options, found);
                self.state.pending = Some(self.state.placed(entry));
                self.state.lines = Lines::Add;
                true
            }
            (Role::Continue | Role::End, _) => {
                let adds = state.lines == Lines::Add;
                if adds {
                    let entry = Entry { file: state.in_folder(entry.file), ..entry };
                    state.pending.iter_mut().for_each(|pending| pending.add(&entry));
                }
                if role == Role::End {
                    self.finish(options, found);
                }
                adds
            }
            (Role::General | Role::Single, Keep::Nothing) => {
                if state.lines == Lines::Add {
                    state.lines = Lines::LeaveOut;
                }
                false
            }
            // General text is nothing that was found.
            (Role::General | Role::PassOver | Role::PushFile | Role::PopFile, _) => false,
            (Role::Single, _) => {
                self.finish(options, found);
                found(self.state.placed(entry).finding(options));
                true
            }
        }
    }

    /// The first pattern from `first` on that matches `text`. The rest of a line names no further file.
    fn find(&self, text: &str, first: usize, is_rest: bool) -> Option<Found> {
        self.formats.iter().enumerate().skip(first).find_map(|(index, format)| {
            let names_file = matches!(format.role, Role::PassOver | Role::PushFile | Role::PopFile);
            let continues = matches!(format.role, Role::Continue | Role::End);
            if names_file && is_rest || continues && self.state.lines == Lines::Single {
                return None;
            }
            let (entry, rest) = read(format, text)?;
            let is_file = |file: &String| self.may_be_file(file, text);
            if names_file && !entry.file.as_ref().is_none_or(is_file) {
                return None;
            }
            Some(Found { index, entry, rest })
        })
    }

    /// Whether `file`, found in `text`, can be a file's name.
    fn may_be_file(&self, file: &str, text: &str) -> bool {
        let tells_line = |format: &Format| {
            let is_entry = matches!(format.role, Role::Single | Role::Begin(_));
            is_entry && format.has(Part::Line) && format.regex.is_match(text)
        };
        file.trim() == file && !self.formats.iter().any(tells_line)
    }
}

/// What `format` finds in `text`, if it matches.
fn read(format: &Format, text: &str) -> Option<(Entry, Option<String>)> {
    let mut places = format.regex.capture_locations();
    format.regex.captures_read(&mut places, text)?;
    let mut entry = Entry::default();
    let mut rest = None;
    if let Role::Begin(kind) = format.role {
        entry.kind = kind;
    }
    for (group, part) in format.parts.iter().enumerate() {
        let Some(value) = places.get(group + 1).map(|(start, end)| &text[start..end]) else { continue };
        let number = || value.parse().ok().filter(|number| *number > 0);
        match part {
            Part::File => {
                // A blank in a name may be escaped; a backslash before anything else is one of Windows.
                let file = kept(&value.replace("\\ ", " "), MAX_NAME);
                entry.file = Some(file).filter(|file| !file.trim().is_empty());
            }
            Part::Line => entry.line = number(),
            Part::EndLine => entry.end_line = number(),
            Part::Column | Part::VirtualColumn => entry.column = number().or(entry.column),
            Part::EndColumn => entry.end_column = number(),
            Part::Type => entry.kind = value.chars().next().map(|kind| kind.to_ascii_lowercase()),
            Part::Number => entry.number = Some(kept(value, MAX_NAME)),
            Part::Message => entry.message = kept(value, MAX_MESSAGE),
            Part::Rest => rest = Some(value.to_owned()),
            Part::Pointer => entry.column = Some(column_of(value)),
            Part::Unused => {}
        }
    }
    if format.keep == Keep::Whole {
        entry.message = kept(text, MAX_MESSAGE);
    }
    Some((entry, rest))
}

/// The column of the pointer behind `blanks`, where tabs reach to the next multiple of eight.
fn column_of(blanks: &str) -> u32 {
    let column =
        blanks.chars().fold(0_u32, |column, c| if c == '\t' { (column / 8 + 1) * 8 } else { column + 1 });
    column + 1
}

fn push(stack: &mut Vec<String>, name: Option<String>) {
    if let Some(name) = name {
        // One that is never left must not hold on to memory.
        if stack.len() == MAX_OPEN {
            stack.remove(0);
        }
        stack.push(name);
    }
}

impl State {
    fn file(&mut self, role: Role, file: Option<String>) {
        match role {
            Role::PushFile => push(&mut self.files, file),
            Role::PopFile => {
                self.files.pop();
            }
            _ => {}
        }
    }

    fn in_folder(&self, file: Option<String>) -> Option<String> {
        let file = file?;
        match self.folders.last() {
            Some(folder) if !path::is_absolute(&file.replace('\\', "/")) => Some(format!("{folder}/{file}")),
            _ => Some(file),
        }
    }

    /// `entry` with the file that it is in.
    fn placed(&self, entry: Entry) -> Entry {
        let file = self.in_folder(entry.file.or_else(|| self.files.last().cloned()));
        Entry { file, ..entry }
    }
}

impl Entry {
    /// Adds what a further line says: text behind text, and elsewhere what is not known yet.
    fn add(&mut self, further: &Self) {
        if !further.message.is_empty() && self.message.len() < MAX_MESSAGE {
            if !self.message.is_empty() {
                self.message.push('\n');
            }
            self.message.push_str(&further.message);
        }
        self.file = self.file.take().or_else(|| further.file.clone());
        self.number = self.number.take().or_else(|| further.number.clone());
        self.kind = self.kind.or(further.kind);
        self.line = self.line.or(further.line);
        self.end_line = self.end_line.or(further.end_line);
        self.column = self.column.or(further.column);
        self.end_column = self.end_column.or(further.end_column);
    }

    fn finding(self, options: &Options) -> Finding {
        let kind = self.kind.map(String::from);
        let level = options.level_of(kind.as_deref(), &TYPES, Level::Failure);
        let message = kept(self.message.trim(), MAX_MESSAGE);
        let message = if message.is_empty() { "no message".to_owned() } else { message };
        let path = self.file.and_then(|file| options.paths.place(&file));
        let end_line = self.end_line.filter(|end| self.line.is_some_and(|start| *end > start));
        let column = self.column.filter(|_| self.line.is_some());
        let fits = |end: &u32| column.is_some_and(|start| end_line.is_some() || *end >= start);
        let place = Location {
            path,
            start_line: self.line,
            end_line,
            start_column: column,
            end_column: self.end_column.filter(fits),
        };
        let mut finding = Finding::new(options.tool.as_deref().unwrap_or(TOOL), level, message).at(place);
        finding.rule = self.number;
        finding
    }
}

#[cfg(test)]
mod tests;
