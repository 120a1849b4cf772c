//! Words for people, and where they go: standard output is data, standard error is talk.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use crate::app::failure::Failure;
use crate::cli::args::RunFormat;
use crate::cli::exit::Exit;
use crate::environ::Environ;
use crate::manifest::diagnostic::{self, Diagnostic, Severity, Source};
use crate::redact::guard;
use crate::report::{Format, Progress, View};

/// Annotations of one step of a job that GitHub shows; it drops the rest.
const MAX_ANNOTATIONS: usize = 10;

/// Columns of what is not a terminal: enough for any reason, and an end all the same.
const NO_EDGE: usize = 400;

/// How this process may talk.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about two streams, none of them a state"
)]
pub(super) struct Talk {
    /// Whether what goes out is read by a GitHub Actions runner.
    pub(super) in_actions: bool,
    /// Whether standard error takes colours.
    pub(super) color_err: bool,
    /// Whether standard output takes colours.
    pub(super) color_out: bool,
    /// Whether characters beyond ASCII can be shown.
    pub(super) unicode: bool,
    /// Whether the terminal cannot move its cursor.
    dumb: bool,
}

impl Talk {
    pub(super) fn new(environ: &Environ) -> Self {
        let wish = |terminal: bool| {
            if environ.os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
                false
            } else if environ.text("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
                true
            } else {
                terminal && environ.text("TERM") != Some("dumb") && environ.text("CLICOLOR") != Some("0")
            }
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environ.text(name));
        Self {
            in_actions: environ.in_actions(),
            dumb: environ.text("TERM") == Some("dumb"),
            color_err: wish(io::stderr().is_terminal()),
            color_out: wish(io::stdout().is_terminal()),
            unicode: environ.in_actions()
                || locale.is_some_and(|locale| {
                    let locale = locale.to_ascii_lowercase();
                    locale.contains("utf-8") || locale.contains("utf8")
                }),
        }
    }

    /// How a run is shown here.
    pub(super) fn view(self, format: RunFormat, verbose: bool) -> View {
        let err = terminal_size::terminal_size_of(io::stderr());
        let out = terminal_size::terminal_size_of(io::stdout());
        let columns = |size: Option<(terminal_size::Width, _)>| {
            size.map_or(NO_EDGE, |(width, _)| usize::from(width.0).max(20))
        };
        View {
            format: match format {
                RunFormat::Human => Format::Human,
                RunFormat::Json => Format::Json,
                RunFormat::Jsonl => Format::Jsonl,
            },
            progress: if self.in_actions {
                Progress::Actions
            } else if err.is_some() && !self.dumb {
                Progress::Live
            } else {
                Progress::Plain
            },
            color: self.color_err,
            color_out: self.color_out,
            unicode: self.unicode,
            width: columns(err),
            height: err.map_or(24, |(_, height)| usize::from(height.0)),
            width_out: columns(out),
            verbose,
            result_aside: false,
        }
    }

    /// Says `text` on standard error. A reader that is gone is no reason to fail.
    pub(super) fn err(self, text: &str) {
        let _ = self.write(&mut io::stderr().lock(), text);
    }

    /// Puts `text`, which may quote a manifest, on standard output, without anything that a terminal would obey.
    pub(super) fn out(self, text: &str) -> io::Result<()> {
        self.write(&mut io::stdout().lock(), &guard::terminal_safe(text, false))
    }

    /// Puts a JSON document on standard output.
    pub(super) fn json(self, value: &serde_json::Value) -> io::Result<()> {
        let mut text = format!("{value:#}\n");
        if self.in_actions {
            text = guard::json(&text);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    fn write(self, to: &mut impl io::Write, text: &str) -> io::Result<()> {
        if self.in_actions {
            to.write_all(guard::text(text).as_bytes())?;
        } else {
            to.write_all(text.as_bytes())?;
        }
        to.flush()
    }

    /// Says what is wrong and how to mend it. Both may quote what somebody typed or a repository holds.
    pub(super) fn error(self, message: &str, help: Option<&str>) {
        let mut text = format!("{}: {}\n", self.label("error", "1;31"), visible(message));
        if let Some(help) = help {
            let _ = writeln!(text, "{}: {}", self.label("help", "1;36"), visible(help));
        }
        self.err(&text);
    }

    /// Says what is worth knowing and no error.
    pub(super) fn note(self, message: &str) {
        self.err(&format!("{}: {}\n", self.label("note", "1;36"), visible(message)));
    }

    /// Says that standard output took no more, and with which code to end.
    pub(super) fn lost(self, error: &io::Error) -> Exit {
        // A reader that has gone away, such as `head`, has had what it wanted.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Exit::Passed;
        }
        let help = "what was asked for is not complete; free some space, or write it somewhere else";
        self.error(&format!("standard output could not be written: {error}"), Some(help));
        Exit::Host
    }

    fn label(self, word: &str, style: &str) -> String {
        if self.color_err { format!("\u{1b}[{style}m{word}\u{1b}[0m") } else { word.to_owned() }
    }

    /// Shows diagnostics with their places, and in Actions as annotations too.
    pub(super) fn diagnostics(self, source: &Source, diagnostics: &[Diagnostic]) {
        self.err(&diagnostic::render(source, diagnostics, self.color_err));
        if self.in_actions {
            // These lines are ours, so they may be commands; every text in them is escaped.
            let mut lines = String::new();
            for diagnostic in diagnostic::in_order(diagnostics).into_iter().take(MAX_ANNOTATIONS) {
                let position = source.position(diagnostic.span.start);
                let level = match diagnostic.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                };
                let _ = writeln!(
                    lines,
                    "::{level} file={},line={},col={},title={}::{}",
                    guard::property(&source.path),
                    position.line,
                    position.column,
                    guard::property(diagnostic.rule),
                    guard::message(&diagnostic.message),
                );
            }
            let _ = io::stderr().lock().write_all(lines.as_bytes());
        }
    }

    /// Says why there is no verdict, and with which code to end.
    pub(super) fn failure(self, failure: &Failure) -> Exit {
        match failure {
            Failure::Manifest { source_text, diagnostics } => {
                self.diagnostics(source_text, diagnostics);
                let all = diagnostic::in_order(diagnostics);
                let count = all.iter().filter(|found| found.severity == Severity::Error).count();
                let plural = if count == 1 { "" } else { "s" };
                self.error(&format!("{} has {count} error{plural}; nothing was run", source_text.path), None);
            }
            Failure::NoManifest { help, .. } => self.error(&failure.to_string(), Some(help)),
            Failure::UnknownCommand { nearest, known, .. } => {
                let mut help = match nearest {
                    Some(nearest) => format!("did you mean `{nearest}`? "),
                    None => String::new(),
                };
                let _ = write!(help, "the manifest has: {}", known.join(", "));
                self.error(&failure.to_string(), Some(&help));
            }
            Failure::Inputs(errors) => {
                for error in errors {
                    self.error(&error.to_string(), error.help().as_deref());
                }
            }
            Failure::Usage { message, help } => self.error(message, help.as_deref()),
            Failure::Undeliverable { message, help } => self.error(message, Some(help)),
            Failure::Policy(_) => {
                let help = "ask the administrator of this host; `rungate plan COMMAND --explain` shows what its policy says";
                self.error(&failure.to_string(), Some(help));
            }
            Failure::Consent { allow, .. } => {
                let help = format!("run it again with --allow {allow} if you trust this manifest");
                self.error(&failure.to_string(), Some(&help));
            }
            Failure::Host(problems) => {
                for problem in problems {
                    self.error(&problem.what, Some(&problem.remedy));
                }
            }
        }
        Exit::from(failure)
    }
}

/// Shows help, or what is wrong with the command line.
pub(super) fn usage(error: &clap::Error, talk: Talk) -> Exit {
    use clap::error::ErrorKind;
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let rendered = error.render();
    let color = if asked { talk.color_out } else { talk.color_err };
    let text = if color { rendered.ansi().to_string() } else { rendered.to_string() };
    let text = guard::terminal_safe(&text, color);
    if asked {
        let written = talk.write(&mut io::stdout().lock(), &text);
        return written.map_or_else(|error| talk.lost(&error), |()| Exit::Passed);
    }
    talk.err(&text);
    Exit::Usage
}

/// `text` on one line, with everything that could move the cursor, turn the text or hide in it spelt out.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // What cannot be seen is written by its number, whatever its kind.
            c if c.is_control() || !is_seen(c) => visible.extend(c.escape_default()),
            c => visible.push(c),
        }
    }
    visible
}

/// Whether `c` leaves a mark of its own and does not change the order of others.
const fn is_seen(c: char) -> bool {
    !matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        insta::assert_snapshot!(
            visible("a\u{1b}[31m\r\n::error::x\u{202e}\u{9b}é日"),
            @r"a\u{1b}[31m\r\n::error::x\u{202e}\u{9b}é日"
        );
    }
}
