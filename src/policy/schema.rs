//! The policy's JSON Schema, made from the table of fields by the manifest's own maker.

use serde_json::Value;

use crate::manifest::schema;
use crate::policy::fields::POLICY;

/// The schema.
#[must_use]
pub fn json() -> Value {
    schema::document(&POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED_IN: &str = include_str!("../../schemas/policy.schema.json");

    #[test]
    fn the_schema_that_is_checked_in_is_the_one_that_the_table_makes() {
        assert!(
            CHECKED_IN == format!("{:#}\n", json()),
            "write the output of `rungate schema policy` to schemas/policy.schema.json"
        );
        assert!(jsonschema::draft7::meta::is_valid(&json()));
    }
}
