//! Takes out of untrusted output what a terminal would obey: cursor moves, titles, the clipboard, hidden direction
//! marks. Colours may stay.

/// Longest sequence that is still taken for a colour, in bytes.
const MAX_COLOUR: usize = 64;

const ESC: char = '\u{1b}';

/// `text` as a terminal may show it. Lines stay lines; a carriage return that would overwrite one begins a new one.
/// With `colors` they stay, and each line that has any ends with the terminal's own.
pub(super) fn safe(text: &str, colors: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut colored = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => end_line(&mut out, &mut colored),
            '\t' => out.push('\t'),
            ESC | '\u{9b}' => {
                let sequence = control_sequence(c, &mut chars);
                if let Some(parameters) = sequence.filter(|_| colors) {
                    out.extend([ESC, '[']);
                    out.push_str(&parameters);
                    out.push('m');
                    colored = true;
                }
            }
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() => {}
            c if is_invisible(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    if colored {
        out.push_str("\u{1b}[0m");
    }
    out
}

fn end_line(out: &mut String, colored: &mut bool) {
    if std::mem::take(colored) {
        out.push_str("\u{1b}[0m");
    }
    out.push('\n');
}

/// Whether `c` reorders what stands around it, or is something else that nobody sees.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Reads the rest of an escape sequence. Returns the parameters when it sets colours.
fn control_sequence(first: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if first == ESC {
        match chars.peek() {
            Some('[') => {
                chars.next();
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                chars.next();
                skip_string(chars);
                return None;
            }
            // Any other sequence: intermediate characters, then a final one.
            _ => {
                while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
                chars.next_if(|c| ('0'..='~').contains(c));
                return None;
            }
        }
    }
    let mut parameters = String::new();
    while let Some(c) = chars.next_if(|c| (' '..='?').contains(c)) {
        if parameters.len() <= MAX_COLOUR {
            parameters.push(c);
        }
    }
    let last = chars.next_if(|c| ('@'..='~').contains(c))?;
    let colour = last == 'm'
        && parameters.len() <= MAX_COLOUR
        && parameters.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':');
    colour.then_some(parameters)
}

/// Skips a string for the terminal, up to its end or the end of the line: one that never ends must not eat the output.
fn skip_string(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = chars.next_if(|&c| c != '\n') {
        if matches!(c, '\u{7}' | '\u{9c}') {
            return;
        }
        if c == ESC {
            chars.next_if(|&c| c == '\\');
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_goes_and_colours_stay_when_wanted() {
        for (text, kept, plain) in [
            ("\u{1b}[31mred\u{1b}[0m\nx", "\u{1b}[31mred\u{1b}[0m\u{1b}[0m\nx", "red\nx"),
            ("a\u{1b}[2J\u{1b}[1;1Hb", "ab", "ab"),
            ("\u{1b}]0;title\u{7}b", "b", "b"),
            ("\u{1b}]52;c;aGk=\u{1b}\\b", "b", "b"),
            ("\u{9d}0;t\u{9c}\u{9b}5Ab", "b", "b"),
            ("\u{1b}]0;never ends\nb", "\nb", "\nb"),
            ("secret\rpublic\r\n", "secret\npublic\n", "secret\npublic\n"),
            ("a\u{202e}b\0\u{8}c\td", "a\u{fffd}bc\td", "a\u{fffd}bc\td"),
            ("\u{1b}(0x\u{1b}cy\u{1b}", "xy", "xy"),
            ("\u{1b}[?25lx", "x", "x"),
        ] {
            assert_eq!(safe(text, true), kept, "{text:?}");
            assert_eq!(safe(text, false), plain, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_text_is_left(text in "(\\PC|[\u{0}-\u{9f}]|\u{1b}[\\[\\]PX(]|[0-9;m\u{7}\u{202e}]){0,40}") {
            let left = safe(&text, false);
            prop_assert!(left.chars().all(|c| matches!(c, '\n' | '\t') || (!c.is_control() && !is_invisible(c))));
        }
    }
}
