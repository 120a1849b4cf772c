use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// One line of text for each finding in `text`.
fn found(patterns: &[&str], text: &str) -> String {
    let mut out = String::new();
    let mut tell = |f: Finding| {
        let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let _ = writeln!(
            out,
            "{} {} {}-{} {}-{} {} {:?}",
            f.level.as_str(),
            f.path.as_deref().unwrap_or("-"),
            number(f.start_line),
            number(f.end_line),
            number(f.start_column),
            number(f.end_column),
            f.rule.as_deref().unwrap_or("-"),
            f.message
        );
    };
    let options = Options::default();
    let mut errorformat = Errorformat::compile(patterns.iter().copied()).unwrap();
    for line in text.lines() {
        errorformat.line(line, &options, &mut tell);
    }
    errorformat.finish(&options, &mut tell);
    out
}

#[test]
fn every_part_has_its_place() {
    let patterns = ["%f:%l-%e:%c-%k: %t%*[^ ] %n: %m", "%f|%v| %m"];
    insta::assert_snapshot!(found(&patterns, "a.c:1-2:3-4: Warning 12: text\nC:\\x\\b.c:5-5:9-7: note 1: t\nb.c|7| no line"), @r#"
    warning a.c 1-2 3-4 12 "text"
    notice C:/x/b.c 5-- 9-- 1 "t"
    failure b.c --- --- - "no line"
    "#);
}

#[test]
fn a_message_may_have_several_lines() {
    let gcc = ["%EError %n", "%Cline %l", "%Ccolumn %c", "%Z%m"];
    insta::assert_snapshot!(found(&gcc, "Error 275\nline 42\ncolumn 3\nexpected\nError 1\nother\nError 2"), @r#"
    failure - 42-- 3-- 275 "expected"
    failure - --- --- 1 "other"
    failure - --- --- 2 "no message"
    "#);
    let python = ["%C %.%#", "%A  File \"%f\", line %l%.%#", "%Z%\\b%m"];
    let traceback = "Traceback:\n  File \"t.py\", line 89, in testFoo\n    self.fail()\n  File \"u.py\", line 2\nAssertionError: 34 != 33\n\nRan";
    insta::assert_snapshot!(found(&python, traceback), @r#"failure t.py 89-- --- - "AssertionError: 34 != 33""#);
    let pointer = ["%E%f:%l: %m", "%C%.%#x", "%Z%p^", "%-G%.%#"];
    insta::assert_snapshot!(found(&pointer, "a:1: one\n x\n\t  ^\nb:2: two\nnoise\n ^\nc:3: three"), @r#"
    failure a 1-- 11-- - "one"
    failure b 2-- --- - "two"
    failure c 3-- --- - "three"
    "#);
}

#[test]
fn what_is_left_out_takes_its_further_lines_along() {
    let patterns = ["%-Askip %m", "%Efind %m", "%C| %m", "%-G%.%#"];
    insta::assert_snapshot!(found(&patterns, "skip a\n| more\nfind b\n| more\nx\n| left out\nfind c"), @r#"
    failure - --- --- - "b\nmore"
    failure - --- --- - "c"
    "#);
}

#[test]
fn files_and_folders_hold_for_the_lines_below() {
    let blocks = ["%+P[%f]", "(%l,%c)%*[ ]%t%*[^:]: %m", "%-Q"];
    insta::assert_snapshot!(found(&blocks, "[a.tt]\n(1,17)  error: one\n\n[b.tt]\nNEW v1\n(2,2)   warning: two\n\n(3,3) note: three"), @r#"
    failure a.tt 1-- 17-- - "one"
    warning b.tt 2-- 2-- - "two"
    notice - 3-- 3-- - "three"
    "#);
    let remark = ["%-P%f", "%#%l:%c %# %trror %m", "%#%l:%c %# %tarning %m", "%-Q", "%-G%.%#"];
    insta::assert_snapshot!(found(&remark, "doc/a b.md\n 25:3  warning Indent\n1:1 error First\n\n2 warnings"), @r#"
    warning doc/a b.md 25-- 3-- - "Indent"
    failure doc/a b.md 1-- 1-- - "First"
    "#);
    let make =
        ["%Dmake[%*\\d]: Entering directory '%f'", "%Xmake[%*\\d]: Leaving directory '%f'", "%f:%l: %m"];
    insta::assert_snapshot!(found(&make, "make[1]: Entering directory '/w/sub'\na.c:1: one\n/b.c:2: two\nmake[1]: Leaving directory '/w/sub'\na.c:3: three"), @r#"
    failure /w/sub/a.c 1-- --- - "one"
    failure /b.c 2-- --- - "two"
    failure a.c 3-- --- - "three"
    "#);
    let rest = ["%O==%*[^ ]%r", "%f:%l:%m"];
    insta::assert_snapshot!(found(&rest, "==12== a.c:1:behind\n==12=="), @r#"failure a.c 1-- --- - "behind""#);
}

#[test]
fn patterns_are_read_as_vim_and_reviewdog_read_them() {
    let cases = [
        ("%f:%m", "c:/foo/bar.c:msg:14"),
        ("%f:%m", "hoge/c:/foo/bar.c:msg"),
        ("%f:%l:%m", "/path/t\\ o/file:1:x"),
        ("%f:%l:%m", "no blank/file:1:x"),
        ("%[a-i]%m", "hoge"),
        ("%[%^a-i]%m", "hoge"),
        ("%*[]x]%m", "]x]y"),
        ("{%l} %m", "{14} msg"),
        ("\\ %#%f(%l\\\\\\,%c):\\ %m", "  a.cs(2,3): x"),
        ("%l%.%#100%% %m", "7 of 100% x"),
        ("%\\d%\\+%m", "1+x"),
        ("%\\d%+ %m", "12 x"),
        ("%*\\D%l%m", "abc12x"),
        ("%.%+%\\sx%?%m", "a xy"),
        ("%trror: %m", "Error: any case"),
        ("\\[%l\\]\\.%m", "[1].x"),
        ("%>%f|%l| %m", "a|1| x"),
    ];
    let mut shown = String::new();
    for (pattern, line) in cases {
        let out = found(&[pattern], line);
        let _ = writeln!(
            shown,
            "{pattern}  {line}  => {}",
            if out.is_empty() { "nothing" } else { out.trim_end() }
        );
    }
    insta::assert_snapshot!(shown, @r#"
    %f:%m  c:/foo/bar.c:msg:14  => failure c:/foo/bar.c --- --- - "msg:14"
    %f:%m  hoge/c:/foo/bar.c:msg  => failure hoge/c --- --- - "/foo/bar.c:msg"
    %f:%l:%m  /path/t\ o/file:1:x  => failure /path/t o/file 1-- --- - "x"
    %f:%l:%m  no blank/file:1:x  => nothing
    %[a-i]%m  hoge  => failure - --- --- - "oge"
    %[%^a-i]%m  hoge  => nothing
    %*[]x]%m  ]x]y  => failure - --- --- - "y"
    {%l} %m  {14} msg  => failure - 14-- --- - "msg"
    \ %#%f(%l\\\,%c):\ %m    a.cs(2,3): x  => failure a.cs 2-- 3-- - "x"
    %l%.%#100%% %m  7 of 100% x  => failure - 7-- --- - "x"
    %\d%\+%m  1+x  => failure - --- --- - "x"
    %\d%+ %m  12 x  => failure - --- --- - "x"
    %*\D%l%m  abc12x  => failure - 12-- --- - "x"
    %.%+%\sx%?%m  a xy  => failure - --- --- - "y"
    %trror: %m  Error: any case  => failure - --- --- - "any case"
    \[%l\]\.%m  [1].x  => failure - 1-- --- - "x"
    %>%f|%l| %m  a|1| x  => failure a 1-- --- - "x"
    "#);
}

#[test]
fn what_cannot_be_used_is_named_with_its_place() {
    let cases = ["%", "a%y", "x%-G", "%*x", "%[abc", "%*[", "%m%m", "%+", "(%#%#", "%\\z", "%f%"];
    let mut shown = String::new();
    for pattern in cases {
        let error = Errorformat::compile([pattern]).map(|_| ()).unwrap_err();
        let _ = writeln!(shown, "{error}");
    }
    insta::assert_snapshot!(shown, @r#"
    the errorformat "%" cannot be used: it ends with a `%`; a percent sign is `%%` at its character 1
    the errorformat "a%y" cannot be used: there is no `%y` at its character 3
    the errorformat "x%-G" cannot be used: `%-` belongs to the beginning at its character 3
    the errorformat "%*x" cannot be used: `%*` must be followed by `[` or `\` at its character 3
    the errorformat "%[abc" cannot be used: the `[` has no `]` at its character 2
    the errorformat "%*[" cannot be used: the `[` has no `]` at its character 3
    the errorformat "%m%m" cannot be used: `%m` may occur only once at its character 4
    the errorformat "%+" cannot be used: `%+` has nothing to repeat at its character 2
    the errorformat "(%#%#" cannot be used: `%#` has nothing to repeat at its character 5
    the errorformat "%\\z" cannot be used: there is no `%\z` at its character 3
    the errorformat "%f%" cannot be used: it ends with a `%`; a percent sign is `%%` at its character 3
    "#);
    assert!(Errorformat::compile([&*"%f".repeat(3000)]).is_err());
}

#[test]
fn the_next_line_begins_where_it_is_told_to() {
    let patterns = ["first %m", "%>again %m", "%-G%.%#"];
    assert_eq!(found(&patterns, "again a\nfirst b\nagain c\nagain d").lines().count(), 3);
}

#[test]
fn hostile_output_does_not_grow_anything() {
    let patterns = ["%Pin %f", "%Dto %f", "%E%f:%l:%m", "%C %m"];
    let long = format!(" {}\n", "x".repeat(50_000));
    let text = "in a\nto b\n".repeat(1000) + "f:1:m\n" + &long.repeat(40);
    let options = Options::default();
    let mut errorformat = Errorformat::compile(patterns).unwrap();
    for line in text.lines() {
        errorformat.line(line, &options, &mut |_| {});
    }
    let state = &errorformat.state;
    assert_eq!((state.files.len(), state.folders.len()), (MAX_OPEN, MAX_OPEN));
    assert!(state.pending.as_ref().unwrap().message.len() <= 2 * MAX_MESSAGE);
}

proptest! {
    #[test]
    fn any_pattern_is_compiled_or_refused(pattern in "[%a-zA-Z\\\\\\[\\]^$.*+?#>(){}|-]{0,12}", lines in prop::collection::vec("[a-e0-9:\\[\\] ]{0,12}", 0..5)) {
        if let Ok(mut errorformat) = Errorformat::compile([&*pattern, "%C%m", "%f:%l:%m"]) {
            for line in lines {
                errorformat.line(&line, &Options::default(), &mut |_| {});
            }
        }
    }
}
