//! The syntax of phrases. What a sentence matches is not known here.

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::model::{Command, Input, InputKind};
use crate::manifest::read::complaints::{Complaints, quoted};

/// Longest phrase, in characters, and deepest brackets: beyond these no person knows what a phrase says.
const LENGTH: usize = 500;
const DEPTH: usize = 8;

/// Complains about phrases that are none.
pub(super) fn check(command: &Command, out: &mut Complaints) {
    for phrase in &command.phrases {
        if let Err(why) = syntax(&phrase.value) {
            out.error("phrase-syntax", phrase.span, why);
            continue;
        }
        for slot in slots(&phrase.value) {
            check_slot(slot, phrase.span, command, out);
        }
    }
}

/// Whether the text is a phrase; if not, why.
fn syntax(phrase: &str) -> Result<(), String> {
    if phrase.chars().count() > LENGTH {
        return Err(format!("a phrase has at most {LENGTH} characters"));
    }
    if phrase.chars().any(char::is_control) {
        return Err("a phrase is one line without control characters".to_owned());
    }
    let mut open: Vec<char> = Vec::new();
    // Whether something was said since the last bracket or bar, and whether anything must always be said.
    let (mut said, mut always) = (false, false);
    for c in phrase.chars() {
        match c {
            _ if open.last() == Some(&'{') && c != '}' => {
                if !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
                    return Err(format!("{} cannot stand in a slot", quoted(&c.to_string())));
                }
                said = true;
            }
            '[' | '(' | '{' => {
                open.push(c);
                said = false;
                if open.len() > DEPTH {
                    return Err(format!("brackets are nested more than {DEPTH} deep"));
                }
            }
            ']' | ')' | '}' => {
                let expected = matching(c);
                if open.pop() != Some(expected) {
                    return Err(format!("this `{c}` closes no `{expected}`"));
                }
                if !said {
                    return Err(format!("nothing stands between `{expected}` and `{c}`"));
                }
                always |= c != ']' && !open.contains(&'[');
            }
            '|' if open.last() != Some(&'(') => {
                return Err("alternatives stand in round brackets, as in `(in|on)`".to_owned());
            }
            '|' if !said => return Err("an alternative is empty".to_owned()),
            '|' => said = false,
            _ => {
                said |= !c.is_whitespace();
                always |= open.is_empty() && !c.is_whitespace();
            }
        }
    }
    match open.last() {
        Some(bracket) => Err(format!("this `{bracket}` is never closed")),
        None if !always => {
            Err("all of this phrase is optional, so that it would match nothing said".to_owned())
        }
        None => Ok(()),
    }
}

const fn matching(close: char) -> char {
    match close {
        ']' => '[',
        ')' => '(',
        _ => '{',
    }
}

fn slots(phrase: &str) -> impl Iterator<Item = &str> {
    phrase.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

fn check_slot(slot: &str, span: Span, command: &Command, out: &mut Complaints) {
    let Some(input) = command.inputs.iter().find(|input| input.name.value.as_str() == slot) else {
        let near = out.nearest(slot, command.inputs.iter().map(|input| input.name.value.as_str()));
        let mut diagnostic = Diagnostic::error(
            "unknown-input",
            span,
            format!("there is no input {} for this slot", quoted(slot)),
        );
        diagnostic.help = near.map(|near| format!("write `{{{near}}}`"));
        out.push(diagnostic);
        return;
    };
    if is_free(input) {
        let message = format!("the slot `{{{slot}}}` would take any text");
        let help = format!("give the input `{slot}` a `pattern`, or the type `choice`");
        out.push(Diagnostic::error("free-text-slot", span, message).help(help));
    }
}

const fn is_free(input: &Input) -> bool {
    matches!(input.kind, InputKind::String) && input.pattern.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(phrase: &str) -> Option<String> {
        syntax(phrase).err()
    }

    #[test]
    fn brackets_slots_and_alternatives_are_accepted() {
        for phrase in [
            "rebuild",
            "[please] rebuild [the] {index}",
            "(rebuild|refresh) it [(in|on) {where}]",
            "{a} (b|{c})",
        ] {
            assert_eq!(refused(phrase), None, "{phrase}");
        }
    }

    #[test]
    fn what_is_not_balanced_or_says_nothing_is_refused() {
        for phrase in [
            "a [b",
            "a b]",
            "a (b]",
            "a {b c}",
            "a|b",
            "(a|)",
            "(|a)",
            "[]",
            "{} a",
            "[a] [b]",
            "a\nb",
            "[[[[[[[[[a]]]]]]]]] b",
        ] {
            assert!(refused(phrase).is_some(), "{phrase}");
        }
    }
}
