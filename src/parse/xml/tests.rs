use proptest::prelude::*;

use super::*;
use crate::manifest::model::Parser;
use crate::parse::options::{MAX_MESSAGE, Options};
use crate::parse::testing::{Slow, repeated, shown};

/// The tokens of a document, a line each.
fn tokens(input: impl Read) -> String {
    use std::fmt::Write as _;
    let mut lines = String::new();
    let mut text = String::new();
    let mut broken = Vec::new();
    let options = Options::default();
    let mut sink = |item| broken.push(format!("{item:?}"));
    let mut out = Output::new("xml", &options, &mut sink);
    let result = walk(input, &mut out, |depth, token, _| {
        if !matches!(token, Token::Text(_)) && !text.trim().is_empty() {
            let _ = writeln!(lines, "text {:?}", text.trim());
        }
        let mut whole = true;
        match token {
            Token::Start(tag) => {
                text.clear();
                let _ = write!(lines, "{depth} {}", tag.name());
                whole = tag.attributes(|name, value| {
                    let _ = write!(lines, " {name}={value:?}");
                });
                lines.push('\n');
            }
            Token::End => {
                text.clear();
                let _ = writeln!(lines, "{depth} end");
            }
            Token::Text(piece) => piece.append(&mut text, 1 << 20),
        }
        Ok(whole)
    });
    for line in broken {
        let _ = writeln!(lines, "{line}");
    }
    if let Err(error) = result {
        let _ = writeln!(lines, "error: {error}");
    }
    lines
}

