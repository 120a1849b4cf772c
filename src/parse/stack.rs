//! The place in the repository that a stack trace shows, in whatever language it was written.
//!
//! Owns the shapes of stack frames. Whether a file exists is not known here.

use memchr::{memchr, memmem};

use crate::finding::Location;
use crate::parse::path::{self, PathRules};

/// What is known already about the place that is sought.
pub(super) struct Wanted<'a> {
    /// The file, when the report names it: then only a line of that file counts.
    pub(super) path: Option<&'a str>,
    /// The class of the test, or whatever the report has in its place.
    pub(super) class: &'a str,
}

/// One frame.
#[derive(Debug, PartialEq)]
struct Frame<'t> {
    file: std::borrow::Cow<'t, str>,
    line: u32,
    column: Option<u32>,
    /// Class and method, of a frame that has them in the place of a path.
    method: Option<&'t str>,
    order: Order,
}

/// Where in a trace the innermost frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    First,
    Last,
}

/// How well a frame's place serves. The order is from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Outside the repository, as far as anybody can tell.
    Outside,
    /// In it.
    Inside,
    /// In the test's own class.
    Own,
}

/// The place of the innermost frame in the repository. Frames elsewhere serve when there is no better one, except those
/// of libraries.
pub(super) fn place(text: &str, wanted: &Wanted<'_>, rules: &PathRules) -> Option<Location> {
    let mut best: Option<(Worth, Location)> = None;
    for frame in text.lines().filter_map(frames) {
        let Some((worth, path)) = judged(&frame, wanted, rules) else { continue };
        let better = best.as_ref().is_none_or(|(known, _)| match frame.order {
            Order::First => worth > *known,
            Order::Last => worth >= *known,
        });
        if better {
            let location = Location {
                path: Some(path),
                start_line: Some(frame.line),
                start_column: frame.column,
                ..Location::default()
            };
            best = Some((worth, location));
        }
    }
    best.map(|(_, location)| location)
}

/// What a frame is worth, and its path in the repository; nothing when it cannot be the place.
fn judged(frame: &Frame<'_>, wanted: &Wanted<'_>, rules: &PathRules) -> Option<(Worth, String)> {
    let path = rules.place(&frame.file)?;
    if let Some(known) = wanted.path {
        let same = ends(&path, known) || ends(known, &path);
        return same.then(|| (Worth::Inside, known.to_owned()));
    }
    if path::is_library(&path) || frame.method.is_some_and(is_framework) {
        return None;
    }
    let class = wanted.class.trim();
    let own = frame.method.and_then(|method| method.strip_prefix(class));
    let own = own.is_some_and(|rest| !class.is_empty() && rest.starts_with(['.', '$']));
    let worth = match path::is_outside(&path) {
        _ if own => Worth::Own,
        true => Worth::Outside,
        false => Worth::Inside,
    };
    Some((worth, path))
}

/// Whether `path` ends with `end`, whole names only.
fn ends(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/') || end.starts_with('/'))
}

/// Packages whose frames are the machinery around a test, and of assertions.
const FRAMEWORKS: [&str; 24] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "org.junit.",
    "junit.",
    "org.testng.",
    "org.hamcrest.",
    "org.assertj.",
    "org.mockito.",
    "org.opentest4j.",
    "org.gradle.",
    "org.apache.maven.",
    "org.scalatest.",
    "org.spockframework.",
    "org.codehaus.groovy.",
    "groovy.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "androidx.test.",
    "com.google.common.truth.",
    "io.kotest.",
];

fn is_framework(method: &str) -> bool {
    FRAMEWORKS.iter().any(|package| method.starts_with(package))
}

/// The frame that a line shows. Each shape is tried in turn, the exact ones first.
fn frames(line: &str) -> Option<Frame<'_>> {
    // Most lines are none, and each search for words is slow to begin.
    let bytes = line.as_bytes();
    if memchr(b':', bytes).is_none() && memmem::find(bytes, b"line ").is_none() {
        return None;
    }
    python(line).or_else(|| spelled_out(line)).or_else(|| java(line)).or_else(|| colons(line))
}

/// `File "a.py", line 3, in f`
fn python(line: &str) -> Option<Frame<'_>> {
    let (_, rest) = line.split_once("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    Some(Frame {
        file: file.into(),
        line: leading_number(rest)?.0,
        column: None,
        method: None,
        order: Order::Last,
    })
}

/// `… in C:\a.cs:line 12` of .NET in any language, `at line: 12 in C:\a.ps1` and `a.ps1: line 12` of older Pester,
/// `(in test file a.bats, line 12)`, `at t/a.t line 12.` of Perl.
fn spelled_out(line: &str) -> Option<Frame<'_>> {
    let (file, line) = dot_net(line).or_else(|| old_pester(line)).or_else(|| in_words(line))?;
    Some(Frame { file: file.trim().into(), line, column: None, method: None, order: Order::First })
}

