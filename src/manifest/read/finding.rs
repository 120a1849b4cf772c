//! Entries of `findings`.

use std::collections::BTreeMap;

use crate::finding::Level;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::expression::Place;
use crate::manifest::fields::table::step::FINDINGS;
use crate::manifest::fields::words::{DOCUMENT_PARSERS, LEVELS, ON_MISSING, ON_PARSE_ERROR, PARSERS, value};
use crate::manifest::model::{FindingSource, From, OnMissing};
use crate::manifest::read::reader::Reader;
use crate::manifest::read::view::View;
use crate::manifest::tree::Node;

impl Reader<'_> {
    /// An entry; absent when its parser is unknown.
    pub(super) fn finding_source(&mut self, node: &Node) -> Option<FindingSource> {
        let view = View::item(node, &FINDINGS);
        let from = self.from(view);
        let matcher = self.path(view, "matcher");
        Some(FindingSource {
            parser: view.spanned_word("parser", &PARSERS)?,
            from,
            matcher,
            errorformat: view.texts("errorformat"),
            tool: view.text("tool"),
            level: view.word("level", &LEVELS),
            map: level_map(view),
            base: view.text("base"),
            strip: view.text("strip"),
            if_no_files_found: view.word("if-no-files-found", &ON_MISSING).unwrap_or(OnMissing::Error),
            on_parse_error: view.word("on-parse-error", &ON_PARSE_ERROR).unwrap_or(OnMissing::Error),
            span: view.anchor,
        })
    }

    fn from(&mut self, view: View<'_>) -> From {
        let Some(node) = view.node("from") else { return From::Both };
        let Some(template) = self.template(node, Place::FindingsFrom) else { return From::Both };
        match template.text.as_str() {
            "stdout" => From::Stdout,
            "stderr" => From::Stderr,
            "both" => {
                let parser = view.text("parser").unwrap_or_default();
                if DOCUMENT_PARSERS.contains(&parser.as_str()) {
                    let message =
                        format!("`{parser}` reads one document, and two streams run together are none");
                    let help = "write `stdout`, `stderr` or a glob".to_owned();
                    self.complain("conflicting-keys", node.span, message, Some(help));
                }
                From::Both
            }
            text => {
                self.glob(&template, false);
                if !text.contains(['/', '.', '*', '$'])
                    && let Some(near) = self.out.nearest(text, ["stdout", "stderr", "both"])
                {
                    let message = format!("this reads a file that is called `{text}`");
                    let warning = Diagnostic::error("unknown-word", node.span, message);
                    self.out.push(warning.help(format!("for the stream write `{near}`")).as_warning());
                }
                From::Files(template)
            }
        }
    }
}

fn level_map(view: View<'_>) -> BTreeMap<String, Level> {
    view.map("map")
        .filter_map(|entry| Some((entry.key.text.clone(), value(&LEVELS, &entry.value.scalar()?.text)?)))
        .collect()
}
