use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::parse::options::MAX_MESSAGE;

/// Gives `chunk` bytes at a time, so that tokens fall apart.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// The next value as `serde_json` has it.
fn value<R: Read>(json: &mut Json<R>) -> Result<Value, ParseError> {
    Ok(match json.kind()? {
        Kind::Object => {
            assert!(json.object()?);
            let mut members = serde_json::Map::new();
            while let Some(key) = json.key()? {
                let key = key.to_owned();
                members.insert(key, value(json)?);
            }
            Value::Object(members)
        }
        Kind::Array => {
            assert!(json.array()?);
            let mut items = Vec::new();
            while json.item()? {
                items.push(value(json)?);
            }
            Value::Array(items)
        }
        Kind::Text => json.text()?.map(str::to_owned).into(),
        Kind::Number | Kind::Boolean => {
            serde_json::from_str(json.scalar()?.unwrap_or_default()).unwrap_or("huge".into())
        }
        Kind::Null => {
            json.skip()?;
            Value::Null
        }
    })
}

fn read(bytes: &[u8], chunk: usize) -> Result<Value, ParseError> {
    let mut json = Json::new(Slow(bytes, chunk), Layout::Document);
    let value = value(&mut json)?;
    json.end()?;
    Ok(value)
}

fn skip(bytes: &[u8], chunk: usize) -> Result<(), ParseError> {
    let mut json = Json::new(Slow(bytes, chunk), Layout::Document);
    json.skip()?;
    json.end()
}

fn refusal(text: &str) -> String {
    read(text.as_bytes(), 7).map_or_else(|error| error.to_string(), |value| value.to_string())
}

