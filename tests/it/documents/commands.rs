//! Every command in a document is run as it stands there, in a repository that the document itself builds up.
//!
//! A comment before a code block says what becomes of it:
//!
//! - `<!-- run -->`, `<!-- run: exit 1 -->`: it is run, and ends so. `network` before that: it needs the network, and is run
//!   in CI and where `RUNGATE_TEST_NETWORK` is set.
//! - `<!-- prints -->`: each of its lines is part of what the block before it has printed.
//! - `<!-- file: PATH -->`: it is written there.
//! - `<!-- command: NAME -->`: `.ci/run` takes it from the document and runs it.
//! - `<!-- not run: REASON -->`: it cannot be run here. These are counted.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::context::{Ran, command, path, variable, variables};
use crate::documents::{all_documents, read};

/// Commands that nobody runs, each with its reason beside it. One more needs a better reason than that it is easier.
const NOT_RUN: usize = 21;

struct Block {
    line: usize,
    language: String,
    mark: String,
    text: String,
}

/// The code blocks of a document.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut mark = String::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            if !open {
                let (language, mark) = (language.to_owned(), std::mem::take(&mut mark));
                blocks.push(Block { line: number + 1, language, mark, text: String::new() });
            }
            open = !open;
        } else if open {
            let block = blocks.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
        } else {
            let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            comment.unwrap_or_default().clone_into(&mut mark);
        }
    }
    assert!(!open, "a code block is not closed");
    blocks
}

/// A repository in which a document is carried out.
struct Place {
    folder: tempfile::TempDir,
    printed: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "home", "repository"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let program = folder.path().join("bin/rungate");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rungate"), program).unwrap();
        let place = Self { folder, printed: String::new() };
        assert_eq!(place.bash("git init -q -b main").code, Some(0));
        place
    }

    fn repository(&self) -> std::path::PathBuf {
        self.folder.path().join("repository")
    }

    fn bash(&self, script: &str) -> Ran {
        let mut bash = command("bash");
        bash.args(["-eu", "-o", "pipefail", "-c", script])
            .current_dir(self.repository())
            .stdin(Stdio::null());
        bash.env("PATH", format!("{}:{}", self.folder.path().join("bin").display(), path()));
        bash.env("HOME", self.folder.path().join("home")).env("RUNGATE_SOURCE", env!("CARGO_MANIFEST_DIR"));
        for who in ["AUTHOR", "COMMITTER"] {
            bash.env(format!("GIT_{who}_NAME"), "T").env(format!("GIT_{who}_EMAIL"), "t@example.com");
        }
        // Where packages come from is this machine's matter.
        bash.envs(variables("PIP_"));
        Ran::from(bash.output().unwrap())
    }

    fn run(&mut self, block: &Block, code: i32, at: &str) {
        let ran = self.bash(&block.text);
        self.printed = ran.stdout + &ran.stderr;
        assert_eq!(ran.code, Some(code), "{at}:\n{}\n{}", block.text, self.printed);
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.repository().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn compare(&self, block: &Block, at: &str) {
        for line in block.text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(self.printed.contains(line), "{at}: {line:?} is not in\n{}", self.printed);
        }
    }
}

/// How a command is to end, and whether it needs the network.
fn wanted(mark: &str) -> (i32, bool) {
    let rest = mark.strip_prefix("run").unwrap().trim_start_matches(": ");
    let (network, rest) =
        rest.strip_prefix("network").map_or((false, rest), |rest| (true, rest.trim_start()));
    let code = rest.strip_prefix("exit ").map_or(0, |code| code.parse().unwrap());
    (code, network)
}

fn has_network() -> bool {
    variable("CI").is_some() || variable("RUNGATE_TEST_NETWORK").is_some()
}

/// Carries a document out. Returns how many commands were run, and how many were not.
fn carry_out(document: &Path) -> BTreeMap<&'static str, usize> {
    let mut place = Place::new();
    let mut counts = BTreeMap::new();
    // After a command that was left out, what depends on it is left out, too: the network's comes last in a part.
    let mut is_left_out = false;
    for block in blocks(&read(document)) {
        let at = format!("{}:{}", document.display(), block.line);
        let is_command = ["sh", "bash", "console", "powershell", "pwsh"].contains(&block.language.as_str());
        let kind = match block.mark.split_once(": ").map_or(block.mark.as_str(), |(kind, _)| kind) {
            "file" => {
                place.write(block.mark.strip_prefix("file: ").unwrap(), &block.text);
                continue;
            }
            "prints" => {
                if !is_left_out {
                    place.compare(&block, &at);
                }
                continue;
            }
            "run" => {
                let (code, network) = wanted(&block.mark);
                is_left_out = network && !has_network();
                if is_left_out {
                    "needs the network"
                } else {
                    place.run(&block, code, &at);
                    "run"
                }
            }
            "command" => "run by .ci/run",
            "not run" => "not run",
            _ if is_command => panic!("{at}: nothing says whether this is run"),
            _ => continue,
        };
        assert!(is_command, "{at}: this is no command");
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[test]
fn every_command_in_a_document_is_run() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let documents = all_documents();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            documents.iter().map(|document| scope.spawn(move || carry_out(document))).collect();
        for thread in threads {
            let of_one = thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why));
            for (kind, count) in of_one {
                *counts.entry(kind).or_default() += count;
            }
        }
    });
    let _ = writeln!(std::io::stderr(), "commands of the documents: {counts:?}");
    assert!(counts["run"] > 15, "{counts:?}");
    assert_eq!(counts["not run"], NOT_RUN, "commands that are not run");
}

#[test]
fn the_marks_are_read() {
    let read = blocks(
        "<!-- run: exit 2 -->\n```sh\na\nb\n```\n\n```text\nc\n```\n<!-- file: x -->\n\n```yaml\n```\n",
    );
    let seen: Vec<_> = read.iter().map(|block| (block.mark.as_str(), block.text.as_str())).collect();
    assert_eq!(
        seen,
        [("run: exit 2", "a\nb\n"), ("", "c\n"), ("", "")],
        "a mark stands right before its block"
    );
    assert_eq!(wanted("run"), (0, false));
    assert_eq!(wanted("run: exit 4"), (4, false));
    assert_eq!(wanted("run: network"), (0, true));
    assert_eq!(wanted("run: network exit 1"), (1, true));
}
