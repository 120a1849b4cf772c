//! From a tool's spelling of a path to the repository's.
//!
//! Pure text: whether the file exists is not known here, and a symlink is not seen.

use std::borrow::Cow;

use crate::parse::text;

/// Longest path that is kept, in bytes; no file system has a longer one.
const MAX_PATH: usize = 4096;

/// What is known about the paths of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Put before each relative path.
    pub base: Option<String>,
    /// Taken off the front of each path.
    pub strip: Option<String>,
    /// Absolute path of the workspace; what lies below it is shown relative to it.
    pub root: Option<String>,
}

impl PathRules {
    /// The path that `written` means in the repository, or the cleaned text of a place outside it. Nothing for a text
    /// that names no file.
    #[must_use]
    pub fn place(&self, written: &str) -> Option<String> {
        let path = &*clean(written);
        let path = match self.strip.as_deref().and_then(|strip| below(path, &clean(strip))) {
            Some(rest) => self.with_base(rest),
            None => match self.root.as_deref().and_then(|root| below(path, &clean(root))) {
                Some(rest) => rest.to_owned(),
                None => self.with_base(path),
            },
        };
        // No file's name holds a NUL, and few who read the path expect one.
        let path =
            if memchr::memchr(0, path.as_bytes()).is_some() { path.replace('\0', "\u{FFFD}") } else { path };
        (!path.is_empty()).then(|| text::cut(path, MAX_PATH))
    }

    fn with_base(&self, path: &str) -> String {
        match self.base.as_deref() {
            Some(base) if !path.is_empty() && !is_absolute(path) => {
                clean(&format!("{base}/{path}")).into_owned()
            }
            _ => path.to_owned(),
        }
    }
}

/// `file` as seen from the folder that holds `project`.
#[must_use]
pub fn beside(project: &str, file: &str) -> String {
    let project = project.replace('\\', "/");
    match project.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() && !is_absolute(&file.replace('\\', "/")) => {
            format!("{folder}/{file}")
        }
        _ => file.to_owned(),
    }
}

/// Whether `path`, written with `/`, starts at a root or a drive.
#[must_use]
pub fn is_absolute(path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    path.starts_with('/') || drive
}

/// Whether `path`, as [`PathRules::place`] gives it, is plainly not in the repository.
#[must_use]
pub fn is_outside(path: &str) -> bool {
    is_absolute(path) || path.starts_with("../") || path.starts_with('<')
}

/// Whether `path` is in a folder where package managers and toolchains keep what others wrote.
#[must_use]
pub fn is_library(path: &str) -> bool {
    path.starts_with("/rustc/")
        || path.contains("/.cargo/registry/")
        || path.contains("/go/pkg/mod/")
        || path.split('/').any(|part| matches!(part, "site-packages" | "dist-packages" | "node_modules"))
}

/// One spelling for all: `/` between parts, no `file://`, no `.`, no `..` that can be resolved.
fn clean(written: &str) -> Cow<'_, str> {
    let written = written.trim();
    if is_clean(written) {
        return Cow::Borrowed(written);
    }
    let slashes = without_scheme(written).replace('\\', "/");
    let absolute = slashes.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in slashes.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", None) if absolute => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(if absolute { format!("/{joined}") } else { joined })
}

/// Whether a path is plainly in order, as nearly all are.
fn is_clean(path: &str) -> bool {
    let bytes = path.as_bytes();
    let dubious = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    !bytes.starts_with(b".")
        && !bytes.ends_with(b"/")
        && !bytes.contains(&b'\\')
        && !path.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("file://"))
        && !bytes.windows(2).any(dubious)
}

/// Takes `file://` off and decodes what only such an address encodes.
fn without_scheme(text: &str) -> Cow<'_, str> {
    let Some(head) = text.get(..7).filter(|head| head.eq_ignore_ascii_case("file://")) else {
        return Cow::Borrowed(text);
    };
    let rest = &text[head.len()..];
    let rest = match rest.split_once('/') {
        Some(("localhost", _)) => &rest["localhost".len()..],
        _ => rest,
    };
    let decoded = percent_decoded(rest);
    // `file:///C:/x` is the drive's root, not a folder `C:` below `/`.
    match decoded.strip_prefix('/') {
        Some(drive) if is_absolute(drive) && !drive.starts_with('/') => Cow::Owned(drive.to_owned()),
        _ => Cow::Owned(decoded),
    }
}

