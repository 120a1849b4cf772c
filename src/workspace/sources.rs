//! Lines of source files, for fingerprints and for people.

use std::io::Read as _;
use std::path::Path;

use crate::workspace::files::Beneath;

/// Lines of the repository's files, one file at a time: findings come file by file.
#[derive(Debug)]
pub struct Sources {
    root: Option<Beneath>,
    path: String,
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Largest source file that is read for its lines. In a larger one the message stands in.
const LARGEST_SOURCE: u64 = 8 << 20;

impl Sources {
    /// The files of `workspace`.
    #[must_use]
    pub fn new(workspace: &Path) -> Self {
        // Without a root no line is found, and messages stand in for all of them.
        Self { root: Beneath::open(workspace).ok(), path: String::new(), text: Vec::new(), ends: Vec::new() }
    }

    /// Line `number` of the file at `path`, from 1; nothing when there is none that may be read.
    pub fn line(&mut self, path: &str, number: u32) -> Option<String> {
        if self.path != path {
            path.clone_into(&mut self.path);
            self.text = self.read(path).unwrap_or_default();
            self.ends = memchr::memchr_iter(b'\n', &self.text).collect();
            if self.text.last().is_some_and(|&byte| byte != b'\n') {
                self.ends.push(self.text.len());
            }
        }
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] + 1 };
        Some(String::from_utf8_lossy(&self.text[start..end]).into_owned())
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.root.as_ref()?.file(path).ok()?;
        let mut text = Vec::new();
        file.take(LARGEST_SOURCE + 1).read_to_end(&mut text).ok()?;
        (text.len() as u64 <= LARGEST_SOURCE).then_some(text)
    }
}
