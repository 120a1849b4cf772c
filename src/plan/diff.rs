//! What has changed since the base, line by line, from a unified diff.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::manifest::model::FilterMode;

/// Lines of a file's new side, in order.
type Lines = Vec<RangeInclusive<u32>>;

/// What has changed, by file as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    files: BTreeMap<String, Changes>,
}

/// What has changed in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Changes {
    /// The file is new: all of it.
    Whole,
    /// These lines, and those around them that the diff shows.
    Lines { added: Lines, context: Lines },
}

/// A diff that does not follow its own grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the diff is not understood")]
pub struct DiffError {
    /// Where, from 1.
    pub line: usize,
}

impl Diff {
    /// Reads a unified diff as git writes it, with the prefixes `a/` and `b/`.
    ///
    /// # Errors
    /// Names the first line that breaks the grammar: half a diff would let findings through.
    pub fn parse(patch: &[u8]) -> Result<Self, DiffError> {
        let mut reader = Reader::default();
        for (index, line) in patch.split(|&byte| byte == b'\n').enumerate() {
            reader.line(line).ok_or(DiffError { line: index + 1 })?;
        }
        if reader.old > 0 || reader.new > 0 {
            return Err(DiffError { line: patch.split(|&byte| byte == b'\n').count() });
        }
        Ok(reader.diff)
    }

    /// Adds a file that has changed, although no line of it is known to: a binary, or another mode.
    pub fn add_file(&mut self, path: String) {
        self.files.entry(path).or_insert(Changes::Lines { added: Vec::new(), context: Vec::new() });
    }

    /// Adds a file that is new.
    pub fn add_new_file(&mut self, path: String) {
        self.files.insert(path, Changes::Whole);
    }

    /// Whether a finding counts under `mode` that points at `path` and these lines. One that points at no place cannot
    /// lie outside of what changed, and counts; one that points at a whole file counts when that has changed.
    #[must_use]
    pub fn holds(&self, mode: FilterMode, path: Option<&str>, lines: Option<RangeInclusive<u32>>) -> bool {
        let Some(path) = path else { return true };
        if mode == FilterMode::Nofilter {
            return true;
        }
        let Some(changes) = self.files.get(path) else { return false };
        let (Changes::Lines { added, context }, Some(lines)) = (changes, lines) else { return true };
        match mode {
            FilterMode::Nofilter | FilterMode::File => true,
            FilterMode::Added => overlaps(added, &lines),
            FilterMode::DiffContext => overlaps(context, &lines),
        }
    }
}

fn overlaps(sorted: &Lines, lines: &RangeInclusive<u32>) -> bool {
    let at = sorted.partition_point(|range| range.end() < lines.start());
    sorted.get(at).is_some_and(|range| range.start() <= lines.end())
}

/// A diff that is being read.
#[derive(Default)]
struct Reader {
    diff: Diff,
    file: Option<String>,
    /// Lines of the hunk that are still to come, on the old and the new side.
    old: u32,
    new: u32,
    /// The next line of the new side.
    at: u32,
}

impl Reader {
    /// Reads one line. Nothing when it does not fit.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        if self.old > 0 || self.new > 0 {
            return self.in_hunk(line);
        }
        if let Some(name) = line.strip_prefix(b"+++ ") {
            self.file = match side(name)? {
                Side::File(file) => {
                    self.diff.add_file(file.clone());
                    Some(file)
                }
                Side::Nothing => None,
            };
        } else if let Some(rest) = line.strip_prefix(b"@@ ") {
            self.hunk(std::str::from_utf8(rest).ok().or_else(|| head_of(rest))?)?;
        }
        Some(())
    }

    fn in_hunk(&mut self, line: &[u8]) -> Option<()> {
        match line.first() {
            // An empty line of context whose blank was lost on the way.
            Some(b' ') | None => {
                self.old = self.old.checked_sub(1)?;
                self.new = self.new.checked_sub(1)?;
                self.at += 1;
            }
            Some(b'-') => self.old = self.old.checked_sub(1)?,
            Some(b'+') => {
                self.new = self.new.checked_sub(1)?;
                let at = self.at;
                if let Some(Changes::Lines { added, .. }) = self.changes() {
                    match added.last_mut() {
                        Some(last) if *last.end() + 1 == at => *last = *last.start()..=at,
                        _ => added.push(at..=at),
                    }
                }
                self.at += 1;
            }
            // `\ No newline at end of file`
            Some(b'\\') => {}
            Some(_) => return None,
        }
        Some(())
    }

    /// Reads `-1,2 +3,4 @@ heading`.
    fn hunk(&mut self, text: &str) -> Option<()> {
        let mut words = text.split(' ');
        let (_, old) = numbers(words.next()?.strip_prefix('-')?)?;
        let (start, new) = numbers(words.next()?.strip_prefix('+')?)?;
        (words.next()? == "@@").then_some(())?;
        (self.old, self.new, self.at) = (old, new, start);
        if let Some(end) = new.checked_sub(1).and_then(|more| start.checked_add(more))
            && let Some(Changes::Lines { context, .. }) = self.changes()
        {
            context.push(start..=end);
        }
        Some(())
    }

    fn changes(&mut self) -> Option<&mut Changes> {
        self.diff.files.get_mut(self.file.as_ref()?)
    }
}

