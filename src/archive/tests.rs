//! What the archives are is proven by other programs' readers, in the integration tests; here is what goes wrong.

use std::fs;

use super::*;

fn entry(path: &str, size: u64) -> Entry {
    Entry { path: path.to_owned(), size, mode: 0o644, link: None }
}

const FORMS: [Form; 3] = [Form::Zip { level: 6 }, Form::TarZst { level: 6 }, Form::Plain];

#[test]
fn a_path_that_leads_out_makes_no_archive() {
    let root = tempfile::tempdir().unwrap();
    for path in ["../x", "/x", "a/../../x", "a//x", "", ".", "a\\x", "a\0"] {
        for form in FORMS {
            let made = pack(form, root.path(), &[entry(path, 1)], Vec::new());
            assert!(matches!(made, Err(ArchiveError::Path { .. })), "{path:?}: {made:?}");
        }
    }
}

#[test]
fn a_file_that_is_gone_or_another_one_by_now_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("short"), "12345").unwrap();
    fs::write(root.path().join("real"), "1234").unwrap();
    std::os::unix::fs::symlink("real", root.path().join("link")).unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    let said = |path: &str| {
        FORMS.map(|form| pack(form, root.path(), &[entry(path, 4)], Vec::new()).unwrap_err().to_string())
    };
    for (path, text) in [
        ("short", "short has another size than when it was kept"),
        ("folder", "folder has another size than when it was kept"),
        ("link", "failed to read link"),
        ("gone", "failed to read gone"),
    ] {
        assert_eq!(said(path), [text; 3]);
    }
}

#[test]
fn plain_is_one_file() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "1").unwrap();
    let mut out = Vec::new();
    let packed = pack(Form::Plain, root.path(), &[entry("a", 1)], &mut out).unwrap();
    assert_eq!((packed.bytes, packed.sha256, out.as_slice()), (1, Sha256::of(b"1"), b"1".as_slice()));
    for entries in [vec![], vec![entry("a", 1), entry("a", 1)]] {
        assert!(matches!(pack(Form::Plain, root.path(), &entries, Vec::new()), Err(ArchiveError::NotOne(_))));
    }
}

/// Takes so many bytes and then no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_takes_no_more_ends_everything_soon() {
    let root = tempfile::tempdir().unwrap();
    let size = 40_u64 << 20;
    fs::File::create(root.path().join("large")).unwrap().set_len(size).unwrap();
    for form in FORMS {
        let made = pack(form, root.path(), &[entry("large", size)], Full(100));
        assert!(matches!(made, Err(ArchiveError::Write(_))), "{made:?}");
    }
}

#[test]
fn the_same_files_make_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(root.path().join("noise"), &noise).unwrap();
    fs::write(root.path().join("text"), "so it is\n".repeat(300_000)).unwrap();
    let entries = [entry("noise", 3_000_000), entry("text", 2_700_000)];
    for form in [Form::Zip { level: 6 }, Form::TarZst { level: 3 }] {
        let once = || {
            let mut out = Vec::new();
            let packed = pack(form, root.path(), &entries, &mut out).unwrap();
            assert_eq!((packed.bytes, packed.sha256), (out.len() as u64, Sha256::of(&out)));
            packed
        };
        assert_eq!(once(), once());
    }
}
