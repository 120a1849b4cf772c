//! Sockets of the host that lie in what a payload can see. Looking at a file system read-only does not keep anybody from
//! connecting to a daemon by a path in it, and Landlock only knows of that from version 9 on; so they are looked up, to
//! be hidden.
//!
//! Best effort: a daemon that binds its socket later, or in another network namespace, is not in the list.

use std::path::{Path, PathBuf};

use crate::sandbox::host::kernel_text;

/// Paths of sockets that somebody has bound below `places`, which are real paths.
#[must_use]
pub fn bound_below(places: &[&Path]) -> Vec<PathBuf> {
    let Ok(table) = kernel_text(Path::new("/proc/net/unix")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = paths(&String::from_utf8_lossy(&table))
        .filter_map(|path| {
            // Bound by a path with a link in it, such as /var/run.
            let path = Path::new(path);
            let real = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
            places.iter().any(|place| real.starts_with(place)).then_some(real)
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The absolute paths in the kernel's table: the eighth field, to the end of the line.
fn paths(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter_map(|line| {
        let start = line.find(" /")? + 1;
        Some(&line[start..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_table_is_read_with_blanks_and_without_abstract_names() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            00000000175f0585: 00000003 00000000 00000000 0001 03 720686\n\
            00000000175f0586: 00000002 00000000 00010000 0001 01 17 /run/a b/x\n\
            00000000175f0587: 00000002 00000000 00010000 0001 01 18 @/abstract\n\
            00000000175f0588: 00000002 00000000 00010000 0001 01 19 relative\n";
        assert_eq!(paths(table).collect::<Vec<_>>(), ["/run/a b/x"]);
    }

    #[test]
    fn a_socket_that_was_bound_through_a_link_is_found_in_its_real_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        let _one = UnixListener::bind(root.join("link/one")).unwrap();
        let _two = UnixListener::bind(root.join("two")).unwrap();
        assert_eq!(bound_below(&[&root.join("real")]), [root.join("real/one")]);
        assert_eq!(bound_below(&[&root]), [root.join("real/one"), root.join("two")]);
        assert_eq!(bound_below(&[&root.join("rea")]), Vec::<PathBuf>::new());
    }
}
