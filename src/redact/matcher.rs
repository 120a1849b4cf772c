//! The automaton over all registered forms and the fixed parts of the shapes.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

use crate::redact::shapes::{KEY_LINES, PAYLOAD, TOKENS};

/// What was found where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// A registered form.
    Form,
    /// The prefix of a token.
    Token,
    /// The begin of a JSON web token's payload.
    Payload,
    /// The end of a private key's first or last line.
    KeyLine,
}

/// Finds every occurrence of every form, overlapping ones too.
///
/// The contiguous automaton was chosen over the dense one: it is nearly as fast and takes a thirtieth of the memory, and
/// a few private keys already make tens of thousands of states.
pub(super) struct Matcher {
    /// Absent when it could not be built. Then everything is secret: better no output than a leak.
    automaton: Option<NFA>,
    start: StateID,
    /// How long the longest begun form is in each state.
    depths: HashMap<StateID, usize>,
    /// Bytes that leave the start state.
    begins: [bool; 256],
}

impl Matcher {
    pub(super) fn new(forms: &BTreeSet<Vec<u8>>) -> Self {
        let shapes = TOKENS.iter().chain([&PAYLOAD]).chain(&KEY_LINES).map(|text| text.as_bytes());
        let needles: Vec<&[u8]> = shapes.chain(forms.iter().map(Vec::as_slice)).collect();
        let automaton = NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(&needles).ok();
        let start = automaton.as_ref().and_then(|nfa| nfa.start_state(Anchored::No).ok()).unwrap_or_default();
        let mut depths = HashMap::new();
        let mut begins = [false; 256];
        for needle in &needles {
            begins[usize::from(needle[0])] = true;
            let mut state = start;
            for (index, &byte) in needle.iter().enumerate() {
                state = automaton.as_ref().map_or(state, |nfa| nfa.next_state(Anchored::No, state, byte));
                depths.insert(state, index + 1);
            }
        }
        Self { automaton, start, depths, begins }
    }

    /// The state before any byte.
    pub(super) const fn start(&self) -> StateID {
        self.start
    }

    /// How many of the last bytes may be the begin of a form, in `state`.
    pub(super) fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }

    /// Reads `text[from..]`, begun in `state`, and calls `found` with the begin and the end of each occurrence. Returns
    /// the state at the end.
    pub(super) fn scan(
        &self,
        mut state: StateID,
        text: &[u8],
        from: usize,
        mut found: impl FnMut(Hit, usize, usize),
    ) -> StateID {
        let Some(nfa) = &self.automaton else {
            found(Hit::Form, from, text.len());
            return state;
        };
        let mut at = from;
        while at < text.len() {
            if state == self.start {
                at += text[at..].iter().take_while(|&&byte| !self.begins[usize::from(byte)]).count();
                if at == text.len() {
                    break;
                }
            }
            state = nfa.next_state(Anchored::No, state, text[at]);
            at += 1;
            if nfa.is_special(state) && nfa.is_match(state) {
                for index in 0..nfa.match_len(state) {
                    let pattern = nfa.match_pattern(state, index);
                    found(hit(pattern.as_usize()), at - nfa.pattern_len(pattern), at);
                }
            }
        }
        state
    }
}

const fn hit(pattern: usize) -> Hit {
    const PAYLOAD_AT: usize = TOKENS.len();
    const KEY_LINES_AT: usize = PAYLOAD_AT + 1;
    const KEY_LINES_END: usize = KEY_LINES_AT + KEY_LINES.len();
    match pattern {
        0..PAYLOAD_AT => Hit::Token,
        PAYLOAD_AT => Hit::Payload,
        KEY_LINES_AT..KEY_LINES_END => Hit::KeyLine,
        _ => Hit::Form,
    }
}
