//! From an artifact location to a path: addresses relative to named folders, files inside files.

use std::io::Read;

use crate::parse::ParseError;
use crate::parse::json::Json;
use crate::parse::path::{self, PathRules};
use crate::parse::sarif::metadata::{Metadata, index, name};
use crate::parse::spill::record::record;

/// Longest chain of folders, or of files inside files, that is followed. A hostile one may be a circle.
const MAX_CHAIN: usize = 16;

/// Names that stand for the root of the repository wherever they occur.
const ROOTS: [&str; 8] =
    ["SRCROOT", "REPOROOT", "REPO_ROOT", "ROOTPATH", "PROJECTROOT", "SOURCEROOT", "SRC_ROOT", "PROJECT_ROOT"];

/// An artifact location as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) uri: Option<String>,
    /// The folder to which `uri` is relative.
    pub(crate) base: Option<String>,
    /// The file in the run's list.
    pub(crate) index: Option<u32>,
}

record!(Place { uri, base, index });

/// Reads an artifact location; nothing when it says nothing.
pub(crate) fn read<R: Read>(json: &mut Json<R>) -> Result<Option<Place>, ParseError> {
    let mut place = Place::default();
    if json.object()? {
        while let Some(key) = json.key()? {
            match key {
                "uri" => place.uri = name(json)?,
                "uriBaseId" => place.base = name(json)?,
                "index" => place.index = index(json)?,
                _ => json.skip()?,
            }
        }
    }
    Ok((place.uri.is_some() || place.index.is_some()).then_some(place))
}

impl Place {
    /// The path that it means.
    pub(crate) fn path(&self, metadata: &Metadata, rules: &PathRules) -> Option<String> {
        let listed = self.index.and_then(|index| metadata.artifact(index));
        if let (Some(uri), Some(base), None) = (&self.uri, &self.base, listed)
            && is_plain(uri)
            && is_root(base)
            && rules.strip.is_none()
            && rules.base.is_none()
            && metadata.is_outside(base, || resolve("", Some(base), metadata, rules).is_empty())
        {
            return rules.place(uri);
        }
        let own = match (&self.uri, listed) {
            (Some(uri), _) => resolve(uri, self.base.as_deref(), metadata, rules),
            (None, Some(artifact)) => artifact.place.resolved(metadata, rules)?,
            (None, None) => return None,
        };
        let mut parent = listed.and_then(|artifact| artifact.parent);
        if parent.is_none() {
            let is_file = scheme(&own).is_none_or(|scheme| scheme.eq_ignore_ascii_case("file"));
            // What is no file is not made to look like one.
            return if is_file { rules.place(own.trim_end_matches('/')) } else { Some(own) };
        }
        let mut parts = vec![own.clone()];
        while let Some(artifact) = parent.and_then(|index| metadata.artifact(index))
            && parts.len() < MAX_CHAIN
        {
            parts.extend(artifact.place.resolved(metadata, rules));
            parent = artifact.parent;
        }
        let parts: Vec<&str> = parts.iter().rev().map(|part| part.trim_end_matches('/')).collect();
        let (first, nested) = parts.split_first()?;
        if nested.is_empty() && scheme(first).is_some_and(|scheme| !scheme.eq_ignore_ascii_case("file")) {
            // No file, so it is not made to look like one.
            return Some(own);
        }
        let mut path = (*first).to_owned();
        for part in nested {
            path.push('/');
            path.push_str(part.trim_start_matches('/'));
        }
        rules.place(&path)
    }

    fn resolved(&self, metadata: &Metadata, rules: &PathRules) -> Option<String> {
        Some(resolve(self.uri.as_ref()?, self.base.as_deref(), metadata, rules))
    }
}

/// The path that `uri` means below the folder `base`, not yet made relative to the repository.
fn resolve(uri: &str, base: Option<&str>, metadata: &Metadata, rules: &PathRules) -> String {
    let mut address = uri.to_owned();
    // The address from the repository's root on, once a folder with its name is passed.
    let mut from_root = None;
    let mut next = base;
    for _ in 0..MAX_CHAIN {
        let Some(id) = next.filter(|_| !is_absolute(&address)) else { break };
        if is_root(id) {
            from_root = Some(address.clone());
        }
        let Some(folder) = metadata.base(id) else { break };
        if let Some(folder) = folder.uri.as_deref().filter(|folder| !folder.is_empty()) {
            let separator = if folder.ends_with('/') { "" } else { "/" };
            address = format!("{folder}{separator}{address}");
        }
        next = folder.base.as_deref();
    }
    let decoded = decode(&address);
    match from_root {
        // The log was made elsewhere; what its root is called there says nothing here.
        Some(from_root) if rules.place(&decoded).is_none_or(|place| path::is_absolute(&place)) => {
            decode(&from_root)
        }
        _ => decoded,
    }
}

