//! What was kept of an artifact, file by file: by which names, and the list that tells of it.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use sha2::Digest as _;

use crate::id::Sha256;
use crate::record::artifact::{LIST_SCHEMA, LISTS};

/// A file that was kept.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) sha256: Sha256,
    /// What it says, where it is a link. Only the list has it: nothing in a record leads anywhere.
    pub(super) link: Option<String>,
}

/// `path` as it is called below `base`; a file that is the base itself keeps its name.
pub(super) fn below<'a>(path: &'a str, base: &str) -> &'a str {
    if path == base {
        return path.rsplit_once('/').map_or(path, |(_, name)| name);
    }
    path.strip_prefix(base).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// Whether a link at `path` that says `target` leads to something in the same artifact. It may climb at its begin only: what
/// it climbs through then are folders, which no other link of the artifact can stand for.
pub(super) fn stays_inside(path: &str, target: &str) -> bool {
    let mut parts = target.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    let mut up = 0;
    while parts.next_if_eq(&"..").is_some() {
        up += 1;
    }
    let rest: Vec<&str> = parts.collect();
    let depth = path.split('/').count() - 1;
    let says_something = up > 0 || !rest.is_empty();
    !target.starts_with('/') && up <= depth && !rest.contains(&"..") && says_something
}

/// What is to be said of names that some systems take for one.
pub(super) fn alike(entries: &[Entry]) -> Option<String> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    entries.iter().find_map(|entry| {
        let first = seen.insert(entry.path.to_lowercase(), &entry.path)?;
        Some(format!(
            "{first} and {} differ only in case: on some systems one replaces the other",
            entry.path
        ))
    })
}

/// The name of an artifact's list of files. One of its own files may have the usual name.
fn list_name(entries: &[Entry]) -> &'static str {
    let is_taken = entries.iter().any(|entry| entry.path.eq_ignore_ascii_case(LISTS[0]));
    LISTS[usize::from(is_taken)]
}

/// Writes the list of `entries` into `folder`, and gives its digest. Not through a redacting writer: it belongs to what
/// is handed on as it is, and its names are those of the files beside it.
pub(super) fn list(name: &str, entries: &mut [Entry], folder: &Path) -> io::Result<Sha256> {
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    let path = folder.join(list_name(entries));
    let mut out = BufWriter::new(std::fs::File::options().write(true).create_new(true).open(path)?);
    let mut hasher = sha2::Sha256::new();
    let mut write = |text: &str| {
        hasher.update(text.as_bytes());
        out.write_all(text.as_bytes())
    };
    write(&format!("{{\"schema\":\"{LIST_SCHEMA}\",\"name\":{},\"files\":[", json!(name)))?;
    for (index, entry) in entries.iter().enumerate() {
        let line = match &entry.link {
            None => json!({
                "path": entry.path,
                "size": entry.size,
                "mode": format!("{:04o}", entry.mode),
                "sha256": entry.sha256,
            }),
            Some(target) => json!({"path": entry.path, "link": target}),
        };
        write(if index == 0 { "\n" } else { ",\n" })?;
        write(&line.to_string())?;
    }
    write("\n]}\n")?;
    out.flush()?;
    Ok(Sha256::from(hasher))
}
