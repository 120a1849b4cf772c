//! The files by which a step hands something to later ones: outputs, environment, search path.
//!
//! Each step writes into files of its own, never into the runner's; what stands in them is checked here before anybody
//! else sees it. GitHub's grammar: `NAME=VALUE` lines, or `NAME<<DELIMITER`, lines, `DELIMITER`.

use std::collections::BTreeMap;
use std::io::Read as _;

use crate::id::EnvName;
use crate::plan::facts::PathProblem;
use crate::workspace::files::Beneath;

/// Most bytes that one of these files may hold.
const MAX_BYTES: u64 = 1 << 20;

/// What a step hands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Handover {
    /// Outputs, by name.
    pub(super) outputs: BTreeMap<String, String>,
    /// Environment for the steps that need this one.
    pub(super) env: Vec<(EnvName, String)>,
    /// Directories to search first, for the same steps.
    pub(super) path: Vec<String>,
}

/// Why a step's files cannot be accepted. The step fails: what it meant to hand on is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoverError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The variable that names the file.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// A line is not of the form that it must have.
    #[error("{file} line {line}: {problem}")]
    Line {
        /// The variable that names the file.
        file: &'static str,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Names that rungate or the runner owns, or that change how interpreters load code.
fn is_protected(name: &str) -> bool {
    const PREFIXES: [&str; 7] = ["LD_", "PYTHON", "GITHUB_", "RUNNER_", "RUNGATE_", "ACTIONS_", "INPUT_"];
    const NAMES: [&str; 8] =
        ["PATH", "NODE_OPTIONS", "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "IFS", "PS4"];
    let upper = name.to_ascii_uppercase();
    PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) || NAMES.contains(&upper.as_str())
}

impl Handover {
    /// Reads the three files in `folder`, which the step could write.
    pub(super) fn read(folder: &Beneath) -> Result<Self, HandoverError> {
        let mut handover = Self::default();
        let file = "GITHUB_OUTPUT";
        for (line, name, value) in pairs(file, &text(folder, "output", file)?)? {
            if !is_output_name(&name) {
                let problem = format!("{name:?} is not an output name: letters, digits, `_` and `-`");
                return Err(HandoverError::Line { file, line, problem });
            }
            handover.outputs.insert(name, value);
        }
        let file = "GITHUB_ENV";
        for (line, name, value) in pairs(file, &text(folder, "env", file)?)? {
            let refused = |problem| HandoverError::Line { file, line, problem };
            if is_protected(&name) {
                return Err(refused(format!("{name} cannot be set by a step")));
            }
            if value.contains('\0') {
                return Err(refused(format!("the value of {name} holds a NUL byte")));
            }
            let name = name.parse::<EnvName>().map_err(|error| refused(error.to_string()))?;
            handover.env.push((name, value));
        }
        let file = "GITHUB_PATH";
        for (index, entry) in text(folder, "path", file)?.lines().enumerate() {
            if entry.is_empty() {
                continue;
            }
            if !entry.starts_with('/') || entry.contains([':', '\0']) {
                let problem = format!("{entry:?} is not one absolute directory");
                return Err(HandoverError::Line { file, line: index + 1, problem });
            }
            handover.path.push(entry.to_owned());
        }
        Ok(handover)
    }
}

fn is_output_name(name: &str) -> bool {
    name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The text of one of the files. The step may have replaced it by anything.
fn text(folder: &Beneath, name: &str, file: &'static str) -> Result<String, HandoverError> {
    let unreadable = |reason: String| HandoverError::Unreadable { file, reason };
    let opened = match folder.file(name) {
        Ok(opened) => opened,
        Err(PathProblem::Missing) => return Ok(String::new()),
        Err(problem) => return Err(unreadable(format!("it {problem}"))),
    };
    let mut bytes = Vec::new();
    opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The `(line, name, value)` entries of a file.
fn pairs(file: &'static str, text: &str) -> Result<Vec<(usize, String, String)>, HandoverError> {
    let mut pairs = Vec::new();
    // Only `\n` ends a line: a `\r` before it belongs to the value, as it does for the runner.
    let mut lines = text.split('\n').enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, line)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let refused = |problem: &str| HandoverError::Line { file, line: number, problem: problem.to_owned() };
        let equals = line.find('=');
        let heredoc = line.find("<<");
        match (equals, heredoc) {
            (Some(at), heredoc) if heredoc.is_none_or(|other| at < other) => {
                if at == 0 {
                    return Err(refused("the name is empty"));
                }
                pairs.push((number, line[..at].to_owned(), line[at + 1..].to_owned()));
            }
            (_, Some(at)) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                if name.is_empty() || delimiter.is_empty() {
                    return Err(refused("the name or the delimiter is empty"));
                }
                let mut value: Vec<&str> = Vec::new();
                loop {
                    match lines.next() {
                        Some((_, line)) if line == delimiter => break,
                        Some((_, line)) => value.push(line),
                        None => return Err(refused("the closing delimiter is missing")),
                    }
                }
                pairs.push((number, name.to_owned(), value.join("\n")));
            }
            (_, None) => return Err(refused("neither NAME=VALUE nor NAME<<DELIMITER")),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(output: &str, env: &str, path: &str) -> Result<Handover, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("output", output), ("env", env), ("path", path)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Handover::read(&Beneath::open(folder.path()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_are_read_and_only_a_line_feed_ends_a_line() {
        let handover = read("a=1=2\nb<<E\nx\n\ny=z\nE\n\nc=x\r\n", "A=b\n", "/opt/x\n").unwrap();
        let outputs: Vec<_> = handover.outputs.into_iter().collect();
        assert_eq!(
            outputs,
            [("a", "1=2"), ("b", "x\n\ny=z"), ("c", "x\r")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(handover.path, ["/opt/x"]);
    }

    #[test]
    fn what_changes_how_programs_load_code_is_refused() {
        for name in
            ["LD_PRELOAD", "PATH", "NODE_OPTIONS", "BASH_ENV", "PYTHONPATH", "GITHUB_SHA", "ld_preload"]
        {
            let error = read("", &format!("{name}=x\n"), "").unwrap_err();
            assert!(error.contains("cannot be set by a step"), "{name}: {error}");
        }
    }

    #[test]
    fn broken_files_are_errors_that_name_the_line() {
        assert_eq!(
            read("a\n", "", "").unwrap_err(),
            "GITHUB_OUTPUT line 1: neither NAME=VALUE nor NAME<<DELIMITER"
        );
        assert_eq!(
            read("\na<<E\nx\n", "", "").unwrap_err(),
            "GITHUB_OUTPUT line 2: the closing delimiter is missing"
        );
        assert_eq!(read("=x\n", "", "").unwrap_err(), "GITHUB_OUTPUT line 1: the name is empty");
        assert!(read("", "", "bin\n").unwrap_err().contains("not one absolute directory"));
        assert!(read("", "", "/a:/b\n").unwrap_err().contains("not one absolute directory"));
    }

    #[test]
    fn a_file_that_was_replaced_by_a_link_or_a_fifo_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("output")).unwrap();
        assert!(Handover::read(&Beneath::open(folder.path()).unwrap()).is_err());
        std::fs::remove_file(folder.path().join("output")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("output"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(
            Handover::read(&Beneath::open(folder.path()).unwrap())
                .unwrap_err()
                .to_string()
                .contains("is not a regular file")
        );
    }

    proptest! {
        #[test]
        fn a_heredoc_gives_back_any_value_that_lacks_its_delimiter(value in "[^\0]{0,200}") {
            prop_assume!(value.split('\n').all(|line| line != "END"));
            let pairs = pairs("GITHUB_OUTPUT", &format!("x<<END\n{value}\nEND\n")).unwrap();
            prop_assert_eq!(&pairs[0].2, &value);
            prop_assert_eq!(pairs.len(), 1);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = pairs("GITHUB_ENV", &text);
        }
    }
}
