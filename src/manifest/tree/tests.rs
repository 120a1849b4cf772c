use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::manifest::diagnostic::Span;
use crate::manifest::tree::{MAX_BYTES, Node, NodeKind, decode, locate, parse};

fn slice(text: &str, span: Span) -> &str {
    &text[span.start..span.end]
}

/// The tree with the source text of every node, which shows values and spans at once.
fn outline(text: &str, node: &Node, level: usize, out: &mut String) {
    let pad = "  ".repeat(level);
    let source = slice(text, node.span);
    match &node.kind {
        NodeKind::Scalar(scalar) => {
            writeln!(out, "{pad}{:?} {:?} at {source:?}", scalar.style, scalar.text).unwrap();
        }
        NodeKind::Sequence(items) => {
            writeln!(out, "{pad}list at {source:?}").unwrap();
            for item in items {
                outline(text, item, level + 1, out);
            }
        }
        NodeKind::Mapping(entries) => {
            writeln!(out, "{pad}map at {source:?}").unwrap();
            for entry in entries {
                writeln!(out, "{pad}  {:?} at {:?}:", entry.key.text, slice(text, entry.key_span)).unwrap();
                outline(text, &entry.value, level + 2, out);
            }
        }
    }
}

fn outlined(text: &str) -> String {
    let mut out = String::new();
    outline(text, &parse(text).unwrap(), 0, &mut out);
    out
}

/// `rule at "source": message`, one line each.
fn errors(text: &str) -> String {
    let shown = |error: crate::manifest::diagnostic::Diagnostic| {
        let related = error.related.map(|other| format!(" ({}: {:?})", other.1, other.0)).unwrap_or_default();
        format!(
            "{} at {:?} {:?}: {}{related}\n",
            error.rule,
            error.span.start,
            slice(text, error.span),
            error.message
        )
    };
    parse(text).unwrap_err().into_iter().map(shown).collect()
}

