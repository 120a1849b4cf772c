//! Secrets that are recognised by their shape, whether or not anybody registered them: GitHub's tokens, JSON web tokens
//! and private keys in PEM.
//!
//! The automaton finds the fixed part of each shape; what is variable around it is looked at here, within a few bytes or
//! at most [`MAX_HEADER`]. Each shape is deliberately wide: a mark too many is an eyesore, a mark too few is an incident.

/// What a GitHub token begins with.
pub(super) const TOKENS: [&str; 6] = ["ghs_", "ghp_", "gho_", "ghu_", "ghr_", "github_pat_"];

/// Where the payload of a JSON web token begins: both its parts are JSON objects, and `{"` is `eyJ` in base64.
pub(super) const PAYLOAD: &str = ".eyJ";

/// Where the first and the last line of a private key end.
pub(super) const KEY_LINES: [&str; 2] = ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"];

/// Least length of what follows a token's prefix. The shortest real ones have 36 characters.
pub(super) const MIN_TOKEN: usize = 20;

/// Longest header of a JSON web token, in bytes. It is held back until its payload begins, so it has to end somewhere.
pub(super) const MAX_HEADER: usize = 1024;

/// Shortest header: `{"a":1}` has ten characters.
const MIN_HEADER: usize = 8;

/// Longest private key, in bytes. A key that never ends must not swallow the rest of a log.
pub(super) const MAX_KEY: usize = 16 * 1024;

/// Longest word before `PRIVATE KEY`, such as `ENCRYPTED `, with `BEGIN `.
const MAX_LABEL: usize = 36;

const BEGIN: &[u8] = b"BEGIN ";
const DASHES: &[u8] = b"-----";

/// Whether `byte` can be part of a token. The dots are those of a JSON web token, which newer tokens contain.
pub(super) const fn is_token(byte: u8) -> bool {
    is_base64url(byte) || byte == b'.'
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

const fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
}

/// Where the characters of a token that begin at `from` end.
pub(super) fn token_end(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|&&byte| is_token(byte)).count()
}

/// Where the JSON web token begins whose payload's dot stands at `dot`.
pub(super) fn web_token_start(text: &[u8], dot: usize) -> Option<usize> {
    header_start(text, dot).filter(|start| dot - start >= MIN_HEADER)
}

/// The first `eyJ` of the characters before `end` that can be a header.
fn header_start(text: &[u8], end: usize) -> Option<usize> {
    let run = run_before(text, end, MAX_HEADER, is_base64url);
    memchr::memmem::find(&text[run..end], b"eyJ").map(|at| run + at)
}

/// Where the private key begins whose first line ends with the one of [`KEY_LINES`] that stands at `at`; nothing when
/// it is not a first line.
pub(super) fn key_start(text: &[u8], at: usize) -> Option<usize> {
    let label = run_before(text, at, MAX_LABEL, is_label);
    (text[label..at].starts_with(BEGIN) && text[..label].ends_with(DASHES)).then(|| label - DASHES.len())
}

/// The first place at the end of `text` where a shape may begin that only later bytes decide; the length of `text` when
/// there is none. Tokens are not looked at: the caller knows those that wait.
pub(super) fn undecided(text: &[u8]) -> usize {
    web_token_undecided(text).min(key_undecided(text))
}

fn web_token_undecided(text: &[u8]) -> usize {
    let cut = |suffix: &[u8]| text.strip_suffix(suffix).map(<[u8]>::len);
    let dot = cut(b".ey").or_else(|| cut(b".e")).or_else(|| cut(b"."));
    if let Some(start) = dot.and_then(|dot| header_start(text, dot)) {
        return start;
    }
    let begun = cut(b"ey").or_else(|| cut(b"e")).unwrap_or(text.len());
    header_start(text, text.len()).unwrap_or(begun)
}

fn key_undecided(text: &[u8]) -> usize {
    let dashes = text.len() - run_before(text, text.len(), DASHES.len(), |byte| byte == b'-');
    let fresh = text.len() - dashes;
    // The dashes may also be those that end a first line.
    let line_end = if dashes == DASHES.len() { text.len() } else { fresh };
    let label = run_before(text, line_end, 2 * MAX_LABEL, is_label);
    let words = &text[label..line_end];
    let possible = !words.is_empty() && (words.starts_with(BEGIN) || BEGIN.starts_with(words));
    if possible && text[..label].ends_with(DASHES) { label - DASHES.len() } else { fresh }
}

/// Where the bytes before `end` begin that all are `wanted`; at most `most` of them.
fn run_before(text: &[u8], end: usize, most: usize, wanted: impl Fn(u8) -> bool) -> usize {
    end - text[..end].iter().rev().take(most).take_while(|&&byte| wanted(byte)).count()
}