fn dot_net(line: &str) -> Option<(&str, u32)> {
    let (before, rest) = line.rsplit_once(':')?;
    let (word, number) = rest.trim_ascii().split_once(' ')?;
    let is_word = !word.is_empty() && word.chars().all(char::is_alphabetic);
    if !is_word || !is_source(before) {
        return None;
    }
    // The words before a path are translated too. One without any, in the older Pester, has a comma there.
    let separators = [" in ", " en ", " dans ", " em ", " w ", " v ", " в ", " 位置 ", ", "];
    let start = separators.iter().filter_map(|word| before.rfind(word).map(|at| at + word.len())).max();
    Some((&before[start?..], leading_number(number)?.0))
}

fn old_pester(line: &str) -> Option<(&str, u32)> {
    let (_, rest) = line.split_once("at line: ")?;
    let (number, rest) = leading_number(rest)?;
    Some((rest.strip_prefix(" in ")?, number))
}

fn in_words(line: &str) -> Option<(&str, u32)> {
    let (before, rest) = line.split_once(" line ")?;
    let before = before.trim_end_matches(',');
    let start =
        ["file ", "at "].iter().filter_map(|word| before.rfind(word).map(|at| at + word.len())).max()?;
    let file = &before[start..];
    is_source(file).then_some((file, leading_number(rest)?.0))
}

/// `at a.b.C.m(C.java:12)`. The package says where below a source folder the file is; the manifest's `base` can name
/// that folder.
fn java(line: &str) -> Option<Frame<'_>> {
    let call = line.trim_start().strip_prefix("at ")?;
    let (method, rest) = call.split_once('(')?;
    let (file, rest) = rest.split_once(':')?;
    let (number, rest) = leading_number(rest)?;
    let is_file = rest.starts_with(')') && !file.is_empty() && !file.contains(['/', '\\', ' ']);
    // A class loader or a module stands before a slash.
    let method = method.rsplit_once('/').map_or(method, |(_, method)| method);
    let is_method =
        method.contains('.') && method.chars().all(|c| c.is_alphanumeric() || "._$<>-".contains(c));
    if !is_file || !is_method || !matches!(extension(file), Some("java" | "kt" | "scala" | "groovy" | "clj"))
    {
        return None;
    }
    let class = method.rsplit_once('.').map_or("", |(class, _)| class);
    let package = class.rsplit_once('.').map_or("", |(package, _)| package).replace('.', "/");
    let file = if package.is_empty() { file.to_owned() } else { format!("{package}/{file}") };
    Some(Frame { file: file.into(), line: number, column: None, method: Some(method), order: Order::First })
}

/// `a/b.rs:12:3`, anywhere in a line.
fn colons(line: &str) -> Option<Frame<'_>> {
    let mut from = 0;
    while let Some(at) = line[from..].find(':').map(|at| from + at) {
        from = at + 1;
        let Some((number, rest)) = leading_number(&line[from..]) else { continue };
        let file = unbundled(file_before(&line[..at]));
        if !is_source(file) {
            continue;
        }
        let column = rest.strip_prefix(':').and_then(leading_number);
        // pytest writes frames from the outermost to the innermost, as the traceback itself has them.
        let is_pytest = extension(file) == Some("py") && line.starts_with(file);
        let order = if is_pytest { Order::Last } else { Order::First };
        let column = column.map(|(column, _)| column).filter(|column| *column > 0);
        return Some(Frame { file: file.into(), line: number, column, method: None, order });
    }
    None
}

/// The path that `text` ends with. Paths of scripts may have blanks in them: `PowerShell` puts a comma before.
fn file_before(text: &str) -> &str {
    if let Some((_, file)) = text.rsplit_once(", ")
        && matches!(extension(file), Some("ps1" | "psm1"))
    {
        return file;
    }
    let start = text.rfind(|c: char| c.is_whitespace() || "()[]<>{}\"'`=,;|".contains(c));
    start.map_or(text, |at| {
        text[at..].trim_start_matches(|c: char| !c.is_alphanumeric() && !"./\\~_-@".contains(c))
    })
}

/// The file behind an address that a bundler made up, such as `webpack:///./src/a.js` or `webpack://app/./src/a.js`.
fn unbundled(file: &str) -> &str {
    match file.split_once("://") {
        Some(("webpack" | "webpack-internal", rest)) => {
            rest.split_once('/').map_or(file, |(_, path)| path.trim_start_matches("./"))
        }
        _ => file,
    }
}

/// Extensions of files that frames are in. Without such a list a host and its port look like a frame.
const EXTENSIONS: [&str; 66] = [
    "bash", "bats", "c", "cc", "cjs", "clj", "cpp", "cs", "cts", "cxx", "d", "dart", "erl", "ex", "exs",
    "feature", "fs", "fsx", "go", "groovy", "h", "hh", "hpp", "hs", "hxx", "ipynb", "java", "jl", "js",
    "json", "jsx", "kt", "kts", "lua", "m", "md", "mjs", "ml", "mm", "mts", "nim", "php", "phpt", "pl", "pm",
    "ps1", "psd1", "psm1", "py", "pyx", "r", "rb", "robot", "rs", "rst", "scala", "sh", "sql", "svelte",
    "swift", "t", "ts", "tsx", "vb", "vue", "zig",
];

