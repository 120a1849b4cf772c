//! Comments in a source file that accept a finding: `rungate:ignore[rule] reason`.
//!
//! They stand on the line of the finding, or alone on the line above it. The language does not matter: whatever begins a
//! comment there stands before the words.

/// What such a comment begins with.
const MARK: &str = "rungate:ignore[";

/// What may stand before the mark on a line that holds nothing else, in one language or another.
const COMMENT_MARKS: &[char] =
    &['#', '/', '*', '-', ';', '%', '"', '\'', '<', '!', '{', '(', '.', '@', ':', ' ', '\t'];

/// What ends a comment, and is no part of its reason.
const COMMENT_ENDS: [&str; 6] = ["-->", "*/", "#>", "*)", "--}}", "-}"];

/// The reason for which a comment accepts findings of `rule` on `line`, or above it. Without a reason nothing is
/// accepted: who reads the source later must be able to judge it.
#[must_use]
pub fn reason(rule: &str, line: Option<&str>, above: Option<&str>) -> Option<String> {
    let above = above.filter(|above| above.find(MARK).is_some_and(|at| begins_comment(&above[..at])));
    [line, above].into_iter().flatten().find_map(|text| in_line(rule, text))
}

/// Whether nothing but the beginning of a comment stands in `text`.
fn begins_comment(text: &str) -> bool {
    let rest = text.trim_matches(COMMENT_MARKS);
    rest.is_empty() || rest.eq_ignore_ascii_case("rem")
}

fn in_line(rule: &str, line: &str) -> Option<String> {
    line.match_indices(MARK).find_map(|(at, _)| {
        let (rules, reason) = line[at + MARK.len()..].split_once(']')?;
        let reason =
            COMMENT_ENDS.iter().fold(reason.trim(), |reason, end| reason.trim_end_matches(end).trim_end());
        let named = rules.split(',').any(|named| named.trim() == rule);
        (named && !reason.is_empty()).then(|| reason.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_itself_or_a_comment_alone_above_it_accepts() {
        let accepted = |line, above| reason("E501", Some(line), Some(above));
        let yes = Some("long url".to_owned());
        assert_eq!(accepted("x = 1  # rungate:ignore[E501] long url", ""), yes);
        assert_eq!(accepted("x", "    // rungate:ignore[W1, E501]  long url"), yes);
        assert_eq!(accepted("x", "<!-- rungate:ignore[E501] long url -->"), yes);
        assert_eq!(accepted("x", "REM rungate:ignore[E501] long url"), yes);
        assert_eq!(
            accepted("x", "y = 2  # rungate:ignore[E501] long url"),
            None,
            "that is about its own line"
        );
    }

    #[test]
    fn without_its_rule_or_a_reason_nothing_is_accepted() {
        for line in [
            "# rungate:ignore[E502] no",
            "# rungate:ignore[E501]",
            "/* rungate:ignore[E501] */",
            "# rungate:ignore[*] all",
            "# rungate:ignore[] all",
            "# rungate:ignore E501",
            "# rungate:ignore[E501 no end",
        ] {
            assert_eq!(reason("E501", Some(line), None), None, "{line}");
        }
    }
}
