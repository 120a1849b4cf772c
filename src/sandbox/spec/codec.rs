//! Fields of a spec as bytes, and back. It must not know what they mean.

use std::ffi::CString;

use crate::sandbox::spec::DecodeError;

/// What can stand in a spec.
pub(super) trait Field: Sized {
    /// Least number of bytes of one, so that a huge count cannot ask for memory.
    const LEAST: usize;

    fn put(&self, bytes: &mut Vec<u8>);
    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError>;
}

impl Field for u8 {
    const LEAST: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        let (&first, tail) = rest.split_first().ok_or(DecodeError::Length)?;
        *rest = tail;
        Ok(first)
    }
}

macro_rules! number {
    ($kind:ty, $size:literal) => {
        impl Field for $kind {
            const LEAST: usize = $size;

            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
                let (head, tail) = rest.split_first_chunk::<$size>().ok_or(DecodeError::Length)?;
                *rest = tail;
                Ok(Self::from_le_bytes(*head))
            }
        }
    };
}
number!(u16, 2);
number!(u32, 4);
number!(u64, 8);

impl Field for bool {
    const LEAST: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(rest)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value),
        }
    }
}

impl Field for CString {
    const LEAST: usize = 8;

    fn put(&self, bytes: &mut Vec<u8>) {
        (self.as_bytes().len() as u64).put(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        Self::new(take_bytes(rest)?).map_err(|_| DecodeError::Nul)
    }
}

/// Any bytes. Not a list of numbers: those are read one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Field for Blob {
    const LEAST: usize = 8;

    fn put(&self, bytes: &mut Vec<u8>) {
        (self.0.len() as u64).put(bytes);
        bytes.extend_from_slice(&self.0);
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        take_bytes(rest).map(|bytes| Self(bytes.to_vec()))
    }
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(u64::take(rest)?).map_err(|_| DecodeError::Length)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(DecodeError::Length)?;
    *rest = tail;
    Ok(bytes)
}

impl<T: Field> Field for Vec<T> {
    const LEAST: usize = 8;

    fn put(&self, bytes: &mut Vec<u8>) {
        (self.len() as u64).put(bytes);
        for field in self {
            field.put(bytes);
        }
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        let count = usize::try_from(u64::take(rest)?).map_err(|_| DecodeError::Length)?;
        if count > rest.len() / T::LEAST {
            return Err(DecodeError::Length);
        }
        (0..count).map(|_| T::take(rest)).collect()
    }
}

impl<T: Field> Field for Option<T> {
    const LEAST: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        self.is_some().put(bytes);
        if let Some(field) = self {
            field.put(bytes);
        }
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        bool::take(rest)?.then(|| T::take(rest)).transpose()
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    const LEAST: usize = A::LEAST + B::LEAST;

    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
        self.1.put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok((A::take(rest)?, B::take(rest)?))
    }
}

/// Makes a struct a field: its fields one after the other.
macro_rules! fields {
    ($kind:ident { $($name:ident: $of:ty),+ $(,)? }) => {
        impl crate::sandbox::spec::codec::Field for $kind {
            const LEAST: usize = 0 $(+ <$of as crate::sandbox::spec::codec::Field>::LEAST)+;

            fn put(&self, bytes: &mut Vec<u8>) {
                $(crate::sandbox::spec::codec::Field::put(&self.$name, bytes);)+
            }

            fn take(rest: &mut &[u8]) -> Result<Self, crate::sandbox::spec::DecodeError> {
                $(let $name = <$of as crate::sandbox::spec::codec::Field>::take(rest)?;)+
                Ok(Self { $($name),+ })
            }
        }
    };
}

/// Makes an enum without data a field: its number.
macro_rules! words {
    ($kind:ident: $($word:ident),+ $(,)?) => {
        impl crate::sandbox::spec::codec::Field for $kind {
            const LEAST: usize = 1;

            fn put(&self, bytes: &mut Vec<u8>) {
                crate::sandbox::spec::codec::Field::put(&(*self as u8), bytes);
            }

            fn take(rest: &mut &[u8]) -> Result<Self, crate::sandbox::spec::DecodeError> {
                let number = <u8 as crate::sandbox::spec::codec::Field>::take(rest)?;
                let words = [$(Self::$word),+];
                let word = words.into_iter().find(|word| *word as u8 == number);
                word.ok_or(crate::sandbox::spec::DecodeError::Value)
            }
        }
    };
}

pub(super) use {fields, words};