#[test]
fn every_node_keeps_its_text_its_style_and_its_place() {
    let text = "é: ü\nlist:\n  - ß\n  - {a: 1.10, 'b': \"x\\ty\"}\nempty:\nlast: |\n  one\n    two\n\nfold: >-\n  a\n  b\n";
    insta::assert_snapshot!(outlined(text), @r#"
    map at "é: ü\nlist:\n  - ß\n  - {a: 1.10, 'b': \"x\\ty\"}\nempty:\nlast: |\n  one\n    two\n\nfold: >-\n  a\n  b"
      "é" at "é":
        Plain "ü" at "ü"
      "list" at "list":
        list at "- ß\n  - {a: 1.10, 'b': \"x\\ty\"}"
          Plain "ß" at "ß"
          map at "{a: 1.10, 'b': \"x\\ty\"}"
            "a" at "a":
              Plain "1.10" at "1.10"
            "b" at "'b'":
              Quoted "x\ty" at "\"x\\ty\""
      "empty" at "empty":
        Plain "" at "empty"
      "last" at "last":
        Block "one\n  two\n" at "one\n    two"
      "fold" at "fold":
        Block "a b" at "a\n  b"
    "#);
}

#[test]
fn a_value_that_is_not_there_is_shown_at_its_key_or_dash() {
    insta::assert_snapshot!(outlined("a:\n- \n- b\n-\nc: ~\n"), @r#"
    map at "a:\n- \n- b\n-\nc: ~"
      "a" at "a":
        list at "- \n- b\n-"
          Plain "" at "-"
          Plain "b" at "b"
          Plain "" at "-"
      "c" at "c":
        Plain "~" at "~"
    "#);
}

#[test]
fn an_alias_is_the_node_that_it_refers_to() {
    insta::assert_snapshot!(outlined("base: &b {x: 1}\nuse: *b\nlist: [*b, &c z, *c]\n"), @r#"
    map at "base: &b {x: 1}\nuse: *b\nlist: [*b, &c z, *c]"
      "base" at "base":
        map at "{x: 1}"
          "x" at "x":
            Plain "1" at "1"
      "use" at "use":
        map at "{x: 1}"
          "x" at "x":
            Plain "1" at "1"
      "list" at "list":
        list at "[*b, &c z, *c]"
          map at "{x: 1}"
            "x" at "x":
              Plain "1" at "1"
          Plain "z" at "z"
          Plain "z" at "z"
    "#);
}

#[test]
fn a_script_keeps_its_tabs() {
    let node = parse("run: |\n  if x\n  \techo 'a'\n").unwrap();
    let NodeKind::Mapping(entries) = &node.kind else { panic!("{node:?}") };
    assert_eq!(entries[0].value.scalar().unwrap().text, "if x\n\techo 'a'\n");
}

#[test]
fn tabs_are_refused_where_they_indent() {
    let mut found = String::new();
    for text in [
        "a:\n\tb: 1\n",
        "a:\n  b: 1\n\tc: 2\n",
        "a:\n - x\n\t- y\n",
        "\ta: 1\n",
        "a: |\n\tx\n",
        "a: [\n\t1\n]\n",
    ] {
        writeln!(found, "{text:?}: {}", errors(text).trim_end()).unwrap();
    }
    insta::assert_snapshot!(found, @r#"
    "a:\n\tb: 1\n": tab at 3 "\t": a tab indents this line, and YAML allows only spaces there
    "a:\n  b: 1\n\tc: 2\n": tab at 10 "\t": a tab indents this line, and YAML allows only spaces there
    "a:\n - x\n\t- y\n": tab at 8 "\t": a tab indents this line, and YAML allows only spaces there
    "\ta: 1\n": tab at 0 "\t": a tab indents this line, and YAML allows only spaces there
    "a: |\n\tx\n": tab at 5 "\t": a tab indents this line, and YAML allows only spaces there
    "a: [\n\t1\n]\n": tab at 5 "\t": a tab indents this line, and YAML allows only spaces there
    "#);
}

#[test]
fn what_a_manifest_may_not_use_of_yaml_is_refused_with_its_place() {
    let mut found = String::new();
    for text in [
        "",
        "# only\n",
        "---\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\n---\n",
        "a: 1\nb: 2\na: 3\n\"a\": 4\n",
        "a: !!str 1\n",
        "a: ! 1\n",
        "a: !e!x 1\n",
        "b: &b {}\na:\n  <<: *b\n",
        "? [a]\n: b\n",
        "a: &a 1\n*a : 2\n",
        "&a [*a]",
        "a: *b\n",
        "a: 'x\nb: 1\n",
        "a: [1, 2\nb: 3\n",
        "a: b: c\n",
        "é: @x\n",
    ] {
        writeln!(found, "{text:?}\n  {}", errors(text).trim_end().replace('\n', "\n  ")).unwrap();
    }
    insta::assert_snapshot!(found, @r##"
    ""
      empty-document at 0 "": the manifest is empty
    "# only\n"
      empty-document at 0 "": the manifest is empty
    "---\n"
      empty-document at 0 "": the manifest is empty
    "a: 1\n---\nb: 2\n"
      several-documents at 5 "---": a second YAML document begins here
    "a: 1\n---\n"
      several-documents at 5 "---": a second YAML document begins here
    "a: 1\nb: 2\na: 3\n\"a\": 4\n"
      duplicate-key at 10 "a": the key `a` is written twice (first written here: Span { start: 0, end: 1 })
      duplicate-key at 15 "\"a\"": the key `a` is written twice (first written here: Span { start: 0, end: 1 })
    "a: !!str 1\n"
      tag at 3 "!!str": YAML tags are not allowed in a manifest
    "a: ! 1\n"
      tag at 3 "!": YAML tags are not allowed in a manifest
    "a: !e!x 1\n"
      tag at 3 "!": YAML tags are not allowed in a manifest
    "b: &b {}\na:\n  <<: *b\n"
      merge-key at 14 "<<": merge keys are not allowed in a manifest
    "? [a]\n: b\n"
      complex-key at 2 "[": a key must be a plain or quoted text
    "a: &a 1\n*a : 2\n"
      complex-key at 8 "*a": a key must be a plain or quoted text
    "&a [*a]"
      alias-cycle at 4 "*a": this alias stands inside what it refers to
    "a: *b\n"
      yaml-syntax at 3 "*": this alias has no anchor before it
    "a: 'x\nb: 1\n"
      yaml-syntax at 6 "b": not valid YAML: invalid indentation in multiline quoted scalar
    "a: [1, 2\nb: 3\n"
      yaml-syntax at 9 "b": not valid YAML: invalid indentation
    "a: b: c\n"
      yaml-syntax at 4 ":": not valid YAML: mapping values are not allowed in this context
    "é: @x\n"
      yaml-syntax at 4 "@": not valid YAML: unexpected character: `@'
    "##);
}

#[test]
fn several_mistakes_are_reported_together() {
    let found = parse("a: !x 1\nb: !y 2\n").unwrap_err();
    assert_eq!(found.len(), 2);
    let found = parse("a: {x: 1, x: 2}\nb: {y: 1, y: 2}\n").unwrap_err();
    assert_eq!(found.len(), 2);
}

#[test]
fn nesting_is_allowed_up_to_its_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(32)).is_ok());
    assert_eq!(parse(&nested(33)).unwrap_err()[0].rule, "too-deep");
    let deep = format!("a: &a {}\nb: [[*a]]\n", nested(30));
    assert_eq!(parse(&deep).unwrap_err()[0].rule, "too-deep", "an alias is as deep as what it refers to");
}

#[test]
fn aliases_cannot_multiply() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert_eq!(parse(&bomb).unwrap_err()[0].rule, "too-large");
    let many = format!("a: &a x\nb: [{}]\n", vec!["*a"; 101].join(", "));
    assert_eq!(parse(&many).unwrap_err()[0].rule, "alias-limit");
}

#[test]
fn hostile_texts_are_refused_or_read_at_once() {
    let repeated = |unit: &str| unit.repeat(200_000 / unit.len());
    let mut hostile: Vec<String> = [
        "[", "{", "{a: ", "- ", "? ", "[a,", ": ", "'", "\"\\", "&a ", "!a ", "*a ", "a\n", "- a\n", "#\n",
        "\n", "%A\n", "---\n", "\t", "? a\n",
    ]
    .into_iter()
    .map(repeated)
    .collect();
    hostile.push((0..700).flat_map(|level| [" ".repeat(level), "a:\n".to_owned()]).collect());
    hostile.push((0..18_000).flat_map(|key: u32| [key.to_string(), ": v\n".to_owned()]).collect());
    for text in hostile {
        let start = Instant::now();
        let outcome = parse(&text).is_ok();
        // Measured below 0.1 s without optimisation; what is quadratic here takes minutes.
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}… ({outcome})", &text[..8]);
    }
}

#[test]
fn bytes_become_text_or_a_diagnostic_that_can_be_shown() {
    assert_eq!(decode(b"\xEF\xBB\xBFa: 1\n").unwrap(), "a: 1\n");
    assert_eq!(decode("a: \u{e9}\r\n".as_bytes()).unwrap(), "a: \u{e9}\r\n");
    let (text, error) = decode(b"a: \xC3\xA9\nb: \xFF\n").unwrap_err();
    assert_eq!((error.rule, slice(&text, error.span)), ("not-utf-8", "\u{fffd}"));
    let (text, error) = decode(b"a: \0\n").unwrap_err();
    assert_eq!((error.rule, slice(&text, error.span)), ("control-character", "\0"));
    assert!(decode(&vec![b'#'; MAX_BYTES]).is_ok());
    let (text, error) = decode(&vec![0xFF; MAX_BYTES + 1]).unwrap_err();
    assert_eq!(error.rule, "too-large");
    assert!(text.len() < 10_000);
    assert!(decode(b"\xC3").unwrap_err().1.span.end > 0, "a file that ends inside a character");
}

/// What `wanted` of the scalar at key `a` points at in the file.
fn located<'a>(text: &'a str, wanted: &str) -> &'a str {
    let node = parse(text).unwrap();
    let NodeKind::Mapping(entries) = &node.kind else { panic!("{node:?}") };
    let value = &entries[0].value;
    let start = value.scalar().unwrap().text.find(wanted).unwrap();
    slice(text, locate(value, text, start..start + wanted.len()))
}

#[test]
fn a_caret_finds_its_place_inside_a_scalar() {
    assert_eq!(located("a: é ${{ x }} b\n", "x }"), "x }");
    assert_eq!(located("a: 'é ${{ x }} b'\n", "x }"), "x }");
    assert_eq!(located("a: 'it''s ${{ x == ''y'' }}'\n", "x == 'y'"), "x == ''y'");
    assert_eq!(located("a: \"é ${{ x }}\"\n", "x }"), "x }");
    assert_eq!(located("a: \"x \\t y\"\n", "x"), "x");
    assert_eq!(located("a: |\n  one é\n    two ${{ x }}\n  three\n", "x }"), "x }");
    assert_eq!(located("a: |2\n\n\n    one\n   two\n", "two"), "two");
    assert_eq!(located("a: |\r\n  one\r\n  two\r\n", "two"), "two");
    assert_eq!(located("a: >\n  one\n  two\n", "one"), "one\n  two", "a fold is not exact");
    assert_eq!(located("a: >\n  one\n", "one"), "one");
}

#[test]
fn a_caret_that_cannot_be_placed_covers_the_scalar() {
    assert_eq!(located("a: \"\\t ${{ x }}\"\n", "x }"), "\"\\t ${{ x }}\"");
    assert_eq!(located("a: one\n  two\n", "two"), "one\n  two");
    let node = parse("a: b\n").unwrap();
    assert_eq!(locate(&node, "a: b\n", 0..1), node.span, "a map has no text");
}

proptest! {
    #[test]
    fn nothing_panics_and_every_place_lies_in_the_text(text in "[-a:&*!|>'\"{}\\[\\],?#% \t\n\r<é\u{feff}0]{0,60}") {
        match parse(&text) {
            Ok(node) => {
                let mut nodes = vec![&node];
                while let Some(node) = nodes.pop() {
                    prop_assert!(text.get(node.span.start..node.span.end).is_some(), "{node:?}");
                    match &node.kind {
                        NodeKind::Scalar(scalar) => {
                            let half = scalar.text.len() / 2;
                            for range in [0..scalar.text.len(), half..scalar.text.len(), half..half] {
                                let span = locate(node, &text, range);
                                prop_assert!(node.span.start.saturating_sub(60) <= span.start && span.end <= text.len());
                            }
                        }
                        NodeKind::Sequence(items) => nodes.extend(items),
                        NodeKind::Mapping(entries) => nodes.extend(entries.iter().map(|entry| &entry.value)),
                    }
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn exact_places_hold_the_same_bytes(value in "[a-zé ']{1,20}") {
        let trimmed = value.trim();
        prop_assume!(!trimmed.is_empty());
        for source in [format!("'{}'", trimmed.replace('\'', "''")), format!("\"{trimmed}\""), format!("|\n  {trimmed}\n")] {
            let node = parse(&source).unwrap();
            let scalar = node.scalar().unwrap();
            for (start, c) in scalar.text.char_indices().filter(|(_, c)| *c != '\n') {
                let span = locate(&node, &source, start..start + c.len_utf8());
                prop_assert_eq!(slice(&source, span), c.to_string());
            }
        }
    }
}
