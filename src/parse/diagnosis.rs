//! A step that failed and said nothing that any parser knows: one finding, with the last lines of its output.
//!
//! Owns the shapes in which interpreters print an uncaught error: Python's traceback, `PowerShell`'s error record, the
//! shells' `script: line 12: …`. What is not recognised is shown as it is, without a place.

use crate::finding::{Finding, Level, Location};
use crate::parse::path::{self, PathRules};
use crate::parse::text;

/// Tool of the finding.
pub const TOOL: &str = "rungate";

/// Rule of the finding.
pub const RULE: &str = "step-failed";

/// Most lines that are shown.
pub const MAX_LINES: usize = 30;

/// Most bytes of lines that are shown.
pub const MAX_TAIL: usize = 4 << 10;

/// Most bytes of the first line of the message.
const MAX_HEADLINE: usize = 1 << 10;

/// The error that ended a script, as its interpreter printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uncaught {
    /// The error in one line.
    error: String,
    /// Path and line, when they are in the workspace.
    place: Option<(String, u32)>,
}

/// The finding for a step that failed without one. `tail` holds the last lines of its output, the last one last; `how`
/// says how it ended, as in `exit code 1`.
#[must_use]
pub fn of_failed_step(tail: &[String], how: &str, rules: &PathRules) -> Finding {
    let from = tail.len().saturating_sub(4 * MAX_LINES);
    let lines: Vec<String> = tail[from..].iter().map(|line| plain(line)).collect();
    let uncaught =
        python(&lines, rules).or_else(|| powershell(&lines, rules)).or_else(|| shell(&lines, rules));
    let headline = match &uncaught {
        Some(uncaught) => format!("{} ({how})", text::cut(uncaught.error.clone(), MAX_HEADLINE)),
        None => how.to_owned(),
    };
    let shown = last_lines(&lines);
    let message = if shown.is_empty() { headline } else { format!("{headline}\n\n{shown}") };
    let (path, start_line) = uncaught.and_then(|uncaught| uncaught.place).unzip();
    let mut finding =
        Finding::new(TOOL, Level::Failure, message).at(Location { path, start_line, ..Location::default() });
    finding.rule = Some(RULE.to_owned());
    finding
}

fn plain(line: &str) -> String {
    let plain = text::without_escapes(line.as_bytes());
    text::cut(String::from_utf8_lossy(&plain).trim_end().to_owned(), MAX_TAIL)
}

/// As many of the last lines as are shown.
fn last_lines(lines: &[String]) -> String {
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let mut room = MAX_TAIL;
    let mut from = end;
    while from > 0 && end - from < MAX_LINES {
        let Some(left) = room.checked_sub(lines[from - 1].len() + 1) else { break };
        room = left;
        from -= 1;
    }
    if from == end && end > 0 {
        // One line alone is longer than what is shown.
        return text::cut(lines[end - 1].clone(), MAX_TAIL - '…'.len_utf8());
    }
    lines[from..end].join("\n")
}

/// The place of `file` in the workspace, if it is one of its files.
fn inside(file: &str, line: u32, rules: &PathRules) -> Option<(String, u32)> {
    let path = rules.place(file)?;
    let foreign = path::is_outside(&path) || path::is_library(&path);
    (!foreign && line > 0).then_some((path, line))
}

/// A traceback: the frames from the outermost to the innermost, then the exception. The last one printed counts, because
/// the ones before it are its causes. A syntax error has a frame and no heading.
fn python(lines: &[String], rules: &PathRules) -> Option<Uncaught> {
    let frame_at = lines.iter().rposition(|line| python_frame(line).is_some())?;
    let exception =
        lines[frame_at + 1..].iter().find(|line| !line.is_empty() && !line.starts_with([' ', '\t']))?;
    let name = exception.split(':').next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
        return None;
    }
    let heading =
        lines[..=frame_at].iter().rposition(|line| line.starts_with("Traceback (most recent call last):"));
    let frames = &lines[heading.unwrap_or(frame_at)..=frame_at];
    let place = frames.iter().rev().find_map(|line| {
        let (file, number) = python_frame(line)?;
        inside(file, number, rules)
    });
    Some(Uncaught { error: exception.clone(), place })
}

