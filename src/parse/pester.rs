//! Pester's reports: NUnit's XML in versions 2.5 and 3, and JUnit's.
//!
//! Owns only the choice between them; Pester's own ways are a script's path as the name of a suite, and frames of
//! `PowerShell`, which the readers of both formats know.

use std::io::Read;

use crate::parse::options::Options;
use crate::parse::output::Output;
use crate::parse::xml::{self, Token};
use crate::parse::{Item, ParseError, junit, nunit};

/// Tool of a finding when the manifest names none.
const TOOL: &str = "Pester";

/// The form that a report has.
enum Report {
    Nunit(nunit::Report),
    Junit(junit::Report),
}

/// Reads a report.
pub(super) fn read(
    input: impl Read,
    options: &Options,
    sink: &mut dyn FnMut(Item),
) -> Result<(), ParseError> {
    let mut out = Output::new(TOOL, options, sink);
    let mut report = Report::Nunit(nunit::Report::default());
    let result = xml::walk(input, &mut out, |depth, token, out| {
        if let (1, Token::Start(tag)) = (depth, &token) {
            match tag.name() {
                "testsuites" | "testsuite" => report = Report::Junit(junit::Report::default()),
                "test-results" | "test-run" => {}
                name => return Err(xml::wrong_root("a report of Pester", name)),
            }
        }
        match &mut report {
            Report::Nunit(report) => report.token(depth, token, out),
            Report::Junit(report) => report.token(depth, token, out),
        }
    });
    match &mut report {
        Report::Nunit(report) => report.give_up(&mut out),
        Report::Junit(report) => report.give_up(&mut out),
    }
    result
}
