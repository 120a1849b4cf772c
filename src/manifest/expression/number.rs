//! Numbers as expressions write and convert them.

/// The number that a text stands for, by the rules of GitHub Actions: 0 for an empty text, not a number where it is
/// none. Decimal with an optional fraction and exponent, `0x` and `0o`, `Infinity`.
#[must_use]
pub fn parse(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    // Rust reads `inf` and `nan` as well, in any case.
    if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return text.parse().unwrap_or(f64::NAN);
    }
    // Both forms fill 32 bits, the highest of which is the sign.
    let radix = |digits: &str, radix: u32| {
        let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let bits = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
        bits.map_or(f64::NAN, |bits| f64::from(bits.cast_signed()))
    };
    match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
            (Some(digits), _) => radix(digits, 16),
            (_, Some(digits)) => radix(digits, 8),
            (None, None) => f64::NAN,
        },
    }
}
