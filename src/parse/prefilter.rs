//! What can be said about a pattern without running it: texts of which every match holds one, and how slow it may be.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Dot, Hir, HirKind, Look};

/// Most texts that are searched for. With more, running the pattern is as fast.
const MAX_TEXTS: usize = 8;

/// Most groups of texts that are searched for.
const MAX_GROUPS: usize = 3;

/// Groups of texts: every line that a pattern matches holds at least one text of each. Most lines of a log do not, and
/// finding that out is far cheaper than running the pattern.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefilter {
    groups: Vec<Vec<Finder<'static>>>,
}

impl Prefilter {
    /// The best groups for `pattern`, the most telling first.
    pub(crate) fn of(pattern: &Hir) -> Self {
        let finders =
            |texts: &Vec<Vec<u8>>| texts.iter().map(|text| Finder::new(text).into_owned()).collect();
        Self { groups: groups(pattern).iter().map(finders).collect() }
    }

    /// Whether the pattern can match `line`. It need not.
    pub(crate) fn admits(&self, line: &[u8]) -> bool {
        self.groups.iter().all(|texts| texts.iter().any(|text| text.find(line).is_some()))
    }
}

fn groups(pattern: &Hir) -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    collect(pattern, &mut all);
    all.sort_by_key(|texts| std::cmp::Reverse(worth(texts)));
    all.dedup();
    let mut chosen: Vec<Vec<Vec<u8>>> = Vec::new();
    for texts in all {
        // A text that is part of one already searched for tells nothing new.
        let known =
            chosen.iter().any(|other| other.iter().all(|text| texts.iter().any(|part| holds(text, part))));
        if !known && chosen.len() < MAX_GROUPS {
            chosen.push(texts);
        }
    }
    chosen
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Adds the groups that `hir` has: one for each part of a sequence.
fn collect(hir: &Hir, all: &mut Vec<Vec<Vec<u8>>>) {
    match hir.kind() {
        HirKind::Capture(capture) => collect(&capture.sub, all),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, all)),
        _ => all.extend(required(hir)),
    }
}

/// Texts of which every match of `hir` holds one; nothing when no such texts are known.
fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Class(class) => one_of_few(class),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|texts| worth(texts)),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(required(part)?);
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// The characters of a class so small that searching for each is worth it.
fn one_of_few(class: &Class) -> Option<Vec<Vec<u8>>> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let count: usize = class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
    if count > 2 {
        return None;
    }
    let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    Some(chars.map(|c| c.to_string().into_bytes()).collect())
}

/// How much is gained by `texts`: long ones first, then few ones, then ones without blanks, which lines are full of.
fn worth(texts: &[Vec<u8>]) -> (usize, std::cmp::Reverse<usize>, bool) {
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    (shortest, std::cmp::Reverse(texts.len()), texts.iter().all(|text| !text.contains(&b' ')))
}

/// For a pattern that ends in `(.*)$` or `(.+)$`, as most do: the pattern without the work of walking to the end of the
/// line, and the group whose value is all that is left. What stands before that group decides alone whether and where
/// the pattern matches, so the match is the same.
pub(crate) fn rest_of_line(hir: &Hir, text: &str) -> Option<(String, usize)> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let [.., last, end] = parts.as_slice() else { return None };
    let (HirKind::Capture(capture), HirKind::Look(Look::End)) = (last.kind(), end.kind()) else {
        return None;
    };
    let HirKind::Repetition(repetition) = capture.sub.kind() else { return None };
    let any =
        *repetition.sub == Hir::dot(Dot::AnyCharExceptLF) && repetition.max.is_none() && repetition.greedy;
    let short = match repetition.min {
        0 => format!("{}()", text.strip_suffix("(.*)$")?),
        1 => format!("{}(.)", text.strip_suffix("(.+)$")?),
        _ => return None,
    };
    any.then_some((short, usize::try_from(capture.index).ok()?))
}

