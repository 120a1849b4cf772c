//! Steps.

use crate::id::StepId;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::expression::{Expr, ExprKind, Key, Part, Place, Template, parse};
use crate::manifest::fields::name::nearest_id;
use crate::manifest::fields::table::step::STEP;
use crate::manifest::fields::words::SHELLS;
use crate::manifest::model::{Body, Cache, FileFilter, Retry, RetryOn, Shell, Spanned, Step};
use crate::manifest::read::graph::Links;
use crate::manifest::read::reader::Reader;
use crate::manifest::read::view::View;
use crate::manifest::tree::{Locator, Node};

/// Expressions in one script that are complained about; the rest is seen once these are gone.
const SHOWN_EXPRESSIONS: usize = 20;

impl Reader<'_> {
    /// The step at `index`, and what ties it to others, by the words that are written.
    pub(super) fn step(&mut self, node: &Node, index: usize) -> (Step, Links) {
        let view = View::item(node, &STEP);
        let name = view.node("name").and_then(|node| self.template(node, Place::Name));
        let written = view.spanned_text("id").filter(|id| !id.value.is_empty());
        let id = written.unwrap_or_else(|| Spanned {
            value: name.as_ref().and_then(slug).unwrap_or_else(|| format!("step-{}", index + 1)),
            span: view.node("name").map_or(view.anchor, |node| node.span),
        });
        let links = Links { id: id.clone(), needs: view.node("needs").map(|_| view.texts("needs")) };
        let shell = view.spanned_word("shell", &SHELLS);
        let step = Step {
            id: Spanned { value: valid_id(&id.value, index), span: id.span },
            name,
            condition: view.node("if").and_then(|node| self.condition(node)),
            needs: view.node("needs").map(|_| view.step_ids("needs")),
            body: self.body(view, shell.as_ref().map(|shell| shell.value)),
            args: self.templates(view.list("args"), Place::Args),
            shell,
            env: self.env(view, Place::StepEnv),
            working_directory: self.path(view, "working-directory"),
            timeout: view.minutes("timeout-minutes"),
            slow_after: view.minutes("slow-after-minutes"),
            continue_on_error: view.flag("continue-on-error"),
            retry: view.node("retry").map(|_| retry(view.object("retry"))).unwrap_or_default(),
            strategy: view.node("strategy").map(|_| self.strategy(view.object("strategy"))),
            files: self.files(view),
            findings: view.list("findings").iter().filter_map(|node| self.finding_source(node)).collect(),
            cache: self.cache(view),
            sandbox: self.sandbox(view.object("sandbox")),
            span: view.anchor,
        };
        (step, links)
    }

    fn body(&mut self, view: View<'_>, shell: Option<Shell>) -> Body {
        if let Some(path) = self.path(view, "script") {
            if path.value.as_str() == "." {
                self.complain("invalid-path", path.span, "`script` must name a file".to_owned(), None);
            }
            return Body::Script(path);
        }
        let text = view.spanned_text("run").unwrap_or(Spanned { value: String::new(), span: view.anchor });
        if let Some(node) = view.node("run") {
            self.expressions_in_run(node, &text.value, shell.unwrap_or(Shell::Bash));
        }
        Body::Run(text)
    }

    /// Complains about expressions in a script's text, each with the line to write instead.
    fn expressions_in_run(&mut self, node: &Node, text: &str, shell: Shell) {
        let locator = Locator::new(node, self.source);
        let mut start = 0;
        for _ in 0..SHOWN_EXPRESSIONS {
            let Some(found) = text.get(start..).and_then(parse::contains_expression) else { return };
            let range = start + found.start..start + found.end;
            let source = &text[range.clone()];
            let span = locator.span(range.clone());
            let name = variable_for(source, node);
            let message = "an expression in `run` would become part of the script, whoever wrote its value";
            let shown: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown = if shown.len() > 200 { "${{ … }}".to_owned() } else { shown };
            let help = format!(
                "write `env: {{{name}: '{}'}}` and {} in the script",
                shown.replace('\'', "''"),
                variable_in(shell, &name)
            );
            self.out.push(Diagnostic::error("expression-in-run", span, message).help(help));
            start = range.end.max(start + 1);
        }
    }

    fn files(&mut self, view: View<'_>) -> Option<FileFilter> {
        let span = view.node("files")?.span;
        let globs = self.templates(view.list("files"), Place::Files);
        for glob in &globs {
            self.glob(glob, true);
        }
        Some(FileFilter { globs, changed_only: view.flag("changed-only"), span })
    }

    fn cache(&mut self, view: View<'_>) -> Option<Spanned<Cache>> {
        let span = view.key_span("cache")?;
        let view = view.object("cache");
        let inputs = view.texts("inputs");
        for glob in &inputs {
            self.glob_text(&glob.value, glob.span, true);
        }
        let inputs = inputs.into_iter().map(|glob| glob.value).collect();
        let env = view.variables("env").into_iter().map(|name| name.value).collect();
        Some(Spanned { value: Cache { inputs, env }, span })
    }
}

fn retry(view: View<'_>) -> Retry {
    let on = |node: &Node| {
        let text = node.scalar()?.text.as_str();
        if text == "timeout" { Some(RetryOn::Timeout) } else { text.parse().ok().map(RetryOn::Exit) }
    };
    let default = Retry::default();
    Retry {
        attempts: view.integer("attempts").unwrap_or(default.attempts),
        on: view.list("on").iter().filter_map(on).collect(),
        backoff: view
            .number("backoff-seconds")
            .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(default.backoff),
    }
}

/// An id made of the literal part of a name.
fn slug(name: &Template) -> Option<String> {
    let literal: String = name
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Expr(_) => " ",
        })
        .collect();
    nearest_id(&literal)
}

/// The id as a value. One that is not valid has been complained about; another stands for it, and is never used.
fn valid_id(id: &str, index: usize) -> StepId {
    id.parse().unwrap_or_else(|_| StepId::numbered(index + 1))
}

/// The variable that a person would choose for an expression: the last name in it.
fn variable_for(source: &str, node: &Node) -> String {
    let span = node.span;
    let last = parse::template(source, Place::StepEnv, &|_| span)
        .ok()
        .and_then(|template| template.exprs().next().and_then(last_name));
    let name: String = last
        .unwrap_or_else(|| "value".to_owned())
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("VALUE_{name}") } else { name }
}

fn last_name(expr: &Expr) -> Option<String> {
    let mut name = None;
    expr.walk(&mut |part| {
        if name.is_none() {
            name = match &part.kind {
                ExprKind::Access(_, Key::Name(key)) => Some(key.clone()),
                ExprKind::Access(_, Key::Index(index)) => match &index.kind {
                    ExprKind::Text(key) => Some(key.clone()),
                    _ => None,
                },
                _ => None,
            };
        }
    });
    name
}

/// How a script of that shell reads a variable.
fn variable_in(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Bash | Shell::Sh => format!("`\"${name}\"`"),
        Shell::Pwsh | Shell::Powershell => format!("`$env:{name}`"),
        Shell::Python => format!("`os.environ[\"{name}\"]`"),
        Shell::Cmd => format!("`%{name}%`"),
    }
}
