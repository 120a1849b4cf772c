//! What an expression has reached: one value, or each value that a `.*` went through.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plan::evaluate::{compare, truthy};

/// What an expression has reached. Values are borrowed where they can be: a webhook's event may be large.
#[derive(Clone, Debug)]
pub(super) enum Reached<'a> {
    /// A value.
    One(Cow<'a, Value>),
    /// The values behind a `.*`. A further key is applied to each of them; otherwise they are a list.
    Each(Vec<Cow<'a, Value>>),
}

impl<'a> Reached<'a> {
    pub(super) fn text_or_null(text: Option<&String>) -> Self {
        Self::One(Cow::Owned(text.map_or(Value::Null, |text| Value::String(text.clone()))))
    }

    pub(super) fn into_cow(self) -> Cow<'a, Value> {
        match self {
            Self::One(value) => value,
            Self::Each(values) => Cow::Owned(Value::Array(values.into_iter().map(Cow::into_owned).collect())),
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.into_cow().into_owned()
    }

    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::One(value) => truthy(value),
            Self::Each(_) => true,
        }
    }

    /// The value as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::One(value) => compare::text(value),
            Self::Each(_) => Cow::Borrowed("Array"),
        }
    }

    /// What is behind one more key: `.*` where `index` is `None`. Whatever is not there is `null`.
    pub(super) fn key(self, index: Option<&Value>) -> Self {
        match (self, index) {
            (Self::One(value), Some(index)) => {
                Self::One(child(value, index).unwrap_or(Cow::Owned(Value::Null)))
            }
            (Self::One(value), None) => Self::Each(children(value)),
            (Self::Each(values), Some(index)) => {
                Self::Each(values.into_iter().filter_map(|value| child(value, index)).collect())
            }
            (Self::Each(values), None) => Self::Each(values.into_iter().flat_map(children).collect()),
        }
    }
}

fn children(value: Cow<'_, Value>) -> Vec<Cow<'_, Value>> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.into_iter().map(|(_, value)| Cow::Owned(value)).collect(),
        _ => Vec::new(),
    }
}

fn child<'a>(value: Cow<'a, Value>, index: &Value) -> Option<Cow<'a, Value>> {
    if index.is_array() || index.is_object() {
        return None;
    }
    match value {
        Cow::Borrowed(Value::Array(items)) => items.get(position(index)?).map(Cow::Borrowed),
        Cow::Borrowed(Value::Object(map)) => {
            map.get(&*property(map, &compare::text(index))?).map(Cow::Borrowed)
        }
        Cow::Owned(Value::Array(mut items)) => {
            let position = position(index).filter(|position| *position < items.len())?;
            Some(Cow::Owned(items.swap_remove(position)))
        }
        Cow::Owned(Value::Object(mut map)) => {
            let name = property(&map, &compare::text(index))?;
            map.swap_remove(&name).map(Cow::Owned)
        }
        _ => None,
    }
}

/// The property of that name: the one written exactly so, else the first that differs in case alone.
fn property(map: &Map<String, Value>, name: &str) -> Option<String> {
    if map.contains_key(name) {
        return Some(name.to_owned());
    }
    map.keys().find(|key| compare::same_text(key, name)).cloned()
}

/// The value of that name in a map that is not one of JSON.
pub(super) fn value_of<'a>(map: &'a BTreeMap<String, Value>, name: &str) -> Reached<'a> {
    let other = || map.iter().find(|(key, _)| compare::same_text(key, name)).map(|(_, value)| value);
    match map.get(name).or_else(other) {
        Some(value) => Reached::One(Cow::Borrowed(value)),
        None => Reached::One(Cow::Owned(Value::Null)),
    }
}

fn position(index: &Value) -> Option<usize> {
    let number = compare::number(index).floor();
    let in_range = (0.0..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    in_range.then_some(number as usize)
}