/// `  File "a.py", line 3, in f`
fn python_frame(line: &str) -> Option<(&str, u32)> {
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    Some((file, leading_number(rest)?.0))
}

/// An error record, in the view that names the place after the message (`At a.ps1:3 char:5`) or in the concise one
/// (`Name: a.ps1:3`, then a frame of bars whose last line is the message).
fn powershell(lines: &[String], rules: &PathRules) -> Option<Uncaught> {
    let (at, file, number) = lines
        .iter()
        .enumerate()
        .rev()
        .find_map(|(index, line)| {
            let (file, number) = script_line(line.strip_prefix("At ")?)?;
            lines[index].contains(" char:").then_some((index, file, number))
        })
        .or_else(|| {
            let bars = lines.iter().rposition(|line| line.trim_end() == "Line |")?;
            let at = bars.checked_sub(1)?;
            let (_, rest) = lines[at].split_once(": ")?;
            let (file, number) = script_line(rest)?;
            Some((at, file, number))
        })?;
    let error = if lines[at].starts_with("At ") {
        at.checked_sub(1).map(|before| lines[before].clone())?
    } else {
        let name = lines[at].split(": ").next().unwrap_or_default();
        let frame = lines[at + 2..].iter().map_while(|line| {
            let (before, text) = line.split_once('|')?;
            before.trim().bytes().all(|byte| byte.is_ascii_digit()).then_some((before.trim(), text.trim()))
        });
        let message = frame.filter(|(number, text)| number.is_empty() && !text.starts_with('~'));
        let message: Vec<&str> = message.map(|(_, text)| text).collect();
        format!("{name}: {}", message.join(" "))
    };
    Some(Uncaught { error, place: inside(file, number, rules) })
}

