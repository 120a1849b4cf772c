//! Which build this is.

use std::sync::LazyLock;

/// The version, with the commit where the build was told it (`RUNGATE_COMMIT`, as `scripts/release-build.sh` does).
///
/// The build does not ask git: a source archive has none, and the same sources must give the same program.
pub(super) static VERSION: LazyLock<String> =
    LazyLock::new(|| describe(env!("CARGO_PKG_VERSION"), option_env!("RUNGATE_COMMIT")));

fn describe(version: &str, commit: Option<&str>) -> String {
    match commit {
        None | Some("") => version.to_owned(),
        Some(commit) => format!("{version} ({commit})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_named_where_it_is_known() {
        assert_eq!(describe("1.2.3", Some("0123abc 2026-11-20")), "1.2.3 (0123abc 2026-11-20)");
        assert_eq!(describe("1.2.3", Some("")), "1.2.3");
        assert_eq!(describe("1.2.3", None), "1.2.3");
    }
}