/// Whether a text looks like the path of a source file.
pub(super) fn is_source(file: &str) -> bool {
    let known = extension(file).is_some_and(|extension| EXTENSIONS.contains(&extension));
    let scheme = file.split_once("://").is_some_and(|(scheme, _)| scheme != "file");
    known && !scheme && !file.starts_with("node:")
}

fn extension(file: &str) -> Option<&str> {
    let (stem, extension) = file.rsplit_once('.')?;
    (!stem.is_empty() && !extension.contains(['/', '\\'])).then_some(extension)
}

/// The number that `text` begins with, above 0, and what follows it.
fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|number| *number > 0)?;
    Some((number, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, class: &str) -> String {
        let rules = PathRules { root: Some("/r".to_owned()), ..PathRules::default() };
        let Some(place) = place(text, &Wanted { path: None, class }, &rules) else { return "-".to_owned() };
        let column = place.start_column.map(|column| format!(":{column}")).unwrap_or_default();
        format!("{}:{}{column}", place.path.unwrap(), place.start_line.unwrap())
    }

    #[test]
    fn every_language_has_frames() {
        let cases = [
            (
                "Traceback (most recent call last):\n  File \"/r/a.py\", line 3, in f\n  File \"/r/b.py\", line 4, in g\n  File \"/usr/lib/x.py\", line 9",
                "b.py:4",
            ),
            ("a.py:3: in test\n    f()\nb.py:9: AssertionError", "b.py:9"),
            (
                "Error: x\n    at f (/r/node_modules/j/i.js:1:2)\n    at Object.<anonymous> (/r/src/a.test.js:10:21)\n    at g (/r/src/b.js:1:1)",
                "src/a.test.js:10:21",
            ),
            ("    at Context.eval (webpack:///./cypress/e2e/a.cy.js:5:8)", "cypress/e2e/a.cy.js:5:8"),
            ("    at f (webpack://app/./src/a.ts:5:8)", "src/a.ts:5:8"),
            ("at file:///r/src/a.mjs:3:4", "src/a.mjs:3:4"),
            ("thread 't' panicked at src/lib.rs:12:5:\nassertion failed", "src/lib.rs:12:5"),
            ("panicked at 'no', src/lib.rs:12:5", "src/lib.rs:12:5"),
            ("    a_test.go:12: got 1", "a_test.go:12"),
            (
                "goroutine 1\n\t/usr/local/go/src/testing/t.go:9 +0x1\n\t/r/p/a_test.go:12 +0x1d",
                "p/a_test.go:12",
            ),
            ("   at N.C.m(Int32 a, Int32 b) in /r/src/C.cs:line 9", "src/C.cs:9"),
            ("   bei N.C.m() in C:\\My Code\\C.cs:Zeile 9.", "C:/My Code/C.cs:9"),
            ("./spec/a_spec.rb:5:in `block'", "spec/a_spec.rb:5"),
            ("/r/tests/ATest.php:5", "tests/ATest.php:5"),
            ("a.cc:12: Failure\nExpected equality", "a.cc:12"),
            ("at <ScriptBlock>, /r/My Tests/A.Tests.ps1:7", "My Tests/A.Tests.ps1:7"),
            ("no frame, only localhost:8080 and 12:30 and https://x.js:3 and node:internal.js:5", "-"),
            ("   at x (a.py:0)", "-"),
        ];
        for (text, expected) in cases {
            assert_eq!(at(text, ""), expected, "{text}");
        }
    }

    #[test]
    fn java_shows_the_test_and_not_its_machinery() {
        let stack = "java.lang.AssertionError\n\tat org.junit.Assert.fail(Assert.java:86)\n\tat com.ex.Helper.check(Helper.java:3)\n\tat app//com.ex.ATest$1.run(ATest.kt:7)\n\tat com.ex.ATest.a(ATest.kt:44)\n\tat java.base/java.lang.Thread.run(Thread.java:1)";
        assert_eq!(at(stack, "com.ex.ATest"), "com/ex/ATest.kt:7");
        assert_eq!(at(stack, ""), "com/ex/Helper.java:3");
        assert_eq!(at("at org.junit.Assert.fail(Assert.java:86)", "com.ex.ATest"), "-");
        assert_eq!(at("at A.b(Native Method)\nat A.b(A.java:2)", "A"), "A.java:2");
    }

    #[test]
    fn only_lines_of_a_file_that_is_known_count() {
        let rules = PathRules { root: Some("/r".to_owned()), ..PathRules::default() };
        let line = |path: &str| {
            let found = place("b.py:1: x\n/r/t/a.py:2: y", &Wanted { path: Some(path), class: "" }, &rules)?;
            Some((found.path?, found.start_line?))
        };
        assert_eq!(line("t/a.py"), Some(("t/a.py".to_owned(), 2)));
        assert_eq!(line("a.py"), Some(("a.py".to_owned(), 2)));
        assert_eq!(line("c.py"), None);
    }
}
