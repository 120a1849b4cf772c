//! Records of a report: what is wrong with one of them costs that one and is told.

use std::io::Read;

use crate::finding::Finding;
use crate::parse::json::Json;
use crate::parse::{Item, ParseError};

/// Reads one record by `read`. Nothing of it counts when one of its values is of a kind that it cannot be.
///
/// # Errors
/// As `read`.
pub(crate) fn one<R: Read, T>(
    json: &mut Json<R>,
    read: impl FnOnce(&mut Json<R>) -> Result<T, ParseError>,
) -> Result<Result<T, Item>, ParseError> {
    json.take_oddity();
    let record = read(json)?;
    Ok(match json.take_oddity() {
        None => Ok(record),
        Some(odd) => Err(Item::Broken { offset: odd.offset, message: odd.message }),
    })
}

/// Reads a record a line by `read`. A line that is none is told, and reading goes on after it.
///
/// # Errors
/// Fails only when the input cannot be read.
pub(crate) fn lines<R: Read>(
    json: &mut Json<R>,
    sink: &mut dyn FnMut(Item),
    mut read: impl FnMut(&mut Json<R>) -> Result<Option<Finding>, ParseError>,
) -> Result<(), ParseError> {
    while json.document()? {
        let read = one(json, &mut read).and_then(|record| json.end().map(|()| record));
        match read {
            Ok(Ok(finding)) => {
                if let Some(finding) = finding {
                    sink(Item::Finding(Box::new(finding)));
                }
            }
            Ok(Err(broken)) => sink(broken),
            Err(ParseError::Malformed { offset, message }) => {
                sink(Item::Broken { offset, message });
                json.next_line()?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
