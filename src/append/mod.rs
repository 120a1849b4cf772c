//! Files that only grow, and that a crash cannot spoil: bytes go in as records, and offsets come out.
//!
//! A record counts once [`log::Held::append`] has returned: it was written, and the disk has confirmed it. What a crash
//! left half written is cut off before anything is added. A handle whose write or flush has failed is of no use any more,
//! because nobody knows what of it has reached the disk; only a new one, which reads everything again, may go on. It must
//! not know what a record means.
//!
//! A line of the file is `["CHECK",RECORD]`: one JSON array where the record is JSON. The check is a digest over the check
//! of the line before and the record, so that a line that is damaged, missing, doubled or out of its place is found. A
//! length or a plain checksum was rejected: two writers that do not know of each other pass both.

pub mod frame;
pub mod log;
