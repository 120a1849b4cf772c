//! The forms in which one secret value turns up in output: every tool encodes what it prints in its own way.
//!
//! Pure: a value in, byte strings out. It must not know how they are searched for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// Shortest form that is searched for, in bytes. A shorter one would blacken ordinary words.
pub(super) const MIN_LENGTH: usize = 6;

/// All forms of `value` that are long enough to be searched for.
pub(super) fn of(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    let trimmed = value.trim();
    for text in [value, trimmed, unquoted(trimmed)] {
        add_encodings(text, &mut forms);
    }
    // A tool often prints a key line by line, indented or with a prefix of its own.
    if trimmed.contains(['\n', '\r']) {
        for line in trimmed.split(['\n', '\r']) {
            add_encodings(line.trim(), &mut forms);
        }
    }
    forms.retain(|form| form.len() >= MIN_LENGTH);
    forms
}

/// `text` without one pair of quotes around it.
fn unquoted(text: &str) -> &str {
    ['"', '\''].iter().find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

fn add_encodings(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if text.len() < MIN_LENGTH {
        return;
    }
    let json = json(text);
    let texts = [
        text.to_owned(),
        text.replace("\r\n", "\n"),
        text.replace('\n', "\r\n"),
        text.replace("\r\n", " ").replace('\n', " "),
        json.replace('/', "\\/"),
        json_ascii(text),
        self::json(&json),
        json,
        xml(text, "&apos;", "&quot;"),
        xml(text, "&#39;", "&#34;"),
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        text.replace('\'', "'\\''"),
        text.replace('\'', "'\"'\"'"),
        text.replace('\'', "''"),
        backslashed(text, |c| !c.is_ascii_alphanumeric() && c.is_ascii() && !"@%_-+=:,./\n".contains(c)),
        backslashed(text, |c| "\"$`\\".contains(c)),
        text.escape_default().to_string(),
        text.escape_debug().to_string(),
        percent(text, "-_.~", false, true),
        percent(text, "-_.~", false, false),
        percent(text, "-_.!~*'()", false, true),
        percent(text, "-_.~", true, true),
        hexadecimal(text.as_bytes(), false),
        hexadecimal(text.as_bytes(), true),
    ];
    forms.extend(texts.into_iter().map(String::into_bytes));
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes(), &wide] {
        add_base64(bytes, &STANDARD, forms);
        add_base64(bytes, &URL_SAFE, forms);
    }
    forms.insert(wide);
}

/// `bytes` as they look inside a longer base64 text, at each of the three places where they can begin in a group.
/// The characters at both ends that depend on neighbours are left off. What stands at the end of the text, where
/// nothing follows, is a form of its own, so that not even its last bits remain.
fn add_base64(bytes: &[u8], alphabet: &Alphabet, forms: &mut BTreeSet<Vec<u8>>) {
    let engine = GeneralPurpose::new(alphabet, NO_PAD);
    for shift in 0..3_usize {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(bytes);
        let text = engine.encode(&shifted).into_bytes();
        let from = (shift * 8).div_ceil(6);
        let whole = shifted.len() * 8 / 6;
        forms.insert(text[from..whole].to_vec());
        forms.insert(text[from..].to_vec());
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As JSON of a writer that keeps to ASCII, such as Python's.
fn json_ascii(text: &str) -> String {
    let mut out = String::new();
    for c in json(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn xml(text: &str, apostrophe: &str, quote: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('\'', apostrophe).replace('"', quote)
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn percent(text: &str, kept: &str, plus: bool, upper: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            out.push(c);
        } else if plus && c == ' ' {
            out.push('+');
        } else {
            let _ = if upper { write!(out, "%{byte:02X}") } else { write!(out, "%{byte:02x}") };
        }
    }
    out
}

fn hexadecimal(bytes: &[u8], upper: bool) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD as BASE64;

    fn has(value: &str, form: &str) -> bool {
        of(value).contains(form.as_bytes())
    }

    #[test]
    fn every_encoding_of_a_value_is_known() {
        let value = "p@ss \"wörd\" <&>/'x'\n";
        for form in [
            value,
            value.trim(),
            r#"p@ss \"wörd\" <&>/'x'\n"#,
            r#"p@ss \"w\u00f6rd\" <&>/'x'\n"#,
            r#"p@ss \"wörd\" <&>\/'x'\n"#,
            "p@ss &quot;wörd&quot; &lt;&amp;&gt;/&apos;x&apos;",
            "p@ss \"wörd\" &lt;&amp;&gt;/'x'",
            "p@ss \"wörd\" <&>/'\\''x'\\''",
            "p%40ss%20%22w%C3%B6rd%22%20%3C%26%3E%2F%27x%27",
            "p%40ss%20%22w%c3%b6rd%22%20%3c%26%3e%2f%27x%27",
            "p%40ss+%22w%C3%B6rd%22+%3C%26%3E%2F%27x%27",
        ] {
            assert!(has(value, form), "{form}");
        }
        assert!(has("abcdef", "616263646566"));
        assert!(has("jklmno", "6A6B6C6D6E6F"));
        assert!(has("'quoted secret'", "quoted secret"));
    }

    #[test]
    fn base64_of_any_text_around_a_value_holds_a_form_of_it() {
        let forms = of("s3cret+value?~");
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "y", "yz"] {
                let text = BASE64.encode(format!("{before}s3cret+value?~{after}"));
                let held = forms.iter().any(|form| memchr::memmem::find(text.as_bytes(), form).is_some());
                assert!(held, "{text}");
                let wide: Vec<u8> = format!("{before}s3cret+value?~{after}")
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect();
                let text = BASE64.encode(wide);
                assert!(
                    forms.iter().any(|form| memchr::memmem::find(text.as_bytes(), form).is_some()),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_a_secret_and_short_lines_are_not() {
        let forms = of("first-line-of-key\n  second-line-of-key\nabc\n");
        assert!(forms.contains(b"second-line-of-key".as_slice()));
        assert!(!forms.contains(b"abc".as_slice()));
        assert!(forms.iter().all(|form| form.len() >= MIN_LENGTH));
    }
}
