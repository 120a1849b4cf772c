//! Classes of characters, as in `[^\w-]`.

use crate::parse::pattern::{ClassItem, Translate, Translator};

impl Translator {
    /// A class; its bracket has been read.
    pub(super) fn class(&mut self) -> Translate<()> {
        self.out.push('[');
        if self.eat('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let item = match self.next() {
                None => return self.fail("a class is not closed"),
                Some(']') if !first => break,
                Some('-') if !first && self.peek() == Some('[') => {
                    return self.fail("a class cannot be taken away from another one");
                }
                Some('\\') => self.class_escape()?,
                Some(c) => ClassItem::Char(c),
            };
            first = false;
            match item {
                ClassItem::Set(set) => self.out.push_str(&set),
                ClassItem::Char(start) => self.range(start)?,
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_escape(&mut self) -> Translate<ClassItem> {
        if self.eat('b') { Ok(ClassItem::Char('\x08')) } else { self.item() }
    }

    /// A range that begins with `start`, or `start` alone.
    fn range(&mut self, start: char) -> Translate<()> {
        self.class_char(start);
        let follows = self.chars.get(self.at + 1);
        if self.peek() != Some('-') || matches!(follows, None | Some(']' | '[')) {
            return Ok(());
        }
        self.at += 1;
        let end = match self.next() {
            Some('\\') => self.class_escape()?,
            Some(c) => ClassItem::Char(c),
            None => return self.fail("a class is not closed"),
        };
        let ClassItem::Char(end) = end else {
            return self.fail("a range ends in a set of characters");
        };
        if end < start {
            return self.fail("a range runs backwards");
        }
        self.out.push('-');
        self.class_char(end);
        Ok(())
    }

    /// Inside a class the engine gives a meaning to doubled characters too, so nothing but letters and digits is
    /// written as it is.
    fn class_char(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.out.push(c);
        } else {
            self.out.extend(["\\x{", &format!("{:X}", u32::from(c)), "}"]);
        }
    }
}
