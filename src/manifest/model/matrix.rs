//! Matrices of a step.

use crate::manifest::diagnostic::Span;
use crate::manifest::expression::Template;
use crate::manifest::model::Spanned;

/// `strategy`.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// The dimensions, in the file's order.
    pub matrix: Vec<(Spanned<String>, MatrixValues)>,
    /// Legs to add or extend.
    pub include: Vec<Vec<(String, MatrixValue)>>,
    /// Combinations to leave out.
    pub exclude: Vec<Vec<(String, MatrixValue)>>,
    /// Whether a failing leg cancels its siblings; true unless written.
    pub fail_fast: bool,
    /// Legs at once; absent: one a CPU.
    pub max_parallel: Option<u32>,
    /// Its place.
    pub span: Span,
}

/// The values of a matrix dimension.
#[derive(Clone, Debug)]
pub enum MatrixValues {
    /// Written out.
    List(Vec<MatrixValue>),
    /// One expression that gives a list, as in `${{ fromJSON(inputs.tables) }}`.
    Expr(Template),
}

/// One value of a matrix.
#[derive(Clone, Debug)]
pub enum MatrixValue {
    /// Text that may hold expressions.
    Text(Template),
    /// A number, as written.
    Number(String),
    /// A boolean.
    Bool(bool),
}
