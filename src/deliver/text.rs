//! Somebody's words, made fit for a field of GitHub's API: without secrets, without what a screen would obey, and short
//! enough. Pure.

use crate::redact::{Registry, guard};

/// Says that a text goes on elsewhere.
const MARK: &str = "… (cut; the record has all of it)";

/// `text` without secrets and control characters. Lines and tabs stay.
pub(super) fn clean(text: &str, registry: &Registry) -> String {
    // Secrets first: what is taken out later must not have hidden one.
    guard::terminal_safe(&registry.text(text), false)
}

/// The same on one line.
pub(super) fn clean_line(text: &str, registry: &Registry) -> String {
    clean(text, registry).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cuts `text` between two characters to at most `most` bytes, the mark included.
pub(super) fn cut_bytes(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(MARK.len())));
        text.push_str(MARK);
    }
}

/// Cuts `text` to at most `most` characters. They are counted as UTF-16 does, which is never less than other countings.
pub(super) fn cut_characters(text: &mut String, most: usize) {
    let mut units = 0;
    let mut fits = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > most {
            text.truncate(fits);
            text.push('…');
            return;
        }
        if units < most {
            fits = at + c.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_say_so() {
        let mut text = "ä".repeat(100);
        cut_bytes(&mut text, 60);
        assert!(text.ends_with(MARK) && text.len() <= 60);
        for (text, cut) in [("abc", "abc"), ("abcd", "ab…"), ("😀😀", "😀…"), ("ab😀", "ab…")] {
            let mut shorter = text.to_owned();
            cut_characters(&mut shorter, 3);
            assert_eq!(shorter, cut, "{text}");
        }
    }

    #[test]
    fn control_characters_and_secrets_go() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        assert_eq!(clean("a\u{1b}[2J\0\u{202e}b\r\nhunter2-hunter2\tc", &registry), "a\u{fffd}b\n***\tc");
        assert_eq!(clean_line(" a \n\t b ", &registry), "a b");
    }
}
