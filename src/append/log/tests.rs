use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;

const RESERVE: u64 = 64 << 10;

fn records(path: &Path) -> Vec<String> {
    let mut all = Vec::new();
    read(path, |_, record| all.push(String::from_utf8_lossy(record).into_owned())).unwrap();
    all
}

fn hold(path: &Path) -> Held {
    Log::open(path, RESERVE).unwrap().hold(|_, _| ()).unwrap()
}

/// A file with these records.
fn file(folder: &tempfile::TempDir, all: &[&str]) -> PathBuf {
    let path = folder.path().join("log");
    let mut held = Log::create(&path, RESERVE).unwrap().hold(|_, _| panic!("nothing is there")).unwrap();
    for record in all {
        held.append(&[record.as_bytes()]).unwrap();
    }
    path
}

#[test]
fn records_come_back_in_their_order_with_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a", "b"]);
    let mut held = hold(&path);
    let range = held.append(&[b"c", b"d"]).unwrap();
    assert_eq!(records(&path), ["a", "b", "c", "d"]);
    let mut places = Vec::new();
    let mark = read(&path, |at, _| places.push(at)).unwrap();
    assert_eq!((places[2], mark.offset), (range.start, range.end));
    assert_eq!(mark, held.mark());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_half_written_is_cut_off_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["one", "two", "three"]);
    let whole = std::fs::read(&path).unwrap();
    let lines: Vec<usize> = memchr::memchr_iter(b'\n', &whole).map(|at| at + 1).collect();
    for end in 0..whole.len() {
        for garbage in [&b""[..], &[0; 40]] {
            std::fs::write(&path, [&whole[..end], garbage].concat()).unwrap();
            let mut held = hold(&path);
            let left = lines.iter().filter(|line| **line <= end).count();
            let kept = if left == 0 { 0 } else { lines[left - 1] };
            assert_eq!(held.cut(), (end - kept + garbage.len()) as u64, "{end}");
            held.append(&[b"more"]).unwrap();
            let all = records(&path);
            assert_eq!((all.len(), all.last().map(String::as_str)), (left + 1, Some("more")), "{end}");
        }
    }
}

#[test]
fn damage_before_whole_lines_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["one", "two", "three"]);
    let whole = std::fs::read(&path).unwrap();
    let last =
        whole.len() - 1 - whole[..whole.len() - 1].iter().rev().position(|&byte| byte == b'\n').unwrap();
    for at in 0..last {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let opened = Log::open(&path, 0).unwrap().hold(|_, _| ());
        assert!(matches!(opened, Err(AppendError::Damaged { .. })), "{at}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "{at}");
    }
    // A line that is missing, one that is there twice, and two that changed places.
    let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
    for order in [&[0, 2][..], &[0, 0, 1, 2], &[0, 1, 1], &[1, 0, 2]] {
        let text: Vec<u8> = order.iter().flat_map(|&at| lines[at].iter().copied()).collect();
        std::fs::write(&path, text).unwrap();
        assert!(matches!(read(&path, |_, _| ()), Err(AppendError::Damaged { .. })), "{order:?}");
    }
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let mut held = hold(&path);
    // A handle that can only read: every write fails.
    held.log.file = File::open(&path).unwrap();
    held.log.file.lock().unwrap();
    assert!(matches!(held.append(&[b"b"]), Err(AppendError::Host { what: "write to", .. })));
    held.log.file = OpenOptions::new().write(true).open(&path).unwrap();
    assert!(matches!(held.append(&[b"b"]), Err(AppendError::Poisoned { .. })));
    let log = held.release().unwrap();
    assert!(matches!(log.hold(|_, _| ()), Err(AppendError::Poisoned { .. })));
    hold(&path).append(&[b"c"]).unwrap();
    assert_eq!(records(&path), ["a", "c"]);
}

#[test]
fn one_holds_and_the_next_takes_in_what_was_added() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let held = hold(&path);
    let other = Log::open(&path, RESERVE).unwrap();
    let other = other.try_hold(|_, _| ()).unwrap().expect_err("it is held");
    let first = held.release().unwrap();
    let mut seen = 0;
    let mut second = other.hold(|_, _| seen += 1).unwrap();
    assert_eq!(seen, 1);
    second.append(&[b"b"]).unwrap();
    drop(second);
    // The first one knew `a` and hears of `b` alone, and goes on behind it.
    let mut heard = Vec::new();
    let mut first = first.hold(|_, record| heard.push(record.to_vec())).unwrap();
    assert_eq!(heard, [b"b"]);
    first.append(&[b"c"]).unwrap();
    assert_eq!(records(&path), ["a", "b", "c"]);
}

#[test]
fn a_file_that_was_replaced_is_not_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let log = Log::open(&path, 0).unwrap();
    std::fs::rename(&path, folder.path().join("gone")).unwrap();
    assert!(matches!(log.hold(|_, _| ()), Err(AppendError::Replaced { .. })));
    let log = Log::open(&folder.path().join("gone"), 0).unwrap();
    std::fs::copy(folder.path().join("gone"), folder.path().join("copy")).unwrap();
    std::fs::rename(folder.path().join("copy"), folder.path().join("gone")).unwrap();
    assert!(matches!(log.hold(|_, _| ()), Err(AppendError::Replaced { .. })));
    std::os::unix::fs::symlink(folder.path().join("gone"), &path).unwrap();
    assert!(Log::open(&path, 0).is_err(), "a link is not followed");
}

#[test]
fn a_writer_that_was_overtaken_writes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let mut late = hold(&path);
    // As on a file system that has lost the lock.
    late.log.file.unlock().unwrap();
    let mut other = hold(&path);
    other.append(&[b"b"]).unwrap();
    assert!(matches!(late.append(&[b"c"]), Err(AppendError::Replaced { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(other.append(&[b"d"]), Err(AppendError::Replaced { .. })));
}

#[test]
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
fn the_reserved_space_is_not_part_of_the_file_and_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let blocks = |path| std::fs::metadata(path).unwrap().blocks() * 512;
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(length, line_length(1) as u64);
    if blocks(&path) < RESERVE {
        eprintln!("skipped: this file system reserves no space");
        return;
    }
    hold(&path).trim();
    assert!(blocks(&path) < RESERVE);
    assert_eq!((std::fs::metadata(&path).unwrap().len(), records(&path).len()), (length, 1));
}

#[test]
fn a_record_that_is_none_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &["a"]);
    let mut held = hold(&path);
    assert!(matches!(held.append(&[b"b", b"c\nd"]), Err(AppendError::Record(NoRecord::Lines))));
    held.append(&[b"e"]).unwrap();
    assert_eq!(records(&path), ["a", "e"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Records of every size, around and above the size of a read.
    #[test]
    fn whatever_is_written_is_read(sizes in proptest::collection::vec(0_usize..200_000, 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut held = Log::create(&path, 0).unwrap().hold(|_, _| ()).unwrap();
        let all: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
        let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        held.append(&slices).unwrap();
        let mut back = Vec::new();
        read(&path, |_, record| back.push(record.to_vec())).unwrap();
        prop_assert_eq!(back, all);
    }
}