/// `text` with each `%XX` decoded; unchanged when that gives no UTF-8.
pub(crate) fn percent_decoded(text: &str) -> String {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What of `path` lies below `folder`, both clean.
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    path.strip_prefix(folder)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(base: &str, strip: &str, root: &str) -> PathRules {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        PathRules { base: some(base), strip: some(strip), root: some(root) }
    }

    #[test]
    fn spellings_of_one_file_become_one() {
        let rules = rules("", "", "/home/runner/work");
        for written in [
            "src/a b.c",
            "./src/a b.c",
            "src\\a b.c",
            ".\\src\\.\\a b.c",
            "src/x/../a b.c",
            "src//a b.c",
            "/home/runner/work/src/a b.c",
            "/home/runner/./work/src/a b.c",
            "file:///home/runner/work/src/a%20b.c",
            "FILE://localhost/home/runner/work/src/a%20b.c",
            " src/a b.c ",
        ] {
            assert_eq!(rules.place(written).as_deref(), Some("src/a b.c"), "{written}");
        }
    }

    #[test]
    fn places_outside_stay_recognisable() {
        let rules = rules("", "", "/work");
        assert_eq!(rules.place("/workshop/a.c").as_deref(), Some("/workshop/a.c"));
        assert_eq!(rules.place("../a.c").as_deref(), Some("../a.c"));
        assert_eq!(rules.place("/../../a.c").as_deref(), Some("/a.c"));
        assert_eq!(rules.place("C:\\x\\a.c").as_deref(), Some("C:/x/a.c"));
        assert_eq!(rules.place("file:///C:/x/a.c").as_deref(), Some("C:/x/a.c"));
        assert_eq!(rules.place("file:///x/a%00b").as_deref(), Some("/x/a\u{FFFD}b"));
        assert_eq!(rules.place("a%20b.c").as_deref(), Some("a%20b.c"));
        assert_eq!(rules.place("file://%FF").as_deref(), Some("%FF"));
        for nothing in ["", ".", "  ", "./", "file://"] {
            assert_eq!(rules.place(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn base_and_strip_move_a_path() {
        assert_eq!(rules("web/app", "", "").place("src/a.ts").as_deref(), Some("web/app/src/a.ts"));
        assert_eq!(rules("web/app/", "", "").place("../b.ts").as_deref(), Some("web/b.ts"));
        assert_eq!(rules("web", "/build", "").place("/build/a.ts").as_deref(), Some("web/a.ts"));
        assert_eq!(rules("", "out/", "").place("out/a.ts").as_deref(), Some("a.ts"));
        assert_eq!(rules("", "out", "").place("outer/a.ts").as_deref(), Some("outer/a.ts"));
        let below_root = rules("web", "", "/srv/repo").place("/srv/repo/a.ts");
        assert_eq!(below_root.as_deref(), Some("a.ts"), "an absolute path needs no base");
    }

    #[test]
    fn files_are_seen_from_their_projects_folder() {
        assert_eq!(beside("a/b/x.csproj", "c.cs"), "a/b/c.cs");
        assert_eq!(beside("a\\x.csproj", "c.cs"), "a/c.cs");
        assert_eq!(beside("x.csproj", "c.cs"), "c.cs");
        assert_eq!(beside("a/x.csproj", "/c.cs"), "/c.cs");
        assert_eq!(beside("a/x.csproj", "D:\\c.cs"), "D:\\c.cs");
    }

    proptest! {
        #[test]
        fn a_clean_path_is_a_fixed_point(text in "[a./\\\\%:fileC]{0,30}") {
            let rules = PathRules::default();
            if let Some(once) = rules.place(&text) {
                // `file://` inside a file's name would be taken for a scheme the second time.
                prop_assume!(!once.starts_with("file:"));
                prop_assert_eq!(rules.place(&once), Some(once));
            }
        }
    }
}
