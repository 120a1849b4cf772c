//! The one table of the manifest's fields.
//!
//! Every key that a manifest may hold stands in [`table`] once, with its type, its default and a sentence about it. The
//! validator looks shapes up there and the JSON Schema is made from it, so that the two cannot disagree. What fields
//! mean together is not here; `read` knows it.

pub mod name;
pub mod table;
pub mod words;

use std::time::Duration;

use crate::manifest::expression::Place;
use crate::manifest::fields::name::Name;

/// Keys that begin so are the author's own and are ignored wherever a map stands.
pub const OWN_PREFIX: &str = "x-";

/// A map with known keys.
#[derive(Debug)]
pub struct Object {
    /// Its name in the schema and in messages, such as `step`.
    pub name: &'static str,
    /// What stands before its name where that is a word for a thing; absent where it is only a key.
    pub article: Option<&'static str>,
    /// One sentence.
    pub doc: &'static str,
    /// Its keys, in the order in which people read them.
    pub fields: &'static [Field],
    /// What further keys mean; absent: there are none.
    pub open: Option<(Name, &'static Kind)>,
    /// What holds between its keys.
    pub rules: &'static [Rule],
}

impl Object {
    /// The field of that key.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// Any such map, for messages.
    #[must_use]
    pub fn any(&self) -> String {
        self.article.map_or_else(|| format!("`{}`", self.name), |article| format!("{article} {}", self.name))
    }

    /// This very map, for messages.
    #[must_use]
    pub fn this(&self) -> String {
        self.article.map_or_else(|| format!("`{}`", self.name), |_| format!("this {}", self.name))
    }
}

/// One key of an object.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be absent, and what that means.
    pub absence: Absence,
    /// One sentence.
    pub doc: &'static str,
}

/// What it means that a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Absence {
    /// It must be written.
    Refused,
    /// The same as this scalar.
    Value(&'static str),
    /// What these words say.
    Said(&'static str),
    /// Nothing.
    Nothing,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The format's version.
    Version,
    /// A text that says something.
    Text,
    /// A text that may be empty.
    AnyText,
    /// A text that is taken byte for byte and may hold no expression.
    Script,
    /// A text that may hold expressions.
    Template(Place),
    /// An expression, with or without `${{ }}`.
    Condition,
    /// `true` or `false`
    Bool,
    /// A whole number.
    Integer {
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// A number that may have a fraction.
    Number {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// Any decimal number.
    AnyNumber,
    /// A number of bytes, as in `512MiB`.
    Size {
        /// Least, in bytes.
        min: u64,
        /// Greatest, in bytes.
        max: u64,
    },
    /// A time, as in `500ms`.
    Duration {
        /// Least.
        min: Duration,
        /// Greatest.
        max: Duration,
    },
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A name that has rules.
    Name(Name),
    /// A path inside the repository.
    Path,
    /// A path inside the repository or an absolute one.
    AnyPath,
    /// A glob of paths inside the repository.
    Glob,
    /// A regular expression.
    Regex,
    /// A date, `YYYY-MM-DD`.
    Date,
    /// A layer of the sandbox, perhaps with a least version.
    Requirement,
    /// A value of a matrix: text, number or boolean.
    MatrixValue,
    /// A list.
    List {
        /// Of what.
        of: &'static Self,
        /// Fewest items.
        min: usize,
        /// Most items.
        max: usize,
    },
    /// A map whose keys the author chooses.
    Map {
        /// The keys.
        key: Name,
        /// The values.
        of: &'static Self,
        /// Fewest entries.
        min: usize,
        /// Most entries.
        max: usize,
    },
    /// A map with known keys.
    Object(&'static Object),
    /// One of several.
    Either(&'static [Self]),
}

/// What holds between the keys of one object.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Exactly one of these keys is written.
    ExactlyOne(&'static [&'static str]),
    /// A key says nothing without another.
    Beside {
        /// The key.
        key: &'static str,
        /// The other.
        with: &'static str,
    },
    /// A word of one key asks for another key.
    Asks {
        /// The key that holds the word.
        key: &'static str,
        /// The words that ask.
        words: &'static [&'static str],
        /// What must be written.
        requires: &'static str,
    },
    /// A key is only for certain words of another.
    Only {
        /// The key.
        key: &'static str,
        /// The key that holds the word.
        with: &'static str,
        /// The words that it is for.
        words: &'static [&'static str],
    },
}

impl Kind {
    /// What is expected, as a phrase with an article.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Version => format!("{}, the version of this format", table::VERSION),
            Self::Text => "a text that is not empty".to_owned(),
            Self::AnyText => "a text".to_owned(),
            Self::Script => "the text of a script".to_owned(),
            Self::Template(_) => "a text, which may hold `${{ … }}`".to_owned(),
            Self::Condition => "an expression".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::AnyNumber => "a number".to_owned(),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Size { min, max } => {
                format!("a size from {} to {}, such as `512MiB`", bytes(*min), bytes(*max))
            }
            Self::Duration { min, max } => {
                format!("a time from {} to {}, such as `3s`", time(*min), time(*max))
            }
            Self::Word(words) => words::one_of(words),
            Self::Name(name) => name.expected().to_owned(),
            Self::Path => "a relative path inside the repository, with `/` and without `..`".to_owned(),
            Self::AnyPath => "an absolute path, or one inside the repository without `..`".to_owned(),
            Self::Glob => "a glob of paths inside the repository, such as `src/**/*.py`".to_owned(),
            Self::Regex => "a regular expression".to_owned(),
            Self::Date => "a date, such as `2027-06-30`".to_owned(),
            Self::Requirement => "a layer of the sandbox, such as `landlock` or `landlock>=6`".to_owned(),
            Self::MatrixValue => "a text, a number, `true` or `false`".to_owned(),
            Self::List { .. } => "a list".to_owned(),
            Self::Map { .. } | Self::Object(_) => "a map".to_owned(),
            Self::Either(kinds) => kinds.iter().map(Self::expected).collect::<Vec<_>>().join(", or "),
        }
    }

    /// Whether a scalar can be of this kind at all.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        match self {
            Self::List { .. } | Self::Map { .. } | Self::Object(_) => false,
            Self::Either(kinds) => kinds.iter().any(Self::is_scalar),
            _ => true,
        }
    }
}

/// A number of bytes as a person writes it.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    UNITS
        .iter()
        .find(|(_, shift)| size >= 1 << shift && size.trailing_zeros() >= *shift)
        .map_or_else(|| format!("{size} bytes"), |(unit, shift)| format!("{}{unit}", size >> shift))
        .replace("1 bytes", "1 byte")
}

/// A time as a manifest writes it, in the greatest unit that makes it whole.
fn time(time: Duration) -> String {
    const UNITS: [(u128, &str); 3] = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let milliseconds = time.as_millis();
    UNITS.iter().find(|(unit, _)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit)).map_or_else(
        || format!("{milliseconds}ms"),
        |(unit, suffix)| format!("{}{suffix}", milliseconds / unit),
    )
}

/// A field that may be absent.
pub(crate) const fn field(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { key, kind, absence: Absence::Nothing, doc }
}

impl Field {
    /// It must be written.
    pub(crate) const fn required(mut self) -> Self {
        self.absence = Absence::Refused;
        self
    }

    /// `default` is the scalar that stands for an absent field; the reader takes its value from here.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.absence = Absence::Value(default);
        self
    }

    /// `said` are the words for what its absence means.
    pub(crate) const fn otherwise(mut self, said: &'static str) -> Self {
        self.absence = Absence::Said(said);
        self
    }
}
