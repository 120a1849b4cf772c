//! Why a tool takes a result of its own for accepted.

use std::io::Read;

use crate::parse::ParseError;
use crate::parse::json::Json;
use crate::parse::sarif::metadata::name;

/// Why a result is suppressed: where there are suppressions and none of them is refused or still to be decided.
pub(crate) fn read<R: Read>(json: &mut Json<R>) -> Result<Option<String>, ParseError> {
    let (mut first, mut accepted) = (None, true);
    json.each(|json| {
        let (mut status, mut in_source, mut why) = (None, false, None);
        if json.object()? {
            while let Some(key) = json.key()? {
                match key {
                    "status" => status = name(json)?,
                    "kind" => in_source = json.text()? == Some("inSource"),
                    "justification" => why = name(json)?.filter(|why| !why.trim().is_empty()),
                    _ => json.skip()?,
                }
            }
        }
        accepted &= !matches!(status.as_deref(), Some("rejected" | "underReview"));
        first.get_or_insert((in_source, why));
        Ok(())
    })?;
    Ok(first.filter(|_| accepted).map(|(in_source, why)| {
        let place = if in_source { " in the source" } else { "" };
        let why = why.map(|why| format!(": {}", why.trim())).unwrap_or_default();
        format!("suppressed by the tool{place}{why}")
    }))
}
