//! Redaction of bytes that come in pieces.

use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::StateID;

use crate::redact::matcher::{Hit, Matcher};
use crate::redact::shapes::{self, MAX_KEY, MIN_TOKEN};
use crate::redact::{MARK, Registry};

/// How much is looked at in one go. It bounds the memory of a stream that is handed a large piece.
const PIECE: usize = 64 * 1024;

/// Takes secrets out of a stream of bytes. Where pieces are cut has no influence on the result.
///
/// Every byte that belongs to any occurrence of any secret is covered, and each unbroken run of covered bytes comes out
/// as one [`MARK`]: with occurrences that overlap, replacing them one by one would leave the tail of one of them.
/// Held back is only what may be the begin of a secret, so a prompt or a half line shows at once.
pub struct Stream {
    registry: Registry,
    matcher: Arc<Matcher>,
    version: u64,
    state: StateID,
    /// Bytes that are not written yet. All positions below count from its begin.
    held: Vec<u8>,
    /// Covered ranges of `held`: sorted, apart from one another.
    covered: Vec<(usize, usize)>,
    /// Tokens whose prefix was seen and whose length is not known yet: begin, and end of the prefix.
    waiting: Vec<(usize, usize)>,
    /// From where to where the last token reaches. It goes on with the next bytes when its end is that of `held`.
    token: Option<(usize, usize)>,
    /// A private key whose last line was not seen yet.
    key: Option<Key>,
    /// Whether the last byte that was passed on was a covered one, so that its mark stands already.
    marked: bool,
    /// Whether anything secret was in the bytes so far.
    has_found: bool,
}