/// The part of a hunk's head before its heading, which may hold any bytes.
fn head_of(rest: &[u8]) -> Option<&str> {
    let end = rest.windows(3).position(|word| word == b" @@")? + 3;
    std::str::from_utf8(&rest[..end]).ok()
}

/// `3,4` or `3`, which is short for `3,1`.
fn numbers(text: &str) -> Option<(u32, u32)> {
    match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// What a `+++` line names.
enum Side {
    File(String),
    /// A file that is gone, or whose name is not UTF-8 and can be in no finding.
    Nothing,
}

fn side(name: &[u8]) -> Option<Side> {
    let name = name.strip_suffix(b"\r").unwrap_or(name);
    if name == b"/dev/null" {
        return Some(Side::Nothing);
    }
    let bytes = match name.strip_prefix(b"\"") {
        Some(quoted) => unquoted(quoted)?,
        // Git ends a name that holds a blank with a tab.
        None => name.strip_suffix(b"\t").unwrap_or(name).to_vec(),
    };
    Some(String::from_utf8(bytes.strip_prefix(b"b/")?.to_vec()).map_or(Side::Nothing, Side::File))
}

/// A name in C's quotes, as git writes one with special characters; `quoted` begins after the first quote.
fn unquoted(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter().copied();
    loop {
        match rest.next()? {
            b'"' => return Some(bytes),
            b'\\' => bytes.push(match rest.next()? {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                digit @ b'0'..=b'3' => {
                    let octal = |byte: u8| (b'0'..=b'7').contains(&byte).then(|| byte - b'0');
                    (digit - b'0') * 64 + octal(rest.next()?)? * 8 + octal(rest.next()?)?
                }
                other => other,
            }),
            byte => bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATCH: &str = "diff --git a/src/a.py b/src/a.py\nindex 1..2 100644\n--- a/src/a.py\n+++ b/src/a.py\n\
        @@ -1,4 +1,6 @@ def f():\n one\n-two\n+2\n++++ b/not-a-file\n three\n+four\n four\n\
        @@ -20,0 +23,2 @@\n+x\n+y\n\
        diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git \"a/t\\303\\244b\\t.py\" \"b/t\\303\\244b\\t.py\"\n--- /dev/null\n+++ \"b/t\\303\\244b\\t.py\"\n@@ -0,0 +1 @@\n+z\n\\ No newline at end of file\n\
        --- a/a b\n+++ b/a b\t\n@@ -3 +3 @@\n-a\n+b\n";

    fn added(line: u32) -> bool {
        Diff::parse(PATCH.as_bytes()).unwrap().holds(FilterMode::Added, Some("src/a.py"), Some(line..=line))
    }

    #[test]
    fn added_lines_are_those_of_the_new_side() {
        let lines: Vec<u32> = (1..30).filter(|&line| added(line)).collect();
        assert_eq!(lines, [2, 3, 5, 23, 24]);
    }

    #[test]
    fn context_is_the_whole_hunk_and_a_range_counts_when_any_line_does() {
        let diff = Diff::parse(PATCH.as_bytes()).unwrap();
        let within = |mode, start, end| diff.holds(mode, Some("src/a.py"), Some(start..=end));
        assert!(within(FilterMode::DiffContext, 6, 6) && !within(FilterMode::DiffContext, 7, 7));
        assert!(within(FilterMode::Added, 6, 23) && !within(FilterMode::Added, 6, 22));
        assert!(within(FilterMode::File, 900, 900));
    }

    #[test]
    fn names_are_read_whatever_is_in_them() {
        let mut diff = Diff::parse(PATCH.as_bytes()).unwrap();
        diff.add_file("binary".to_owned());
        diff.add_new_file("new".to_owned());
        let counts =
            |path, line: Option<u32>| diff.holds(FilterMode::Added, path, line.map(|line| line..=line));
        assert!(counts(Some("täb\t.py"), Some(1)) && counts(Some("a b"), Some(3)));
        assert!(!counts(Some("gone"), Some(1)) && !counts(Some("not-a-file"), None));
        assert!(counts(Some("new"), Some(77)) && !counts(Some("binary"), Some(1)));
        assert!(counts(Some("binary"), None) && counts(None, None), "no line to lie outside of the change");
    }

    #[test]
    fn half_a_diff_is_refused() {
        for cut in ["@@ -1,4 +1,6 @@\n one\n", "+++ b/a\n@@ -1 +x @@\n", "+++ b/a\n@@ -1 +1 @@\n-a\nq\n"] {
            assert!(Diff::parse(cut.as_bytes()).is_err(), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..600_usize) {
            let mut patch = PATCH.as_bytes().to_vec();
            let at = at.min(patch.len());
            patch.splice(at..at, bytes.iter().copied());
            let _ = Diff::parse(&patch);
            let _ = Diff::parse(&bytes);
        }
    }
}
