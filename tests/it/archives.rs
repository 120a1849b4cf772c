//! Archives, read by programs that had no part in making them: Python's own modules.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rungate::archive::{Entry, Form, Packed, pack};
use serde_json::{Value, json};

use crate::context::command;

/// Lists an archive: path, size, mode and digest of every file, and what the format says besides.
const READER: &str = r#"
import hashlib, json, sys, tarfile, zipfile
path = sys.argv[1]
files = []
if sys.argv[2] == "zip":
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            digest = hashlib.sha256()
            with archive.open(info) as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            files.append([info.filename, info.file_size, info.external_attr >> 16 & 0o7777, digest.hexdigest(),
                          info.compress_size, info.date_time[0]])
else:
    with tarfile.open(path) as archive:
        for info in archive:
            if info.issym():
                files.append([info.name, info.linkname])
                continue
            digest = hashlib.sha256(archive.extractfile(info).read()).hexdigest()
            files.append([info.name, info.size, info.mode, digest, info.uid, info.mtime])
print(json.dumps(files))
"#;

fn listed(archive: &Path, form: &str) -> Vec<Value> {
    let output = command("python3").args(["-c", READER]).arg(archive).arg(form).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Files {
    root: tempfile::TempDir,
    entries: Vec<Entry>,
}

impl Files {
    fn new(files: &[(&str, &[u8], u32)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let entries = files.iter().map(|(path, bytes, mode)| {
            let place = root.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, bytes).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(*mode)).unwrap();
            Entry { path: (*path).to_owned(), size: bytes.len() as u64, mode: *mode, link: None }
        });
        let entries = entries.collect();
        Self { root, entries }
    }

    fn pack(&self, form: Form) -> (tempfile::NamedTempFile, Packed) {
        let archive = tempfile::NamedTempFile::new().unwrap();
        let packed = pack(form, self.root.path(), &self.entries, archive.as_file()).unwrap();
        (archive, packed)
    }
}

fn digest(bytes: &[u8]) -> String {
    rungate::id::Sha256::of(bytes).to_string()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn a_zip_file_holds_what_was_put_in_at_every_level() {
    let text = b"all work and no play\n".repeat(200_000);
    let noise = noise(2_500_000);
    let long = format!("{}/ü 日本.txt", "deep".repeat(30));
    let files = Files::new(&[
        ("a.txt", &text, 0o644),
        ("b.png", &text[..1_500_000], 0o600),
        ("c.sh", b"echo\n", 0o755),
        ("d.bin", &noise, 0o640),
        ("empty", b"", 0o644),
        ("exact", &noise[..1 << 20], 0o644),
        (&long, b"x", 0o644),
    ]);
    for level in [0, 1, 6, 9] {
        let (archive, packed) = files.pack(Form::Zip { level });
        assert_eq!(packed.sha256.to_string(), digest(&fs::read(archive.path()).unwrap()));
        let listed = listed(archive.path(), "zip");
        for (entry, file) in files.entries.iter().zip(&listed) {
            let bytes = fs::read(files.root.path().join(&entry.path)).unwrap();
            let mode = if entry.mode & 0o100 == 0 { 0o644 } else { 0o755 };
            assert_eq!(
                (&file[0], &file[1], &file[2], &file[3], &file[5]),
                (&json!(entry.path), &json!(bytes.len()), &json!(mode), &json!(digest(&bytes)), &json!(1980)),
                "level {level}"
            );
        }
        assert_eq!(listed.len(), files.entries.len());
        let compressed = |index: usize| listed[index][4].as_u64().unwrap();
        // What compresses is compressed, what is compressed by its name is not, and nothing grows by more than a little.
        assert_eq!(compressed(0) < 1_000_000, level > 0, "level {level}: {}", compressed(0));
        assert!((1_500_000..1_501_000).contains(&compressed(1)), "{}", compressed(1));
        assert!((2_500_000..2_502_000).contains(&compressed(3)), "{}", compressed(3));
    }
}

#[test]
fn a_zip_file_of_many_files_and_one_of_a_large_file_need_the_longer_form() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "1").unwrap();
    // The same file under one name more than 65,535 times: only the directory's form is looked at.
    let entries: Vec<Entry> =
        (0..70_000).map(|_| Entry { path: "x".to_owned(), size: 1, mode: 0o644, link: None }).collect();
    let archive = tempfile::NamedTempFile::new().unwrap();
    pack(Form::Zip { level: 6 }, root.path(), &entries, archive.as_file()).unwrap();
    let count = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).infolist()))";
    let output = command("python3").args(["-c", count]).arg(archive.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "70000", "{output:?}");
    // Beyond 4 GiB, of which the disk holds nothing.
    let size = (1_u64 << 32) + 12_345;
    fs::File::create(root.path().join("large")).unwrap().set_len(size).unwrap();
    let entries = [Entry { path: "large".to_owned(), size, mode: 0o644, link: None }, entries[0].clone()];
    let archive = tempfile::NamedTempFile::new().unwrap();
    pack(Form::Zip { level: 1 }, root.path(), &entries, archive.as_file()).unwrap();
    let sizes = "import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print([i.file_size for i in z.infolist()], z.read('x'))
total = 0
with z.open('large') as f:
    f.seek(int(sys.argv[2]) - 10)
    print(len(f.read()))
";
    let mut python = command("python3");
    let output = python.args(["-c", sizes]).arg(archive.path()).arg(size.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, format!("[{size}, 1] b'1'\n10\n"), "{output:?}");
}

#[test]
fn a_tar_file_keeps_modes_and_long_names() {
    let long = format!("{}/{}/file", "a".repeat(150), "b".repeat(200));
    let umlaut = "Grüße.txt";
    let text = b"tar\n".repeat(100_000);
    let files = Files::new(&[
        (umlaut, b"1", 0o640),
        (&long, b"22", 0o600),
        ("run.sh", &text, 0o751),
        ("zero", b"", 0o444),
        ("block", &text[..512], 0o644),
    ]);
    let mut files = files;
    let link = |path: &str, target: String| Entry {
        path: path.to_owned(),
        size: 0,
        mode: 0o777,
        link: Some(target),
    };
    files.entries.push(link("z/short", "../run.sh".to_owned()));
    files.entries.push(link("z/long", format!("../{long}")));
    let (archive, packed) = files.pack(Form::TarZst { level: 6 });
    let compressed = fs::read(archive.path()).unwrap();
    assert_eq!((packed.bytes, packed.sha256.to_string()), (compressed.len() as u64, digest(&compressed)));
    let plain = tempfile::NamedTempFile::new().unwrap();
    zstd::stream::copy_decode(compressed.as_slice(), plain.as_file()).unwrap();
    let listed = listed(plain.path(), "tar");
    let expected: Vec<Value> = files
        .entries
        .iter()
        .map(|entry| {
            if let Some(target) = &entry.link {
                return json!([entry.path, target]);
            }
            let bytes = fs::read(files.root.path().join(&entry.path)).unwrap();
            json!([entry.path, bytes.len(), entry.mode, digest(&bytes), 0, 0])
        })
        .collect();
    assert_eq!(listed, expected);
}
