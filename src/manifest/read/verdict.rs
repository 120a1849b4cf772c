//! Gates, artifacts, reports and suppressions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::finding::Level;
use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::Place;
use crate::manifest::fields::table::verdict::{ARTIFACT, GATE, SUPPRESSION};
use crate::manifest::fields::words::{
    ANNOTATE, ARCHIVES, ARTIFACT_WHEN, CHECK_RUNS, FAIL_ON, FALLBACKS, FILTER_MODES, ON_MISSING, SECTIONS,
};
use crate::manifest::model::{
    Archive, Artifact, ArtifactWhen, CheckRuns, Fallback, FilterMode, Gate, OnMissing, Report, Spanned,
    SummarySection, Suppression, TestLimits,
};
use crate::manifest::read::complaints::quoted;
use crate::manifest::read::graph::Graph;
use crate::manifest::read::reader::Reader;
use crate::manifest::read::view::View;

impl Reader<'_> {
    pub(super) fn gates(&mut self, command: View<'_>, graph: &Graph) -> Vec<Gate> {
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut gates = Vec::new();
        for node in command.list("gates") {
            let view = View::item(node, &GATE);
            if let Some(id) = view.spanned_text("id") {
                if let Some(first) = seen.get(&id.value) {
                    let message = format!("the gate {} is declared twice", quoted(&id.value));
                    self.out.push(
                        Diagnostic::error("duplicate-id", id.span, message).related(*first, "first here"),
                    );
                }
                seen.entry(id.value).or_insert(id.span);
            }
            for key in ["needs", "require"] {
                self.known_steps(&view.texts(key), graph);
            }
            gates.extend(self.gate(view));
        }
        gates
    }

    fn known_steps(&mut self, ids: &[Spanned<String>], graph: &Graph) {
        self.distinct(ids);
        for id in ids {
            if !graph.knows(&id.value) {
                graph.unknown(id, &mut self.out);
            }
        }
    }

    fn gate(&mut self, view: View<'_>) -> Option<Gate> {
        let baseline = self.path(view, "baseline");
        let max = view.object("max");
        let levels = [("error", Level::Failure), ("warning", Level::Warning), ("notice", Level::Notice)];
        let id = view.spanned_text("id")?;
        Some(Gate {
            id: Spanned { value: id.value.parse().ok()?, span: id.span },
            name: view.text("name"),
            needs: view.step_ids("needs"),
            fail_on: view.word("fail-on", &FAIL_ON).flatten(),
            max: levels.into_iter().filter_map(|(key, level)| Some((level, max.integer(key)?))).collect(),
            filter_mode: filter_mode(view),
            baseline,
            tests: view.key_span("tests").map(|span| Spanned { value: tests(view.object("tests")), span }),
            require: view.step_ids("require"),
            message: view.text("message"),
            span: view.anchor,
        })
    }

    pub(super) fn artifacts(&mut self, command: View<'_>) -> Vec<Artifact> {
        let mut seen = BTreeMap::new();
        let mut artifacts = Vec::new();
        for node in command.list("artifacts") {
            let artifact = self.artifact(View::item(node, &ARTIFACT));
            if let Some((name, span)) =
                artifact.as_ref().map(|artifact| (&artifact.name.text, artifact.name.span))
                && let Some(first) = seen.insert(name.clone(), span)
            {
                let message = format!("two artifacts are called {}", quoted(name));
                self.out.push(Diagnostic::error("duplicate-id", span, message).related(first, "the other"));
            }
            artifacts.extend(artifact);
        }
        artifacts
    }

    fn artifact(&mut self, view: View<'_>) -> Option<Artifact> {
        let path = self.templates(view.list("path"), Place::Artifact);
        for glob in &path {
            self.glob(glob, true);
        }
        if let Some(first) = path.first()
            && path.iter().all(|glob| glob.text.starts_with('!'))
        {
            let message = "`path` only excludes, so that nothing is taken".to_owned();
            self.complain("invalid-glob", first.span, message, None);
        }
        let name = self.template(view.node("name")?, Place::Artifact)?;
        if let Some(c) = name.literal().and_then(|name| name.chars().find(|c| Artifact::REFUSED.contains(c)))
        {
            let message = format!("an artifact's name cannot hold {}", quoted(&c.to_string()));
            self.complain("invalid-name", name.span, message, None);
        }
        Some(Artifact {
            name,
            path,
            retention_days: view.integer("retention-days"),
            if_no_files_found: view.word("if-no-files-found", &ON_MISSING).unwrap_or(OnMissing::Warn),
            compression_level: view.integer("compression-level").unwrap_or_default(),
            include_hidden_files: view.flag("include-hidden-files"),
            overwrite: view.flag("overwrite"),
            when: view.word("when", &ARTIFACT_WHEN).unwrap_or(ArtifactWhen::Always),
            archive: view.word("archive", &ARCHIVES).unwrap_or(Archive::Zip),
            mask: view.flag("mask"),
            span: view.anchor,
        })
    }

    pub(super) fn report(&mut self, view: View<'_>) -> Report {
        let mut fallback = view.words("fallback", &FALLBACKS);
        if fallback.is_empty() {
            fallback = vec![Fallback::CheckRun, Fallback::Status, Fallback::StepSummary];
        }
        let mut summary = view.words("summary", &SECTIONS);
        if summary.is_empty() {
            summary = SECTIONS.map(|(_, section): (_, SummarySection)| section).to_vec();
        }
        for key in ["fallback", "summary"] {
            self.distinct(&view.texts(key));
        }
        Report {
            check_name: view.node("check-name").and_then(|node| self.template(node, Place::CheckName)),
            check_runs: view
                .spanned_word("check-runs", &CHECK_RUNS)
                .unwrap_or(Spanned { value: CheckRuns::Command, span: view.anchor }),
            filter_mode: filter_mode(view),
            max_annotations: view.integer("max-annotations").unwrap_or_default(),
            annotate: view.word("annotate", &ANNOTATE),
            fallback,
            sarif_upload: view.spanned_flag("sarif-upload"),
            summary,
            progress: Duration::from_secs(view.integer("progress-seconds").unwrap_or_default()),
        }
    }

    pub(super) fn distinct(&mut self, texts: &[Spanned<String>]) {
        let mut seen = BTreeMap::new();
        for text in texts {
            if let Some(first) = seen.insert(text.value.as_str(), text.span) {
                let message = format!("{} is listed twice", quoted(&text.value));
                self.out.push(
                    Diagnostic::error("duplicate-value", text.span, message).related(first, "first here"),
                );
            }
        }
    }

    pub(super) fn suppressions(&mut self, manifest: View<'_>) -> Vec<Suppression> {
        let mut suppressions = Vec::new();
        for node in manifest.list("suppressions") {
            let view = View::item(node, &SUPPRESSION);
            if let Some(path) = view.spanned_text("path") {
                self.glob_text(&path.value, path.span, false);
            }
            suppressions.push(Suppression {
                rule: view.text("rule").unwrap_or_default(),
                path: view.text("path").unwrap_or_default(),
                message: view.text("message"),
                reason: view.text("reason").unwrap_or_default(),
                owner: view.text("owner"),
                expires: view.date("expires"),
                span: view.anchor,
            });
        }
        suppressions
    }
}

fn filter_mode(view: View<'_>) -> Spanned<FilterMode> {
    view.spanned_word("filter-mode", &FILTER_MODES)
        .unwrap_or(Spanned { value: FilterMode::Nofilter, span: view.anchor })
}

fn tests(view: View<'_>) -> TestLimits {
    TestLimits {
        min: view.integer("min").unwrap_or_default(),
        max_failed: view.integer("max-failed").unwrap_or_default(),
        max_skipped: view.integer("max-skipped"),
    }
}
