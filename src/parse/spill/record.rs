//! Records as bytes: their fields one after the other, without names, for only the program that wrote them reads them.

use std::borrow::Cow;

/// What can wait.
pub(crate) trait Record: Sized {
    /// Appends the value to `bytes`.
    fn put(&self, bytes: &mut Vec<u8>);

    /// Takes off the value that `bytes` begins with; nothing when it does not begin with one.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// Makes a struct of records one, field by field.
macro_rules! record {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl crate::parse::spill::record::Record for $name {
            fn put(&self, bytes: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $(crate::parse::spill::record::Record::put($field, bytes);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: crate::parse::spill::record::Record::take(bytes)?),* })
            }
        }
    };
}

pub(crate) use record;

/// Makes numbers records.
macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Record for $number {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*number))
            }
        }
    )*};
}

numbers!(u32, usize);

impl Record for String {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_text(self, bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::take(bytes)?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        str::from_utf8(text).ok().map(str::to_owned)
    }
}

impl Record for Cow<'static, str> {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_text(self, bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        String::take(bytes).map(Cow::Owned)
    }
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    text.len().put(bytes);
    bytes.extend_from_slice(text.as_bytes());
}

impl<T: Record> Record for Box<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        (**self).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        T::take(bytes).map(Self::new)
    }
}

impl<T: Record> Record for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let is_some = bytes.split_off_first()?;
        if *is_some == 0 { Some(None) } else { T::take(bytes).map(Some) }
    }
}

impl<T: Record> Record for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.len().put(bytes);
        for value in self {
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::take(bytes)?;
        (0..length).map(|_| T::take(bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Note {
        text: String,
        word: Option<Cow<'static, str>>,
        numbers: Vec<u32>,
        next: Option<Box<Self>>,
    }

    record!(Note { text, word, numbers, next });

    #[test]
    fn a_record_comes_back_as_it_was_and_none_comes_of_a_part_of_it() {
        let last = Note { text: String::new(), word: None, numbers: vec![], next: None };
        let word = Some(Cow::Borrowed("\0"));
        let note =
            Note { text: "ä\n".to_owned(), word, numbers: vec![0, u32::MAX], next: Some(Box::new(last)) };
        let mut bytes = Vec::new();
        note.put(&mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(Note::take(&mut &bytes[..length]), None);
        }
        let mut rest = &bytes[..];
        assert_eq!(Note::take(&mut rest), Some(note));
        assert_eq!(rest, b"");
    }
}