/// An upper bound for the states of the automaton that `hir` becomes, which is what each byte of a line can cost.
pub(crate) fn cost(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        // A range beyond ASCII becomes a handful of byte sequences.
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| if range.end().is_ascii() { 1 } else { 8 }).sum()
        }
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Capture(capture) => cost(&capture.sub) + 2,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            cost(&repetition.sub).saturating_add(1).saturating_mul(u64::from(times))
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum, part| cost(part).saturating_add(sum))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(pattern: &str) -> String {
        let groups = groups(&regex_syntax::parse(pattern).unwrap());
        let group = |texts: &Vec<Vec<u8>>| {
            texts.iter().map(|text| String::from_utf8(text.clone()).unwrap()).collect::<Vec<_>>().join("|")
        };
        groups.iter().map(group).collect::<Vec<_>>().join(" & ")
    }

    #[test]
    fn the_most_telling_texts_are_chosen() {
        assert_eq!(texts(r"^(.*):([0-9]+): (?:fatal )?(warning|error): (.*)$"), "warning|error & : ");
        assert_eq!(texts(r"^ERROR: (.+)$"), "ERROR: ");
        assert_eq!(texts(r"^(.+)\(([0-9]+)[,:]([0-9]+)\) TS([0-9]+)"), ") TS & ( & ,|:");
        assert_eq!(texts(r"^(.*)[(:](.*)$"), "(|:");
        assert_eq!(texts(r"(error)?: (.+)"), ": ");
        assert_eq!(texts(r"(?:ab|c)x(?:ab)+"), "ab & x");
        assert_eq!(texts(r"^(.+)$"), "");
        assert_eq!(texts(r"a|b|."), "");
        assert_eq!(texts("(abc){0,3}x*"), "");
    }

    #[test]
    fn repeated_repetitions_are_dear() {
        let cost = |pattern: &str| cost(&regex_syntax::parse(pattern).unwrap());
        assert!(cost(r"^(.*):([0-9]+): (.*)$") < 100);
        assert!(cost(r"(?:a{1,100}){1,100}") > 10_000);
        assert!(cost(r"(?:(?:.{0,1000}){0,1000}){0,1000}") > 1_000_000_000);
    }

    #[test]
    fn a_group_that_takes_the_rest_of_the_line_is_recognised() {
        let short = |pattern: &str| rest_of_line(&regex_syntax::parse(pattern).unwrap(), pattern);
        assert_eq!(short("^(a)b: (.*)$"), Some(("^(a)b: ()".to_owned(), 2)));
        assert_eq!(short("x(.+)$"), Some(("x(.)".to_owned(), 1)));
        for other in [
            "a|b(.*)$",
            "(a(.*)$)",
            "a(.*?)$",
            "a(.*)",
            "(?m)a(.*)$",
            r"(a\(.*)$",
            "a(b*)$",
            "a(.{2,})$",
            "a.*$",
        ] {
            assert_eq!(short(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_of_a_line_begins_where_the_engine_says(
            head in "[abc.()|?*+^]{1,9}", tail in "[.][*+]", line in "[abc]{0,10}"
        ) {
            let pattern = format!("{head}({tail})$");
            let Ok(hir) = regex_syntax::parse(&pattern) else { return Ok(()) };
            let Some((short, group)) = rest_of_line(&hir, &pattern) else { return Ok(()) };
            let of = |pattern: &str| regex::bytes::Regex::new(pattern).unwrap();
            let start = |pattern: &str| of(pattern).captures(line.as_bytes()).map(|found| found.get(group).unwrap().start());
            prop_assert_eq!(start(&short), start(&pattern), "{}", pattern);
        }

        #[test]
        fn a_line_that_matches_is_always_admitted(pattern in "([abc]{1,2}|[.()|?*+]){0,9}", line in "[abc]{0,12}") {
            if let (Ok(regex), Ok(hir)) = (regex::bytes::Regex::new(&pattern), regex_syntax::parse(&pattern))
                && regex.is_match(line.as_bytes())
            {
                prop_assert!(Prefilter::of(&hir).admits(line.as_bytes()));
            }
        }
    }
}