#[derive(Clone, Copy)]
struct Key {
    covered_to: usize,
    limit: usize,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream that knows the secrets of `registry`, also those that are added later.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let version = registry.version();
        let matcher = registry.matcher();
        Self {
            registry: registry.clone(),
            state: matcher.start(),
            matcher,
            version,
            held: Vec::new(),
            covered: Vec::new(),
            waiting: Vec::new(),
            token: None,
            key: None,
            marked: false,
            has_found: false,
        }
    }

    /// Takes `bytes` in and appends to `out` what is certain.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.follow_registry();
        for piece in bytes.chunks(PIECE) {
            let from = self.held.len();
            self.held.extend_from_slice(piece);
            self.resume_tokens(from);
            self.scan(from);
            let certain = self.certain();
            self.pass_on(certain, out);
        }
    }

    /// Whether anything secret was in the bytes since the begin, or since the last [`Stream::finish`].
    #[must_use]
    pub const fn has_found(&self) -> bool {
        self.has_found
    }

    /// Appends the rest to `out`. The stream can be used again, for bytes that do not continue those before.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.waiting.clear();
        self.pass_on(self.held.len(), out);
        *self = Self::new(&self.registry);
    }

    /// Takes up values that were added since the last bytes. What is held back is read again, for it may be part of one.
    fn follow_registry(&mut self) {
        let version = self.registry.version();
        if version == self.version {
            return;
        }
        self.version = version;
        self.matcher = self.registry.matcher();
        self.state = self.matcher.start();
        // What reaches in from before the held bytes cannot be found again; all else will be.
        self.covered.retain(|&(start, _)| start == 0);
        let reaches_in = self.covered.first().map_or(0, |&(_, end)| end);
        self.token = self.token.filter(|&(_, until)| until <= reaches_in);
        self.waiting.clear();
        self.scan(0);
    }

    fn scan(&mut self, from: usize) {
        let matcher = Arc::clone(&self.matcher);
        // The closure changes everything but the text, which it also looks at.
        let text = std::mem::take(&mut self.held);
        self.state =
            matcher.scan(self.state, &text, from, |hit, start, end| self.found(&text, hit, start, end));
        self.held = text;
        self.end_key(self.held.len());
        if let Some(key) = &mut self.key {
            let range = (key.covered_to, self.held.len());
            key.covered_to = self.held.len();
            self.cover(range.0, range.1);
        }
    }

    fn found(&mut self, text: &[u8], hit: Hit, start: usize, end: usize) {
        self.end_key(end);
        match hit {
            Hit::Form => self.cover(start, end),
            Hit::Token => self.token_at(text, start, end),
            Hit::Payload => {
                if let Some(begin) = shapes::web_token_start(text, start) {
                    let until = self.token.map(|(_, until)| until).filter(|&until| until > start);
                    let until = until.unwrap_or_else(|| shapes::token_end(text, end));
                    self.token = Some((begin, until));
                    self.cover(begin, until);
                }
            }
            Hit::KeyLine => {
                if let Some(key) = self.key.take() {
                    self.cover(key.covered_to, end);
                }
                let line = if text[..end].ends_with(b"BLOCK-----") {
                    shapes::KEY_LINES[1]
                } else {
                    shapes::KEY_LINES[0]
                };
                if let Some(begin) = shapes::key_start(text, end - line.len()) {
                    self.cover(begin, end);
                    self.key = Some(Key { covered_to: end, limit: end + MAX_KEY });
                }
            }
        }
    }

    fn token_at(&mut self, text: &[u8], start: usize, body: usize) {
        if self.token.is_some_and(|(from, until)| (from..until).contains(&start)) {
            return;
        }
        let until = shapes::token_end(text, body);
        if until - body >= MIN_TOKEN {
            self.token = Some((start, until));
            self.cover(start, until);
        } else if until == text.len() {
            self.waiting.push((start, body));
        }
    }

    /// Goes on with tokens that reached the end of the bytes before `from`.
    fn resume_tokens(&mut self, from: usize) {
        if let Some((begin, end)) = self.token
            && end == from
        {
            let until = shapes::token_end(&self.held, from);
            self.token = Some((begin, until));
            self.cover(from, until);
        }
        let text = std::mem::take(&mut self.held);
        for (start, body) in std::mem::take(&mut self.waiting) {
            self.token_at(&text, start, body);
        }
        self.held = text;
    }

    /// Ends a private key that is longer than any is.
    fn end_key(&mut self, position: usize) {
        if let Some(key) = self.key.filter(|key| key.limit <= position) {
            self.key = None;
            self.cover(key.covered_to, key.limit);
        }
    }

    /// Covers a range. None begins behind the place that was read last, so what begins later than this one overlaps it.
    fn cover(&mut self, start: usize, end: usize) {
        if start >= end {
            return;
        }
        self.has_found = true;
        let mut range = (start, end);
        while let Some(&(last_start, last_end)) = self.covered.last() {
            if last_end < range.0 {
                break;
            }
            range = (range.0.min(last_start), range.1.max(last_end));
            self.covered.pop();
        }
        self.covered.push(range);
    }

    /// How many of the held bytes no later byte can cover or uncover.
    fn certain(&self) -> usize {
        let begun = self.held.len() - self.matcher.depth(self.state).min(self.held.len());
        let waiting = self.waiting.first().map_or(begun, |&(start, _)| start);
        begun.min(waiting).min(shapes::undecided(&self.held))
    }

    fn pass_on(&mut self, certain: usize, out: &mut Vec<u8>) {
        if certain == 0 {
            return;
        }
        let mut at = 0;
        for &(start, end) in self.covered.iter().take_while(|&&(start, _)| start < certain) {
            out.extend_from_slice(&self.held[at..start]);
            if start > 0 || !self.marked {
                out.extend_from_slice(MARK.as_bytes());
            }
            at = end.min(certain);
        }
        out.extend_from_slice(&self.held[at..certain]);
        self.marked = self.covered.iter().any(|&(start, end)| start < certain && end >= certain);
        self.forget(certain);
    }

    /// Drops the first `count` held bytes.
    fn forget(&mut self, count: usize) {
        self.held.drain(..count);
        self.covered.retain_mut(|(start, end)| {
            *start = start.saturating_sub(count);
            *end = end.saturating_sub(count);
            start < end
        });
        for (start, body) in &mut self.waiting {
            *start -= count;
            *body -= count;
        }
        self.token = self
            .token
            .and_then(|(from, until)| Some((from.saturating_sub(count), until.checked_sub(count)?)));
        if let Some(key) = &mut self.key {
            key.covered_to -= count;
            key.limit -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::shapes::{KEY_LINES, MAX_HEADER, TOKENS};
    use proptest::prelude::*;

    fn in_pieces(registry: &Registry, pieces: &[&[u8]]) -> Vec<u8> {
        let mut stream = Stream::new(registry);
        let mut out = Vec::new();
        for piece in pieces {
            stream.push(piece, &mut out);
        }
        stream.finish(&mut out);
        out
    }

    fn redacted(registry: &Registry, text: &str) -> String {
        String::from_utf8(in_pieces(registry, &[text.as_bytes()])).unwrap()
    }

    fn starts(text: &[u8], needle: &[u8]) -> Vec<usize> {
        (0..text.len()).filter(|&at| text[at..].starts_with(needle)).collect()
    }

    fn run(text: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
        (from..text.len()).find(|&at| !wanted(text[at])).unwrap_or(text.len())
    }

    /// What every chunking must come to, found the slow way: each byte of every occurrence is covered.
    fn oracle(text: &[u8], forms: &[Vec<u8>]) -> Vec<u8> {
        let url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let token = |byte: u8| url(byte) || byte == b'.';
        let mut ranges = Vec::new();
        for form in forms {
            ranges.extend(starts(text, form).into_iter().map(|at| (at, at + form.len())));
        }
        for prefix in TOKENS {
            for at in starts(text, prefix.as_bytes()) {
                let end = run(text, at + prefix.len(), token);
                if end >= at + prefix.len() + 20 {
                    ranges.push((at, end));
                }
            }
        }
        for dot in starts(text, b".eyJ") {
            for at in starts(&text[..dot], b"eyJ") {
                if (8..=MAX_HEADER).contains(&(dot - at)) && text[at..dot].iter().all(|&byte| url(byte)) {
                    ranges.push((at, run(text, dot, token)));
                }
            }
        }
        // Where the first and last lines of keys end, and where their fixed part begins.
        let mut lines: Vec<(usize, usize)> = KEY_LINES
            .iter()
            .flat_map(|line| starts(text, line.as_bytes()).into_iter().map(|at| (at + line.len(), at)))
            .collect();
        lines.sort_unstable();
        for at in starts(text, b"-----BEGIN ") {
            let label = at + 5;
            let head = run(text, label, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ') + 5;
            if !lines
                .iter()
                .any(|&(end, fixed)| end == head && (6..=36).contains(&fixed.saturating_sub(label)))
            {
                continue;
            }
            let last = lines.iter().find(|&&(end, _)| end > head).map_or(text.len(), |&(end, _)| end);
            ranges.push((at, last.min(head + MAX_KEY).min(text.len())));
        }
        let mut out = Vec::new();
        let mut before = false;
        for (at, &byte) in text.iter().enumerate() {
            let covered = ranges.iter().any(|&(from, to)| (from..to).contains(&at));
            match (covered, before) {
                (true, false) => out.extend_from_slice(MARK.as_bytes()),
                (true, true) => {}
                (false, _) => out.push(byte),
            }
            before = covered;
        }
        out
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let registry = Registry::new();
        let _ = registry.add("abcdefgh");
        let _ = registry.add("efghijkl");
        let _ = registry.add("cdefgh");
        assert_eq!(redacted(&registry, "x abcdefghijkl y abcdefghabcdefgh"), "x *** y ***");
    }

    #[test]
    fn tokens_keys_and_web_tokens_need_no_registration() {
        let registry = Registry::new();
        let token = format!("ghs_{}", "a1B2".repeat(9));
        assert_eq!(redacted(&registry, &format!("t={token}, ghp_short")), "t=***, ghp_short");
        let web = format!("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjF9.{}", "s-_".repeat(30));
        assert_eq!(redacted(&registry, &format!("Bearer {web}\nnext")), "Bearer ***\nnext");
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----";
        assert_eq!(redacted(&registry, &format!("a {key}\nb")), "a ***\nb");
        let public = "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----\n";
        assert_eq!(redacted(&registry, public), public);
    }

    #[test]
    fn a_key_that_never_ends_does_not_swallow_the_log() {
        let text = format!("-----BEGIN PRIVATE KEY-----{}tail", "x\n".repeat(MAX_KEY));
        let out = redacted(&Registry::new(), &text);
        assert!(out.starts_with(MARK) && out.ends_with("tail"));
        assert_eq!(out.len(), MARK.len() + MAX_KEY + 4);
    }

    #[test]
    fn every_split_of_every_form_is_redacted() {
        let registry = Registry::new();
        let value = "S3cr+t/\"v\u{e9}lue\"\nsecond line";
        let _ = registry.add(value);
        for form in crate::redact::variants::of(value) {
            let text = [b"<".as_slice(), &form, b">"].concat();
            for at in 0..=text.len() {
                let out = in_pieces(&registry, &[&text[..at], &text[at..]]);
                assert_eq!(out, b"<***>", "{} at {at}", String::from_utf8_lossy(&form));
            }
        }
    }

    #[test]
    fn a_value_added_amid_a_stream_counts_from_the_next_bytes() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        let mut stream = Stream::new(&registry);
        let mut out = Vec::new();
        stream.push(b"late-secret hunter2-ghs_abcdefghijklmnopqrstuvwxyz", &mut out);
        let _ = registry.add("late-secret");
        stream.push(b"yz01 late-secret ", &mut out);
        stream.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "late-secret hunter2-*** *** ");
    }

    #[test]
    fn a_registered_value_is_found_in_what_was_held_back_before() {
        let registry = Registry::new();
        let _ = registry.add("abcdefghij-long");
        let mut stream = Stream::new(&registry);
        let mut out = Vec::new();
        stream.push(b"x abcdefghij", &mut out);
        let _ = registry.add("defghij");
        stream.push(b" y", &mut out);
        stream.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "x abc*** y");
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let part = prop::sample::select(vec![
            "ab",
            "abcabc",
            "ba",
            "c",
            "-",
            "-----",
            "BEGIN ",
            "RSA ",
            "PRIVATE KEY",
            "PRIVATE KEY-----",
            "END ",
            "\n",
            "BLOCK",
            "-----BEGIN ",
            " ",
            "ghs_",
            "github_pat_",
            "aaaaaaaaaaaaaaaaaaaa",
            "e",
            "ey",
            "eyJ",
            "eyJhbGciOi",
            ".",
            ".e",
            ".eyJ",
            "ghp_x",
        ]);
        prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_chunking_comes_to_what_the_slow_way_finds(
            text in text(),
            secrets in prop::collection::vec("[abc]{6,9}", 0..4),
            cuts in prop::collection::vec(1_usize..40, 1..12),
        ) {
            let registry = Registry::new();
            let mut forms = Vec::new();
            for secret in &secrets {
                let _ = registry.add(secret);
                forms.extend(crate::redact::variants::of(secret));
            }
            let expected = oracle(&text, &forms);
            let mut pieces = Vec::new();
            let mut rest = text.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(
                String::from_utf8_lossy(&in_pieces(&registry, &pieces)).into_owned(),
                String::from_utf8_lossy(&expected).into_owned()
            );
        }
    }
}