#[test]
fn tags_text_and_references() {
    insta::assert_snapshot!(tokens(&b"<?xml version='1.0'?><!-- <no> -->\n<a:b x:c = '1&lt;&#x41;&#10;&#0;&#xD800;&#x1B;&nbsp;&' d=\"'>'\"><e/>t&amp;u<![CDATA[<&amp;]]]]>v<?p ?><!--w-->x</a:b >\n<!-- end -->"[..]), @r#"
    1 b c="1<A\n��\u{1b}&nbsp;&" d="'>'"
    2 e
    2 end
    text "t&u<&amp;]]vx"
    1 end
    "#);
}

#[test]
fn nothing_of_a_document_type_is_followed() {
    let bomb = br#"<!DOCTYPE a [<!ENTITY x "y>'"><!ENTITY z "&x;&x;"><!ENTITY f SYSTEM "file:///etc/passwd"> <!-- ]> ' --> <?p ]>" ?>]><a b="&z;">&f;</a>"#;
    insta::assert_snapshot!(tokens(&bomb[..]), @r#"
    1 a b="&z;"
    text "&f;"
    1 end
    "#);
}

#[test]
fn what_is_no_document_is_refused_at_its_place() {
    let error = |text: &str| tokens(text.as_bytes()).lines().last().unwrap_or_default().to_owned();
    let cases = [
        "",
        "  \n",
        "text",
        "{\"a\": 1}",
        "<a>",
        "<a",
        "<a b='",
        "<a></b>",
        "</a>",
        "<a/>text",
        "<a/><b/>",
        "<>",
        "<1/>",
        "<a><![CDATA[",
        "<a><!-- ",
        "<?xml",
        "<!DOCTYPE a [",
        "<a><!x></a>",
        "<?xml version='1.0' encoding='nonsense'?><a/>",
    ];
    let all: Vec<String> = cases.into_iter().map(|case| format!("{case:?} {}\n", error(case))).collect();
    insta::assert_snapshot!(all.concat(), @r#"
    "" error: the document has no element at byte 0
    "  \n" error: the document has no element at byte 3
    "text" error: this is not XML: it does not begin with a tag at byte 0
    "{\"a\": 1}" error: this is not XML: it does not begin with a tag at byte 0
    "<a>" error: the document ends inside <a> at byte 3
    "<a" error: the document ends inside a tag at byte 2
    "<a b='" error: the document ends inside a tag at byte 6
    "<a></b>" error: </b> where </a> should be at byte 3
    "</a>" error: </a> without a beginning at byte 0
    "<a/>text" error: there is text after the root element at byte 4
    "<a/><b/>" error: a second root element at byte 4
    "<>" error: a tag without a name at byte 0
    "<1/>" error: a tag without a name at byte 0
    "<a><![CDATA[" error: the document ends inside a CDATA section at byte 12
    "<a><!-- " error: the document ends inside a comment at byte 8
    "<?xml" error: the document ends inside a processing instruction at byte 5
    "<!DOCTYPE a [" error: the document ends inside its type at byte 13
    "<a><!x></a>" error: a declaration that no XML has here at byte 3
    "<?xml version='1.0' encoding='nonsense'?><a/>" error: there is no encoding "nonsense" at byte 0
    "#);
}

#[test]
fn broken_attributes_are_told_and_the_rest_is_read() {
    insta::assert_snapshot!(tokens(&b"<r><a b c='1'/><a b=x c='2'/><a c='3' c='4'/></r>"[..]), @r#"
    1 r
    2 a c="1"
    2 end
    2 a c="2"
    2 end
    2 a c="3" c="4"
    2 end
    1 end
    Broken { offset: 3, message: "a tag with broken attributes" }
    Broken { offset: 15, message: "a tag with broken attributes" }
    "#);
}

#[test]
fn depth_and_names_are_bounded() {
    let deep = "<a>".repeat(MAX_DEPTH + 1);
    assert!(
        tokens(deep.as_bytes()).ends_with("error: more than 128 elements inside each other at byte 384\n")
    );
    let name = format!("<{}/>", "a".repeat(MAX_NAME + 1));
    assert!(tokens(name.as_bytes()).ends_with("error: a tag without a name at byte 0\n"));
    let end = format!("<a></{}", "a".repeat(1 << 20));
    assert!(tokens(end.as_bytes()).ends_with("error: a tag that does not end at byte 3\n"));
}

#[test]
fn a_value_without_end_is_cut_and_what_follows_is_read() {
    let tail = b"\" d='x>y' e=\"f\"/><g>z</g></a>";
    let head = b"<a><b x='1' c=\"&lt;";
    for total in [100, window::SIZE, 3 << 20] {
        let lines = tokens(repeated(head, "né".as_bytes(), total, tail));
        let mut lines = lines.lines();
        assert_eq!(lines.next(), Some("1 a"));
        let tag = lines.next().unwrap();
        assert!(
            tag.starts_with("2 b x=\"1\" c=\"<nénén") && tag.ends_with(" d=\"x>y\" e=\"f\""),
            "{}",
            &tag[tag.len() - 99..]
        );
        assert!(tag.len() < 2 * MAX_MESSAGE);
        assert_eq!(lines.collect::<Vec<_>>(), ["2 end", "2 g", "text \"z\"", "2 end", "1 end"]);
    }
    let attributes = "a='x' ".repeat(1 << 16);
    let tag = format!("<r><t {attributes}/></r>");
    assert!(tokens(tag.as_bytes()).ends_with("error: a tag that is too long at byte 3\n"));
}

#[test]
fn the_place_after_a_value_that_was_cut_is_right() {
    let value = "v".repeat(2 * window::SIZE);
    let document = format!("<a><b c='{value}' d/><e f/></a>");
    let lines = tokens(document.as_bytes());
    let second = document.find("<e").unwrap();
    assert!(lines.contains("Broken { offset: 3,"), "{}", &lines[lines.len() - 200..]);
    assert!(lines.contains(&format!("Broken {{ offset: {second},")), "{}", &lines[lines.len() - 200..]);
}

#[test]
fn text_of_any_length_comes_whole() {
    for body in ["abc &amp; ]] ", "&#x41;", "é"] {
        for section in [false, true] {
            let (head, tail) = if section { ("<a><![CDATA[", "]]></a>") } else { ("<a>", "</a>") };
            let mut seen = String::new();
            let options = Options::default();
            let mut sink = |_| {};
            let mut out = Output::new("xml", &options, &mut sink);
            let total = 700_000;
            let input = repeated(head.as_bytes(), body.as_bytes(), total, tail.as_bytes());
            walk(input, &mut out, |_, token, _| {
                if let Token::Text(text) = token {
                    text.append(&mut seen, usize::MAX);
                }
                Ok(true)
            })
            .unwrap();
            let one =
                if section { body.to_owned() } else { body.replace("&amp;", "&").replace("&#x41;", "A") };
            assert_eq!(seen, one.repeat(total / body.len()), "{body}");
        }
    }
}

/// `text` in an encoding, with the mark or the declaration that it needs.
fn encoded(text: &str, how: &str) -> Vec<u8> {
    let units = |text: &str| std::iter::once(0xFEFF).chain(text.encode_utf16()).collect::<Vec<u16>>();
    match how {
        "utf-16le" => units(text).into_iter().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => units(text).into_iter().flat_map(u16::to_be_bytes).collect(),
        "utf-8 marked" => [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        label => {
            let text = format!("<?xml version=\"1.0\" encoding=\"{label}\"?>{text}");
            encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(&text).0.into_owned()
        }
    }
}

#[test]
fn every_declared_encoding_is_read() {
    let expected = "1 a b=\"äß\"\ntext \"é\"\n1 end\n";
    for how in [
        "utf-16le",
        "utf-16be",
        "utf-8 marked",
        "utf-8",
        "ISO-8859-1",
        "windows-1252",
        "iso-8859-15",
        "gb18030",
    ] {
        assert_eq!(tokens(&encoded("<a b='äß'>é</a>", how)[..]), expected, "{how}");
    }
    let russian = encoded("<a>Привет</a>", "koi8-r");
    assert_eq!(tokens(&russian[..]), "1 a\ntext \"Привет\"\n1 end\n");
    let japanese = encoded("<a>日本語</a>", "Shift_JIS");
    assert_eq!(tokens(&japanese[..]), "1 a\ntext \"日本語\"\n1 end\n");
    let unmarked: Vec<u8> = "<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(tokens(&unmarked[..]), "1 a\ntext \"é\"\n1 end\n");
    let really_utf8 = "<?xml version='1.0' encoding='utf-16'?><a>é</a>";
    assert_eq!(tokens(really_utf8.as_bytes()), "1 a\ntext \"é\"\n1 end\n");
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    insta::assert_snapshot!(tokens(&b"<a>1\xFF2</a>"[..]), @r#"
    1 a
    text "1�2"
    1 end
    Broken { offset: 4, message: "bytes that are no UTF-8" }
    "#);
    insta::assert_snapshot!(tokens(&b"\xFF\xFE<\0a\0>\0\0\xD8<\0/\0a\0>\0"[..]), @r#"
    1 a
    text "�"
    1 end
    Broken { offset: 8, message: "bytes that are no UTF-16LE" }
    "#);
}

#[test]
fn offsets_are_those_of_the_input() {
    for how in ["utf-16le", "utf-16be", "utf-8 marked", "ISO-8859-1"] {
        let document = encoded("<a>ä<b c/>", how);
        let tag = encoded("<a>ä", how).len();
        let lines = tokens(&document[..]);
        assert!(lines.contains(&format!("offset: {tag},")), "{how} {lines}");
        assert!(lines.contains(&format!("<a> at byte {}", document.len())), "{how} {lines}");
    }
}

/// Pieces from which documents are put together, whole and broken.
const PIECES: [&str; 34] = [
    "<testsuites>",
    "</testsuites>",
    "<testsuite name='s'>",
    "</testsuite>",
    "<testcase name='n' time='1'>",
    "</testcase>",
    "<testcase name='n'/>",
    "<failure message='m'>",
    "</failure>",
    "<error/>",
    "<skipped/>",
    "<test-run>",
    "</test-run>",
    "<test-suite name='s' site='SetUp'>",
    "</test-suite>",
    "<test-case name='c' result='Failed'>",
    "</test-case>",
    "<message>",
    "</message>",
    "<TestRun>",
    "</TestRun>",
    "<UnitTestResult outcome='Failed'>",
    "</UnitTestResult>",
    "<checkstyle>",
    "</checkstyle>",
    "<file name='f'>",
    "</file>",
    "<![CDATA[",
    "]]>",
    "<!-- ",
    "-->",
    "&amp;",
    "é",
    "<a b>",
];

const PARSERS: [Parser; 5] = [Parser::Junit, Parser::Nunit, Parser::Trx, Parser::Pester, Parser::Checkstyle];

proptest! {
    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for parser in PARSERS {
            let _ = shown(parser, &bytes);
        }
    }

    #[test]
    fn any_markup_may_come(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)) {
        let text = pieces.concat();
        for parser in PARSERS {
            let _ = shown(parser, &text);
        }
    }

    #[test]
    fn chunks_do_not_matter(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24), chunk in 1usize..9) {
        let text = pieces.concat();
        prop_assert_eq!(tokens(text.as_bytes()), tokens(Slow(text.as_bytes(), chunk)));
    }

    #[test]
    fn text_comes_back(text in "[a-z<>&\"'é😀\r\n]{0,40}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let document = format!("<a b=\"{escaped}\">{escaped}</a>");
        let lines = tokens(document.as_bytes());
        let value = format!("1 a b={text:?}\n");
        prop_assert!(lines.starts_with(&value), "{}", lines);
    }
}

#[test]
fn bytes_that_are_no_text_are_told_once_and_in_their_place_whatever_the_pieces() {
    let document = [b"<a><b/>", &b"x".repeat(20_000)[..], b"\xFF<c/>\xFE</a>"].concat();
    let whole = tokens(&document[..]);
    assert_eq!(whole.matches("no UTF-8").count(), 1, "{whole}");
    for piece in [1, 7, 100, 9000] {
        assert_eq!(tokens(Slow(&document, piece)), whole, "{piece} bytes at a time");
    }
}
