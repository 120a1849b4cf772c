//! What holds for every format here that is read from JSON or from lines: the pieces in which a report comes change
//! nothing, and no bytes do harm.

use std::io::{self, Read};

use proptest::prelude::*;

use crate::manifest::model::Parser;
use crate::parse::errorformat::Errorformat;
use crate::parse::options::Options;
use crate::parse::{LineFormat, file, told};

/// A report of each format, with something of everything in it.
const REPORTS: [(Parser, &str); 6] = [
    (
        Parser::Sarif,
        r#"{"$schema": "x", "version": "2.1.0", "runs": [{"results": [
            {"ruleIndex": 0, "message": {"id": "m", "arguments": ["ä", "\ud83d\ude00"]}, "partialFingerprints": {"a/v1": "b"},
             "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a%20b.c", "uriBaseId": "S"}, "region": {"startLine": 3, "endColumn": 7}}}],
             "codeFlows": [{"threadFlows": [{"locations": [{"location": {"message": {"text": "s"}}}, {}]}]}], "suppressions": []}, null, 7],
            "originalUriBaseIds": {"S": {"uri": "file:///w/"}}, "artifacts": [{"location": {"uri": "x"}, "parentIndex": 0}],
            "tool": {"driver": {"name": "t", "rules": [{"id": "R", "messageStrings": {"m": {"text": "{0} {{1}} {1}"}}}]}, "extensions": []}}]}"#,
    ),
    (
        Parser::Rdjson,
        r#"{"diagnostics": [{"message": "m", "severity": 2, "location": {"path": "a.c", "range": {"start": {"line": 1, "column": 2}}}},
            {"message": 1}, {"message": "\u00e4"}], "source": {"name": "s"}, "severity": "INFO"}"#,
    ),
    (
        Parser::Rdjsonl,
        "{\"message\": \"one\"}\r\n{\"message\n\n{\"location\": {\"path\": \"ä\"}} \n[1]\n{\"message\": \"t\\n\"}",
    ),
    (
        Parser::Ruff,
        r#"[{"code": null, "filename": "a.py", "message": "m", "location": {"row": 1, "column": 2}, "fix": {"message": "f", "edits": [{}]}}, {}]"#,
    ),
    (
        Parser::Psscriptanalyzer,
        r#"[{"RuleName": "R", "Severity": 1, "Message": "m", "ScriptPath": "C:\\a.ps1", "Extent": {"StartLineNumber": 3}}, {"Extent": "x"}]"#,
    ),
    (Parser::Errorformat, "begin a.c:3: Warning: x\n  more ä\n::error::no\nin file z\n4: late\r\n\n"),
];

fn format(parser: Parser) -> LineFormat {
    if parser != Parser::Errorformat {
        return LineFormat::default();
    }
    let patterns = ["%Abegin %f:%l: %t%*[a-z]: %m", "%C  %m", "%-Pin file %f", "%l: %m", "%-Q"];
    LineFormat::Errorformat(Errorformat::compile(patterns).unwrap())
}

/// Gives `chunk` bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn read(parser: Parser, bytes: &[u8], chunk: usize) -> String {
    told(|sink| file(parser, &Options::default(), format(parser), Slow(bytes, chunk), sink))
}

#[test]
fn every_report_has_something_to_tell_and_comes_in_utf16_too() {
    for (parser, text) in REPORTS {
        let out = read(parser, text.as_bytes(), usize::MAX);
        assert!(out.contains(" failure ") || out.contains(" warning "), "{out}");
        assert!(!out.contains("error: "), "{out}");
        // Places of what is broken are those of the decoded text, so they stay the same.
        let utf16: Vec<u8> =
            "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(parser, &utf16, 7), out);
        assert_eq!(read(parser, &["\u{FEFF}", text].concat().into_bytes(), 5), out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_pieces_do_not_matter(chunk in 1usize..64) {
        for (parser, text) in REPORTS {
            prop_assert_eq!(read(parser, text.as_bytes(), chunk), read(parser, text.as_bytes(), usize::MAX));
        }
    }

    /// Some bytes are changed, doubled or lost: the end is items or an error, and the same in any pieces.
    #[test]
    fn damage_does_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
        chunk in 1usize..64,
    ) {
        for (parser, text) in REPORTS {
            let mut bytes = text.as_bytes().to_vec();
            for (at, byte, how) in &changes {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = *byte,
                    1 => bytes.insert(at, *byte),
                    _ => drop(bytes.drain(at..bytes.len().min(at + usize::from(*byte)))),
                }
                bytes.push(b' ');
            }
            prop_assert_eq!(read(parser, &bytes, chunk), read(parser, &bytes, usize::MAX));
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\u1d8\n"[..])], 0..80), chunk in 1usize..9) {
        for (parser, _) in REPORTS {
            prop_assert_eq!(read(parser, &bytes, chunk), read(parser, &bytes, usize::MAX));
        }
    }

    #[test]
    fn depth_has_an_end(depth in 500usize..5000, open in prop::sample::select(&["[", "{\"runs\":", "{\"a\":[", "[{\"message\":"][..])) {
        for (parser, _) in REPORTS {
            let _ = read(parser, open.repeat(depth).as_bytes(), usize::MAX);
        }
    }
}
