//! What is inside a tag and between tags: names, attributes, and text with its references resolved.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::events::attributes::Attributes;

/// The beginning of an element.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) struct Tag<'w> {
    /// Everything between the angle brackets.
    content: &'w str,
    name_length: usize,
}

impl<'w> Tag<'w> {
    pub(super) fn new(content: &'w str) -> Self {
        let name_length = content.find(|c: char| c.is_ascii_whitespace()).unwrap_or(content.len());
        Self { content, name_length }
    }

    /// The element's name, without the prefix of its namespace.
    pub(in crate::parse) fn name(&self) -> &'w str {
        local(&self.content[..self.name_length])
    }

    /// Hands each attribute to `each`, by its name without prefix, and its value with references resolved. False when
    /// there are some that cannot be read.
    #[must_use]
    pub(in crate::parse) fn attributes(&self, mut each: impl FnMut(&'w str, Cow<'w, str>)) -> bool {
        let mut whole = true;
        let mut attributes = Attributes::new(self.content, self.name_length);
        attributes.with_checks(false);
        for attribute in attributes {
            let Ok(attribute) = attribute else {
                whole = false;
                continue;
            };
            let Cow::Borrowed(value) = attribute.value else { continue };
            if let (Ok(name), Ok(value)) = (str::from_utf8(attribute.key.0), str::from_utf8(value)) {
                each(local(name), resolved(value));
            }
        }
        whole
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// A piece of text.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) enum Text<'w> {
    /// With references.
    Escaped(&'w str),
    /// As it stands, from a CDATA section.
    Literal(&'w str),
}

impl Text<'_> {
    /// Appends the text to `to`, until that has `most` bytes or a few more.
    pub(in crate::parse) fn append(&self, to: &mut String, most: usize) {
        let room = most.saturating_sub(to.len());
        if room == 0 {
            return;
        }
        let start = |text: &'_ str| text.floor_char_boundary(text.len().min(room));
        match self {
            Self::Escaped(raw) => resolve(&raw[..start(raw)], to),
            Self::Literal(text) => to.push_str(&text[..start(text)]),
        }
    }
}

fn resolved(raw: &str) -> Cow<'_, str> {
    if memchr(b'&', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    resolve(raw, &mut text);
    Cow::Owned(text)
}

/// Appends `raw` to `to` with its references resolved. One that means nothing stays as it is written.
fn resolve(raw: &str, to: &mut String) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        to.push_str(before);
        let end = after.bytes().take(MAX_REFERENCE).position(|byte| byte == b';');
        match end.and_then(|end| Some((character(&after[..end])?, end))) {
            Some((c, end)) => {
                to.push(c);
                rest = &after[end + 1..];
            }
            None => {
                to.push('&');
                rest = after;
            }
        }
    }
    to.push_str(rest);
}

/// Longest reference that is known, in bytes: `#x10ffff`, with room for zeros before it.
const MAX_REFERENCE: usize = 14;

/// The character that a reference means. A number that is no character is U+FFFD; control characters, which XML forbids
/// and tools write all the same, are themselves.
fn character(reference: &str) -> Option<char> {
    let code = match reference {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => reference.strip_prefix('#')?,
    };
    let (digits, radix) = code.strip_prefix(['x', 'X']).map_or((code, 10), |hex| (hex, 16));
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Some(char::from_u32(number).filter(|c| *c != '\0').unwrap_or(char::REPLACEMENT_CHARACTER))
}
