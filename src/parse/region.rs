//! Lines and columns as most formats of editors and compilers write them, made ours.
//!
//! Theirs count from 1 and end behind the last column; ours end at it.

use crate::finding::Location;
use crate::parse::spill::record::record;

/// A part of a file. What a tool did not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start_line: Option<u32>,
    pub(crate) start_column: Option<u32>,
    pub(crate) end_line: Option<u32>,
    /// The column behind the last one.
    pub(crate) end_column: Option<u32>,
}

record!(Region { start_line, start_column, end_line, end_column });

/// A line or column, if `number` is one.
pub(crate) fn counted(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
}

impl Region {
    /// The location of the region in `path`. An end before its beginning and a column without a line are left out.
    pub(crate) fn location(self, path: Option<String>) -> Location {
        let Some(start_line) = self.start_line else { return Location { path, ..Location::default() } };
        let end_line = self.end_line.filter(|end| *end > start_line);
        let last = self.end_column.and_then(|behind| behind.checked_sub(1)).filter(|last| *last > 0);
        let end_column = match (end_line, self.start_column, self.end_column) {
            (_, None, _) | (_, _, None) => None,
            (Some(_), Some(_), Some(_)) => last,
            // Nothing is marked: the place is before the column.
            (None, Some(start), Some(behind)) if behind == start => Some(start),
            (None, Some(start), Some(_)) => last.filter(|last| *last >= start),
        };
        Location { path, start_line: Some(start_line), end_line, start_column: self.start_column, end_column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(numbers: [u32; 4]) -> [u32; 4] {
        let [start_line, start_column, end_line, end_column] = numbers.map(|n| counted(Some(n.into())));
        let place = Region { start_line, start_column, end_line, end_column }.location(None);
        [place.start_line, place.start_column, place.end_line, place.end_column]
            .map(Option::unwrap_or_default)
    }

    #[test]
    fn the_end_is_the_last_column_and_what_cannot_be_is_left_out() {
        assert_eq!(place([3, 5, 3, 9]), [3, 5, 0, 8]);
        assert_eq!(place([3, 5, 3, 5]), [3, 5, 0, 5]);
        assert_eq!(place([3, 5, 3, 2]), [3, 5, 0, 0]);
        assert_eq!(place([3, 5, 4, 2]), [3, 5, 4, 1]);
        assert_eq!(place([3, 5, 4, 1]), [3, 5, 4, 0]);
        assert_eq!(place([3, 5, 2, 9]), [3, 5, 0, 8]);
        assert_eq!(place([3, 0, 3, 9]), [3, 0, 0, 0]);
        assert_eq!(place([0, 5, 3, 9]), [0, 0, 0, 0]);
        assert_eq!(counted(Some(-1)).or(counted(Some(1 << 40))).or(counted(Some(0))), None);
    }
}
