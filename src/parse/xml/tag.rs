//! What is inside a tag and between tags: names, attributes, and text with its references resolved.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
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
        let name_length =
            content.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(content.len());
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
        let mut at = self.name_length;
        while let Some((name, value, end)) = self.plain_attribute(at) {
            each(local(name), value);
            at = end;
        }
        if self.content.as_bytes()[at..].trim_ascii().is_empty() {
            return true;
        }
        self.odd_attributes(at, each)
    }

    /// Name, value with references resolved, and end of the attribute behind `at`, when it is written as nearly all are: white space, `name="value"`.
    fn plain_attribute(&self, at: usize) -> Option<(&'w str, Cow<'w, str>, usize)> {
        let bytes = self.content.as_bytes();
        let blanks = bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        let start = at + blanks;
        let odd = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.'));
        let equals = start + bytes[start..].iter().position(odd)?;
        let [b'=', quote @ (b'"' | b'\''), ..] = bytes[equals..] else { return None };
        let value = equals + 2;
        if blanks == 0 || equals == start {
            return None;
        }
        let found = value + memchr2(quote, b'&', &bytes[value..])?;
        let has_reference = bytes[found] == b'&';
        let end = if has_reference { found + memchr(quote, &bytes[found..])? } else { found };
        let text = self.content.get(value..end)?;
        let text = if has_reference { resolved(text) } else { Cow::Borrowed(text) };
        Some((self.content.get(start..equals)?, text, end + 1))
    }

    /// Hands over the attributes behind `at`, whatever is wrong with them.
    fn odd_attributes(&self, at: usize, mut each: impl FnMut(&'w str, Cow<'w, str>)) -> bool {
        let mut whole = true;
        let mut attributes = Attributes::new(self.content, at);
        attributes.with_checks(false);
        for attribute in attributes {
            let Ok(attribute) = attribute else {
                whole = false;
                continue;
            };
            let Cow::Borrowed(value) = attribute.value else { continue };
            if let (Some(name), Some(value)) = (self.part(attribute.key.0), self.part(value)) {
                each(local(name), resolved(value));
            }
        }
        whole
    }

    /// The text that `bytes`, which are a part of the tag's, are. Looking where they are costs less than proving again
    /// that they are UTF-8.
    fn part(&self, bytes: &'w [u8]) -> Option<&'w str> {
        let start = (bytes.as_ptr() as usize).checked_sub(self.content.as_ptr() as usize)?;
        self.content.get(start..start + bytes.len())
    }
}

fn local(name: &str) -> &str {
    // Names are so short that a search by words of memory costs more than it saves.
    name.bytes().rposition(|byte| byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// A piece of text.
#[derive(Clone, Copy, Debug)]
pub(in crate::parse) enum Text<'w> {
    /// UTF-8 with references.
    Escaped(&'w [u8]),
    /// UTF-8 as it stands, from a CDATA section.
    Literal(&'w [u8]),
}

impl Text<'_> {
    /// Appends the text to `to`, until that has `most` bytes or a few more.
    pub(in crate::parse) fn append(&self, to: &mut String, most: usize) {
        let room = most.saturating_sub(to.len());
        if room == 0 {
            return;
        }
        let (Self::Escaped(bytes) | Self::Literal(bytes)) = self;
        // Most text is passed over, so only what is kept is looked at.
        let text = String::from_utf8_lossy(bytes);
        let text = &text[..text.floor_char_boundary(room)];
        match self {
            Self::Escaped(_) => resolve(text, to),
            Self::Literal(_) => to.push_str(text),
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
        if let Some((c, end)) = end.and_then(|end| Some((character(&after[..end])?, end))) {
            to.push(c);
            rest = &after[end + 1..];
        } else {
            to.push('&');
            rest = after;
        }
    }
    to.push_str(rest);
}

/// Longest reference that is known, in bytes: `#x10ffff`, with room for zeros before it.
pub(super) const MAX_REFERENCE: usize = 14;

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