/// Whether an address is that of a file below its folder, written as it is.
fn is_plain(address: &str) -> bool {
    let odd = |bytes: &[u8]| matches!(bytes, [b'.', b'.']);
    !address.starts_with('/')
        && !address.ends_with('/')
        && !address.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b':'))
        && !address.as_bytes().windows(2).any(odd)
}

fn is_root(id: &str) -> bool {
    let id = id.trim_matches(['%', '$', '{', '}', '(', ')']);
    ROOTS.iter().any(|root| root.eq_ignore_ascii_case(id))
}

/// Whether an address needs no folder: it has a scheme, or begins at a root or a drive.
fn is_absolute(address: &str) -> bool {
    let drive =
        matches!(address.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    drive || address.starts_with(['/', '\\']) || scheme(address).is_some()
}

/// The scheme of an address. One letter is a drive.
fn scheme(address: &str) -> Option<&str> {
    let (scheme, _) = address.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.len() > 1 && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits))
        .then_some(scheme)
}

/// The text of a path for an address. One of another scheme than `file` names no file and stays as it is.
fn decode(address: &str) -> String {
    match scheme(address) {
        None => path::percent_decoded(address),
        Some(scheme) if scheme.eq_ignore_ascii_case("file") => {
            let rest = &address[scheme.len() + 1..];
            if rest.starts_with("//") { address.to_owned() } else { path::percent_decoded(rest) }
        }
        Some(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::json::Layout;

    fn path_of(uri: &str) -> Option<String> {
        let place = Place { uri: Some(uri.to_owned()), ..Place::default() };
        place.path(
            &Metadata::default(),
            &PathRules { root: Some("/srv/repo".to_owned()), ..PathRules::default() },
        )
    }

    proptest! {
        /// The short way for plain addresses leads where the long one does.
        #[test]
        fn plain_addresses_below_a_root_are_what_they_would_be_anyway(
            uri in "[a./]{1,8}|a%20b|C:/a|x:y",
            folder in prop::option::of(prop::sample::select(
                &["file:///srv/repo/", "file:///srv/repo/sub/", "file:///other/", "sub", "", "../up/", "/srv/repo"][..],
            )),
            root in prop::option::of(prop::sample::select(&["/srv/repo", "/other", "/"][..])),
        ) {
            let log = folder.map_or("{}".to_owned(), |folder| format!(r#"{{"SRCROOT": {{"uri": "{folder}"}}}}"#));
            let mut metadata = Metadata::default();
            metadata.read_bases(&mut Json::new(log.as_bytes(), Layout::Document)).unwrap();
            let rules = PathRules { root: root.map(str::to_owned), ..PathRules::default() };
            let place = Place { uri: Some(uri.clone()), base: Some("SRCROOT".to_owned()), index: None };
            let long = resolve(&uri, Some("SRCROOT"), &metadata, &rules);
            let long = match scheme(&long) {
                Some(other) if !other.eq_ignore_ascii_case("file") => Some(long),
                _ => rules.place(long.trim_end_matches('/')),
            };
            prop_assert_eq!(place.path(&metadata, &rules), long);
        }
    }

    #[test]
    fn addresses_become_paths() {
        let cases = [
            ("src/a%20b.c", "src/a b.c"),
            ("./src/a+b.c", "src/a+b.c"),
            ("file:///srv/repo/src/%C3%A4.c", "src/ä.c"),
            ("file:/srv/repo/x.c", "x.c"),
            ("/srv/repo/x.c", "x.c"),
            ("file:///C:/x/a.c", "C:/x/a.c"),
            ("C:\\x\\a.c", "C:/x/a.c"),
            ("src\\a.c", "src/a.c"),
            ("https://example.org/a%20b", "https://example.org/a%20b"),
        ];
        for (uri, path) in cases {
            assert_eq!(path_of(uri).as_deref(), Some(path), "{uri}");
        }
        assert_eq!(path_of(""), None);
    }
}
