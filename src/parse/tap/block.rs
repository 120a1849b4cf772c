//! What stands below a failed test point: a block of YAML, or comments.
//!
//! Producers disagree about the keys, and some write no YAML at all, so lines are looked at one by one and nothing is
//! refused.

/// The parts of a block that have a place in a finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Block {
    pub(super) message: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// Looks through the text of a block.
pub(super) fn read(text: &str) -> Block {
    let mut block = Block::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let indent = indent(key);
        let mut value = scalar(value);
        if matches!(value.as_str(), "|" | "|-" | "|+" | ">" | ">-" | ">+") {
            value.clear();
            while let Some(line) = lines.next_if(|line| line.trim().is_empty() || self::indent(line) > indent)
            {
                value.push_str(line.trim());
                value.push('\n');
            }
        }
        if value.trim().is_empty() {
            continue;
        }
        let key: String =
            key.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
        match key.as_str() {
            "message" | "error" if block.message.is_none() => block.message = Some(value),
            "file" | "filename" if block.file.is_none() => block.file = Some(value),
            "line" | "linenumber" if block.line.is_none() => block.line = value.trim().parse().ok(),
            "column" | "columnnumber" | "col" if block.column.is_none() => {
                block.column = value.trim().parse().ok();
            }
            _ => {}
        }
    }
    block
}

fn indent(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// A value on one line, without its quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner.replace("\\n", "\n").replace("\\\"", "\"").replace("''", "'");
        }
    }
    text.to_owned()
}