#[test]
fn what_is_no_json_is_refused_at_its_place() {
    let texts = [
        "",
        "{",
        "[1",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "{\"a\":}",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "tru",
        "truex",
        "01",
        "1.",
        "-",
        "1e",
        "1e5",
        "NaN",
        "1 2",
        "]",
        "[}",
        "{]",
    ];
    let mut shown = String::new();
    for text in texts {
        let _ = writeln!(shown, "{text}  {}", refusal(text));
    }
    insta::assert_snapshot!(shown, @r#"
      the JSON is cut short at byte 0
    {  the JSON is cut short at byte 1
    [1  the JSON is cut short at byte 2
    [1,]  nothing follows the comma at byte 3
    {"a":1,}  nothing follows the comma at byte 7
    [,1]  a JSON value was expected at byte 1
    {"a" 1}  a colon was expected at byte 5
    {a:1}  a key was expected at byte 1
    [1 2]  a comma or an end was expected at byte 3
    {"a":}  a JSON value was expected at byte 5
    "a  the JSON is cut short at byte 2
    "\x"  a string has an unknown escape at byte 2
    "\u12g4"  a string has an escape without its four digits at byte 5
    tru  a JSON value was expected at byte 0
    truex  a JSON value was expected at byte 0
    01  a JSON value was expected at byte 0
    1.  a JSON value was expected at byte 0
    -  a JSON value was expected at byte 0
    1e  a JSON value was expected at byte 0
    1e5  100000.0
    NaN  a JSON value was expected at byte 0
    1 2  text follows the JSON value at byte 2
    ]  a JSON value was expected at byte 0
    [}  a JSON value was expected at byte 1
    {]  a key was expected at byte 1
    "#);
}

#[test]
fn strings_are_decoded_and_what_is_broken_in_them_is_replaced() {
    let texts = [
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
        r#""\ud83d|\ude00|\ud83d\ud83d\ude00|\ud83dA\n""#,
        "\"raw\ttab\"",
    ];
    let shown: Vec<String> = texts.iter().map(|text| format!("{:?}", refusal(text))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "\"\\\"\\\\/\\b\\f\\n\\r\\té😀\""
    "\"�|�|�😀|�A\\n\""
    "\"raw\\ttab\""
    "#);
    assert_eq!(read(b"\"a\xFFb\"", 9).unwrap(), "a\u{FFFD}b");
}

#[test]
fn bombs_are_small() {
    let deep = "[".repeat(1 << 20);
    let told = "values are nested deeper than 512 levels at byte 512";
    assert_eq!(skip(deep.as_bytes(), PIECE).unwrap_err().to_string(), told);
    let long = format!("\"{}\"", "é".repeat(1 << 20));
    let read = read(long.as_bytes(), PIECE).unwrap();
    assert!(read.as_str().unwrap().len() <= MAX_MESSAGE + 16);
    assert_eq!(skip(format!("{}1", " ".repeat(1 << 20)).as_bytes(), PIECE).ok(), Some(()));
    assert!(skip("7".repeat(1 << 20).as_bytes(), PIECE).is_ok());
}

#[test]
fn a_value_of_another_kind_is_skipped_and_told_once() {
    let mut json = Json::new(
        &br#"{"a": [1, {"x": 2}], "b": "3", "c": 1.5, "d": 4e0, "e": null, "f": "t"}"#[..],
        Layout::Document,
    );
    assert!(json.object().unwrap());
    let mut got = Vec::new();
    while let Some(key) = json.key().unwrap() {
        if key == "f" {
            got.push(json.text().unwrap().map(str::len).and_then(|len| i64::try_from(len).ok()));
        } else {
            got.push(json.integer().unwrap());
        }
    }
    assert_eq!(got, [None, None, None, Some(4), None, Some(1)]);
    let oddity = json.take_oddity().unwrap();
    assert_eq!((oddity.offset, oddity.message.as_str()), (6, "an array stands where a number belongs"));
    assert_eq!(json.take_oddity(), None);
}

#[test]
fn a_broken_line_costs_no_more_than_itself() {
    let text = b"{\"a\":1}\r\n\n  {\"a\":\n2\n\"x\n[1\\\n3 4\n5\ntrue";
    let mut json = Json::new(&text[..], Layout::Lines);
    let mut got = Vec::new();
    while json.document().unwrap() {
        match value(&mut json).and_then(|value| json.end().map(|()| value)) {
            Ok(value) => got.push(value.to_string()),
            Err(error) => {
                got.push(error.to_string());
                json.next_line().unwrap();
            }
        }
    }
    insta::assert_snapshot!(got.join("\n"), @r#"
    {"a":1}
    the line ends inside a JSON value at byte 17
    2
    the line ends inside a string at byte 22
    a comma or an end was expected at byte 25
    text follows the JSON value at byte 29
    5
    true
    "#);
}

/// A document, perhaps with some damage.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter_map("finite", |n| n.is_finite().then(|| format!("{n:e}"))),
        "[a-zé😀\"\\\\\n]{0,12}".prop_map(|text| Value::from(text).to_string()),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            prop::collection::vec(("[a-z\"]{0,3}", inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("{}: {value}", Value::from(key)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    tree.prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn a_document_is_read_as_others_read_it(bytes in document(), chunk in 1usize..40) {
        let expected: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(read(&bytes, chunk).unwrap(), expected);
        prop_assert!(skip(&bytes, chunk).is_ok());
    }

    /// What others refuse is refused, but for characters that they want escaped; and the pieces do not matter.
    #[test]
    fn damage_is_seen(mut bytes in document(), at in any::<prop::sample::Index>(), byte in any::<u8>(), chunk in 1usize..40) {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let whole = read(&bytes, PIECE).map_err(|error| error.to_string());
        prop_assert_eq!(&read(&bytes, chunk).map_err(|error| error.to_string()), &whole);
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(expected) => prop_assert_eq!(whole.unwrap(), expected),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) if byte.is_ascii_graphic() && std::str::from_utf8(&bytes).is_ok() => {
                prop_assert!(whole.is_err(), "{:?}", String::from_utf8_lossy(&bytes));
            }
            Err(_) => {}
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\u1d8\n"[..])], 0..60), chunk in 1usize..9) {
        let whole = read(&bytes, PIECE).map_err(|error| error.to_string());
        prop_assert_eq!(read(&bytes, chunk).map_err(|error| error.to_string()), whole);
        let mut lines = Json::new(Slow(&bytes, chunk), Layout::Lines);
        while lines.document().unwrap() {
            if lines.skip().and_then(|()| lines.end()).is_err() {
                lines.next_line().unwrap();
            }
        }
    }
}
