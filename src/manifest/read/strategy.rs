//! Matrices.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::expression::Place;
use crate::manifest::model::{MatrixValue, MatrixValues, Spanned, Strategy};
use crate::manifest::read::complaints::quoted;
use crate::manifest::read::reader::Reader;
use crate::manifest::read::shape::authored;
use crate::manifest::read::view::{View, entries};
use crate::manifest::tree::{Node, NodeKind, Style};

/// Most combinations, as in Actions.
const LEGS: usize = 256;

/// Most combinations before `exclude` takes some away.
const COMBINATIONS: usize = 1 << 16;

type Leg = Vec<(String, MatrixValue)>;

impl Reader<'_> {
    pub(super) fn strategy(&mut self, view: View<'_>) -> Strategy {
        let matrix = view.object("matrix");
        let mut dimensions = Vec::new();
        for entry in matrix.open_entries() {
            let name = Spanned { value: entry.key.text.clone(), span: entry.key_span };
            dimensions.extend(self.dimension(&entry.value).map(|values| (name, values)));
        }
        self.equal_dimensions(&dimensions);
        let include: Vec<Leg> = matrix.list("include").iter().map(|node| self.leg(node)).collect();
        let exclude: Vec<Leg> = matrix.list("exclude").iter().map(|node| self.leg(node)).collect();
        let known: BTreeSet<&str> = matrix.open_entries().map(|entry| entry.key.text.as_str()).collect();
        self.excluded_dimensions(matrix.list("exclude"), &known);
        let span = matrix.anchor;
        if known.is_empty() && include.is_empty() && view.node("matrix").is_some_and(is_map) {
            let help = "write a dimension, such as `version: ['3.12', '3.13']`".to_owned();
            self.complain("empty", span, "this matrix has no values".to_owned(), Some(help));
        }
        let combinations = combinations(&dimensions);
        let most = if exclude.is_empty() { LEGS } else { COMBINATIONS };
        if combinations.is_some_and(|count| count > most) {
            let message = format!("this matrix has more than {most} combinations");
            self.complain("too-many", span, message, None);
        }
        Strategy {
            matrix: dimensions,
            include,
            exclude,
            fail_fast: view.flag("fail-fast"),
            max_parallel: view.integer("max-parallel"),
            span,
        }
    }

    fn dimension(&mut self, node: &Node) -> Option<MatrixValues> {
        let NodeKind::Sequence(items) = &node.kind else {
            let template = self.template(node, Place::Matrix)?;
            if template.exprs().count() != 1 || template.parts.len() != 1 {
                // An expression with a mistake in it has its complaint.
                if !template.text.contains("${{") {
                    let message =
                        "a dimension must be a list, or one expression that gives a list".to_owned();
                    let help = format!("write `[{}]`", template.text);
                    self.complain(
                        "wrong-type",
                        node.span,
                        message,
                        (template.text.len() < 60).then_some(help),
                    );
                } else if template.exprs().count() > 0 {
                    let message = "a dimension must be one expression, without text around it".to_owned();
                    self.complain("wrong-type", node.span, message, None);
                }
            }
            return Some(MatrixValues::Expr(template));
        };
        let mut seen: BTreeMap<&str, &Node> = BTreeMap::new();
        for item in items {
            let Some(scalar) = item.scalar() else { continue };
            if let Some(first) = seen.insert(&scalar.text, item) {
                let message = format!("the value {} is listed twice", quoted(&scalar.text));
                let diagnostic = Diagnostic::error("duplicate-value", item.span, message);
                self.out.push(diagnostic.related(first.span, "first here"));
            }
        }
        Some(MatrixValues::List(items.iter().filter_map(|item| self.matrix_value(item)).collect()))
    }

    fn matrix_value(&mut self, node: &Node) -> Option<MatrixValue> {
        let scalar = node.scalar()?;
        match scalar.text.as_str() {
            "true" if scalar.style == Style::Plain => Some(MatrixValue::Bool(true)),
            "false" if scalar.style == Style::Plain => Some(MatrixValue::Bool(false)),
            text if Self::is_plain_number(node) => Some(MatrixValue::Number(text.to_owned())),
            _ => self.template(node, Place::Matrix).map(MatrixValue::Text),
        }
    }

    fn leg(&mut self, node: &Node) -> Leg {
        authored(entries(node))
            .filter_map(|entry| Some((entry.key.text.clone(), self.matrix_value(&entry.value)?)))
            .collect()
    }

    /// `matrix.Table` and `matrix.table` read the same, so there cannot be both.
    fn equal_dimensions(&mut self, dimensions: &[(Spanned<String>, MatrixValues)]) {
        let mut seen = BTreeMap::new();
        for (name, _) in dimensions {
            if let Some(first) = seen.insert(name.value.to_ascii_lowercase(), name.span) {
                let message = format!("{} is a dimension already: case does not count", quoted(&name.value));
                let diagnostic = Diagnostic::error("duplicate-value", name.span, message);
                self.out.push(diagnostic.related(first, "first here"));
            }
        }
    }

    fn excluded_dimensions(&mut self, excludes: &[Node], known: &BTreeSet<&str>) {
        for node in excludes {
            for entry in authored(entries(node)) {
                let key = entry.key.text.as_str();
                if !known.contains(key) {
                    let near =
                        self.out.nearest(key, known.iter().copied()).map(|near| format!("write `{near}`"));
                    let message = format!("{} is not a dimension of this matrix", quoted(key));
                    self.complain("unknown-dimension", entry.key_span, message, near);
                }
            }
        }
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Mapping(_))
}

/// How many combinations the dimensions have, where that is known before expressions have values.
fn combinations(dimensions: &[(Spanned<String>, MatrixValues)]) -> Option<usize> {
    dimensions.iter().try_fold(1_usize, |product, (_, values)| match values {
        MatrixValues::List(values) => Some(product.saturating_mul(values.len().max(1))),
        MatrixValues::Expr(_) => None,
    })
}
