//! Which findings become annotations, and how each is written. Memory does not grow with the number of findings: what is
//! kept of a chosen one is where its line begins.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead, Seek, SeekFrom};

use crate::deliver::text::{clean, clean_line, cut_bytes, cut_characters};
use crate::finding::{Finding, Level};
use crate::github::checks::Annotation;
use crate::redact::Registry;

/// Longest message, in bytes. GitHub says 64 KB; what is below is safe whichever kilobyte is meant.
pub const MAX_MESSAGE: usize = 64_000;

/// Longest title, in characters.
pub const MAX_TITLE: usize = 255;

/// Longest path that a file can have on the hosts where checkouts are made, in bytes.
const MAX_PATH: usize = 4_096;

/// Findings without a place that the summary lists.
const MAX_LISTED: usize = 50;

/// Longest text of a finding that is kept for the summary, in bytes.
const MAX_LISTED_TEXT: usize = 2_048;

/// Largest line number; GitHub takes no larger one.
const MAX_LINE: u32 = i32::MAX.cast_unsigned();

/// What was chosen of the findings of a run.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Where the chosen findings begin in the file, the worst first.
    offsets: Vec<u64>,
    /// Findings that may be shown at all.
    pub shown: u64,
    /// Those of them that have a place in the repository.
    pub placed: u64,
    /// The worst of those without a place.
    pub elsewhere: Vec<Finding>,
}

/// The order in which findings are chosen: the worst level first, and in a level one of every file before the second of
/// any. Files and findings otherwise keep the order in which they came.
type Rank = (std::cmp::Reverse<Level>, u64, u64);

impl Chosen {
    /// Chooses at most `most` of the findings in `lines`, which are JSON, one a line.
    ///
    /// # Errors
    /// Fails when the lines cannot be read, or one is no finding.
    pub fn of(lines: &mut impl BufRead, most: usize) -> io::Result<Self> {
        let mut chosen = Self::default();
        let mut best: BTreeMap<Rank, u64> = BTreeMap::new();
        // Of each file and level: how many came, and when the first one did. Keyed by a hash, so that long paths cost no
        // memory; should two collide, only the order suffers.
        let mut files: HashMap<(Level, u64), (u64, u64)> = HashMap::new();
        let hasher = RandomState::new();
        let (mut line, mut offset) = (Vec::new(), 0);
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            let finding: Finding = serde_json::from_slice(&line)?;
            let at = offset;
            offset += length as u64;
            if finding.filtered {
                continue;
            }
            chosen.shown += 1;
            let Some(place) = Place::of(&finding) else {
                chosen.list(finding);
                continue;
            };
            chosen.placed += 1;
            let key = (finding.level, hasher.hash_one(&place.path));
            let (count, first) = files.entry(key).or_insert((0, at));
            best.insert((std::cmp::Reverse(finding.level), *count, *first), at);
            *count += 1;
            if best.len() > most {
                best.pop_last();
            }
        }
        chosen.offsets = best.into_values().collect();
        Ok(chosen)
    }

    fn list(&mut self, mut finding: Finding) {
        let at = self.elsewhere.partition_point(|other| other.level >= finding.level);
        if at < MAX_LISTED {
            let texts = [Some(&mut finding.message), finding.path.as_mut(), finding.title.as_mut()];
            for text in texts.into_iter().flatten() {
                cut_bytes(text, MAX_LISTED_TEXT);
            }
            self.elsewhere.insert(at, finding);
            self.elsewhere.truncate(MAX_LISTED);
        }
    }

    /// How many were chosen.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether none was chosen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The annotations of a range of the chosen findings, read from `lines` again.
    ///
    /// # Errors
    /// Fails when the lines cannot be read, or are not those that were chosen from.
    pub fn read(
        &self,
        range: std::ops::Range<usize>,
        lines: &mut (impl BufRead + Seek),
        registry: &Registry,
    ) -> io::Result<Vec<Annotation>> {
        let mut annotations = Vec::new();
        let mut line = Vec::new();
        for &offset in self.offsets.get(range).unwrap_or_default() {
            lines.seek(SeekFrom::Start(offset))?;
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            let finding: Finding = serde_json::from_slice(&line)?;
            let annotation = annotation(&finding, registry);
            annotations.push(annotation.ok_or_else(|| io::Error::other("the findings have changed"))?);
        }
        Ok(annotations)
    }
}

/// A place that an annotation can have.
struct Place {
    path: String,
    start_line: u32,
    end_line: u32,
    columns: (Option<u32>, Option<u32>),
}

impl Place {
    /// The place of `finding` in the repository, when it has a path and a line there.
    fn of(finding: &Finding) -> Option<Self> {
        let path = finding.path.as_deref().and_then(in_repository)?;
        let fits = |number: &u32| (1..=MAX_LINE).contains(number);
        let start_line = finding.start_line.filter(fits)?;
        let end_line = finding.end_line.filter(fits).map_or(start_line, |end| end.max(start_line));
        let start = finding.start_column.filter(|column| fits(column) && start_line == end_line);
        let end =
            finding.end_column.filter(|column| fits(column) && start.is_some_and(|start| start <= *column));
        Some(Self { path, start_line, end_line, columns: (start, end) })
    }
}

/// `path` as GitHub wants it, when it is one inside the repository.
fn in_repository(path: &str) -> Option<String> {
    let mut rest = path;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    let fine = !rest.is_empty()
        && rest.len() <= MAX_PATH
        && !rest.starts_with('/')
        && !rest.contains('\\')
        && !rest.chars().any(char::is_control)
        && rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    // A drive, or the address of something elsewhere.
    let elsewhere = rest.contains("://") || rest.as_bytes().get(1) == Some(&b':');
    (fine && !elsewhere).then(|| rest.to_owned())
}

/// `finding` as an annotation, when it has a place in the repository.
#[must_use]
pub fn annotation(finding: &Finding, registry: &Registry) -> Option<Annotation> {
    let Place { path, start_line, end_line, columns: (start_column, end_column) } = Place::of(finding)?;
    let mut message = clean(&finding.message, registry);
    let rule = finding.rule.as_deref().unwrap_or_default();
    if message.trim().is_empty() {
        message = clean_line(&format!("{} {rule}", finding.tool), registry);
    }
    if message.is_empty() {
        "The tool gave no message.".clone_into(&mut message);
    }
    cut_bytes(&mut message, MAX_MESSAGE);
    let title = finding.title.clone().unwrap_or_else(|| format!("{} {rule}", finding.tool));
    let mut title = clean_line(&title, registry);
    cut_characters(&mut title, MAX_TITLE);
    Some(Annotation {
        path: registry.text(&path).into_owned(),
        start_line,
        end_line,
        start_column,
        end_column,
        annotation_level: finding.level,
        message,
        title: (!title.is_empty()).then_some(title),
    })
}

#[cfg(test)]
mod tests;