/// `path/script.ps1:12`, and perhaps more after it.
fn script_line(text: &str) -> Option<(&str, u32)> {
    // A drive has a colon too.
    let colon = text
        .char_indices()
        .skip(2)
        .find(|(at, c)| *c == ':' && text[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let (at, _) = colon?;
    Some((&text[..at], leading_number(&text[at + 1..])?.0))
}

/// `script.sh: line 12: foo: command not found`, or `script.sh: 12: foo: not found` as smaller shells say it.
fn shell(lines: &[String], rules: &PathRules) -> Option<Uncaught> {
    lines.iter().rev().find_map(|line| {
        let (file, rest) = line.split_once(": ")?;
        let bash = rest.strip_prefix("line ");
        let (number, error) = leading_number(bash.unwrap_or(rest))?;
        let error = error.strip_prefix(": ").filter(|error| !error.is_empty())?;
        let is_script = bash.is_some() || file.contains('/') || ["sh", "dash", "ash"].contains(&file);
        let is_path = !file.is_empty() && !file.contains(char::is_whitespace);
        (is_script && is_path)
            .then(|| Uncaught { error: error.to_owned(), place: inside(file, number, rules) })
    })
}

/// The number that `text` begins with, and what follows it.
fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> PathRules {
        PathRules { root: Some("/repo".to_owned()), ..PathRules::default() }
    }

    /// The place and the first line of the message.
    fn diagnosed(output: &str) -> String {
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        let finding = of_failed_step(&lines, "exit code 1", &rules());
        let place = finding
            .path
            .map_or_else(|| "-".to_owned(), |path| format!("{path}:{}", finding.start_line.unwrap()));
        format!("{place} {}", finding.message.lines().next().unwrap())
    }

    #[test]
    fn a_traceback_points_at_the_innermost_frame_of_the_repository() {
        let output = r#"starting
Traceback (most recent call last):
  File "/repo/old.py", line 1, in cause
    raise KeyError("k")
KeyError: 'k'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/repo/tools/check.py", line 9, in <module>
    main()
  File "/repo/tools/check.py", line 6, in main
    json.loads("{")
  File "/usr/lib/python3.13/json/__init__.py", line 346, in loads
    return decode(s)
           ~~~~~~^^^
json.decoder.JSONDecodeError: Expecting property name: line 1
"#;
        assert_eq!(
            diagnosed(output),
            "tools/check.py:6 json.decoder.JSONDecodeError: Expecting property name: line 1 (exit code 1)"
        );
    }

    #[test]
    fn python_has_other_shapes() {
        let syntax = "  File \"a.py\", line 3\n    x = (\n        ^\nSyntaxError: '(' was never closed";
        assert_eq!(diagnosed(syntax), "a.py:3 SyntaxError: '(' was never closed (exit code 1)");
        let bare =
            "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\nKeyboardInterrupt";
        assert_eq!(diagnosed(bare), "- KeyboardInterrupt (exit code 1)");
        let foreign = "Traceback (most recent call last):\n  File \"/repo/.venv/site-packages/x.py\", line 1, in f\nValueError";
        assert_eq!(diagnosed(foreign), "- ValueError (exit code 1)");
        assert_eq!(diagnosed("  File \"a.py\", line 3\nnot an exception at all"), "- exit code 1");
    }

    #[test]
    fn powershell_points_at_its_script() {
        let concise = "\x1b[31;1mGet-Item: \x1b[0m/repo/tools/Test.ps1:12\n\x1b[36;1mLine |\n  12 |  Get-Item nope\n     |  ~~~~~~~~~~~~~\n     | Cannot find path '/repo/nope'\n     | because it does not exist.\n";
        assert_eq!(
            diagnosed(concise),
            "tools/Test.ps1:12 Get-Item: Cannot find path '/repo/nope' because it does not exist. (exit code 1)"
        );
        let classic = "Get-Item : Cannot find path 'C:\\nope'.\nAt /repo/a.ps1:3 char:5\n+     Get-Item nope\n+     ~~~~~~~~~~~~~\n    + CategoryInfo          : ObjectNotFound\n    + FullyQualifiedErrorId : PathNotFound\n";
        assert_eq!(diagnosed(classic), "a.ps1:3 Get-Item : Cannot find path 'C:\\nope'. (exit code 1)");
        assert_eq!(diagnosed("x\nAt C:\\x\\a.ps1:3 char:5"), "- x (exit code 1)");
    }

    #[test]
    fn shells_point_at_their_script() {
        assert_eq!(
            diagnosed("ok\nrun.sh: line 12: foo: command not found\nbye"),
            "run.sh:12 foo: command not found (exit code 1)"
        );
        assert_eq!(diagnosed("/repo/run.sh: 3: foo: not found"), "run.sh:3 foo: not found (exit code 1)");
        assert_eq!(diagnosed("/tmp/other/run.sh: line 1: x"), "- x (exit code 1)");
        assert_eq!(diagnosed("sh: 1: foo: not found"), "sh:1 foo: not found (exit code 1)");
        assert_eq!(diagnosed("total: 12: things"), "- exit code 1");
        assert_eq!(diagnosed("see a b: line 4: x"), "- exit code 1");
    }

    #[test]
    fn the_last_lines_are_shown_in_bounds() {
        assert_eq!(of_failed_step(&[], "killed by SIGKILL", &rules()).message, "killed by SIGKILL");
        let many: Vec<String> =
            (1..=100).map(|n| format!("line number {n}")).chain([String::new()]).collect();
        let message = of_failed_step(&many, "exit code 2", &rules()).message;
        assert!(
            message.starts_with("exit code 2\n\nline number 71\n") && message.ends_with("\nline number 100")
        );
        let wide = vec!["x".repeat(3000); 3];
        assert_eq!(of_failed_step(&wide, "h", &rules()).message.len(), "h\n\n".len() + 3000);
        let endless = vec!["ä".repeat(1 << 20)];
        assert!(of_failed_step(&endless, "h", &rules()).message.len() <= "h\n\n".len() + MAX_TAIL);
    }

    proptest! {
        #[test]
        fn no_output_is_too_strange(lines in prop::collection::vec(r#"(At |File "|Line \||Traceback|: line |[a-zé:|0-9 ]){0,6}"#, 0..8)) {
            let finding = of_failed_step(&lines, "exit code 1", &rules());
            prop_assert!(finding.message.contains("exit code 1"));
        }
    }
}
