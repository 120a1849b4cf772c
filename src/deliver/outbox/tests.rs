//! Every state of a journal, every outcome of a call, killed and taken up again: one check run, completed, and every
//! annotation once.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::*;
use crate::deliver::closing::{Closing, LastWord, close};
use crate::deliver::publish::tests::{Fate, GitHub, job, on_paused_time, subject};
use crate::deliver::publish::{deliver, go_on};
use crate::id::RunId;
use crate::journal::entry::{Planned, Role};
use crate::record::Conclusion;
use crate::record::delivery::Delivered;
use crate::redact::Registry;

/// Findings, of which the last batch is not full.
const FINDINGS: u32 = 120;

/// What a process that takes a delivery up does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Publish,
    Reconcile,
}

/// What is amiss with the end of the file after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Whole,
    /// A receipt was being written.
    Garbage,
    /// The last line, which was not confirmed, is half there.
    Torn,
    /// It is not there at all.
    Missing,
}

/// A folder in memory where there is one: thousands of journals are written here, and none of them has to outlast anything.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn begun(folder: &Path) -> Arc<Journal> {
    let at = Timestamp::now();
    let planned = Planned {
        run_id: RunId::fresh(),
        name: "check".into(),
        api: "https://api.github.com".into(),
        repository: "o/r".into(),
        sha: "a".repeat(40),
        folder: PathBuf::from("/r"),
        started_at: at,
        deadline: Timestamp::from_unix_seconds(at.unix_seconds() + 3600),
    };
    Arc::new(Journal::create(folder, planned, &Registry::new()).unwrap())
}

/// The first process: everything from the beginning. False when it is killed.
async fn first(github: &GitHub, journal: Arc<Journal>) -> bool {
    let outbox = Outbox::new(github, Arc::clone(&journal), "me".to_owned());
    let subject = subject();
    tokio::select! {
        _ = deliver(&outbox, &subject, job(FINDINGS), false, None) => {}
        () = github.killed.notified() => return false,
    }
    assert_eq!(outbox.lost(), None);
    true
}

/// A later process. False when it is killed.
async fn later(github: &GitHub, path: &Path, mode: Mode) -> bool {
    let role = if mode == Mode::Publish { Role::Publish } else { Role::Reconcile };
    let journal =
        Arc::new(Journal::try_take(path, role, &Registry::new()).unwrap().expect("nobody holds it"));
    let outbox = Outbox::new(github, Arc::clone(&journal), "me".to_owned());
    let (subject, state) = (subject(), journal.state());
    let work = async {
        match mode {
            Mode::Publish => {
                let delivery = go_on(&outbox, &subject, job(FINDINGS), outbox.resume(), None).await;
                if delivery.check_run == Delivered::Delivered {
                    assert!(journal.state().is_settled());
                }
            }
            Mode::Reconcile => {
                let Some(check) = state.checks.get("me") else { return };
                let deadline = Instant::now() + Duration::from_mins(5);
                let word = LastWord::of(&state, Timestamp::now());
                let about = (check, state.last);
                let _ = close(&outbox, &subject, about, &word, &Registry::new(), deadline).await;
            }
        }
    };
    tokio::select! {
        () = work => true,
        () = github.killed.notified() => false,
    }
}

fn spoil(path: &Path, tail: Tail) {
    let text = std::fs::read(path).unwrap();
    let last = text[..text.len() - 1].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    match tail {
        Tail::Whole => {}
        Tail::Garbage => {
            std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"[\"00112233").unwrap();
        }
        Tail::Torn => std::fs::write(path, &text[..usize::midpoint(last, text.len())]).unwrap(),
        Tail::Missing => std::fs::write(path, &text[..last]).unwrap(),
    }
}

/// Runs the first process with these fates, kills it where they say so, and then others until one is not disturbed.
fn story(fates: &[Fate], tail: Tail, mode: Mode, then: &[Fate], bad: &[&str]) {
    let shown = format!("{fates:?}, {tail:?}, {mode:?} {then:?}, bad {bad:?}");
    let bad: BTreeSet<String> = bad.iter().map(|&message| message.to_owned()).collect();
    let github = GitHub { bad: bad.clone(), ..GitHub::with(fates) };
    let folder = folder();
    let journal = begun(folder.path());
    let path = journal.path().to_owned();
    let ended = on_paused_time(first(&github, journal));
    // Before a question nothing is written: the last line was confirmed, and cannot be missing.
    let is_written = github.killed_in_a_write.load(Ordering::Relaxed);
    if !ended && (is_written || matches!(tail, Tail::Whole | Tail::Garbage)) {
        spoil(&path, tail);
    }
    let concluded = github.runs.lock().unwrap().first().and_then(|run| run.completed);
    github.fates.lock().unwrap().clear();
    github.fates.lock().unwrap().extend(then);
    on_paused_time(later(&github, &path, mode));
    github.fates.lock().unwrap().clear();
    assert!(on_paused_time(later(&github, &path, mode)), "{shown}");
    on_paused_time(async {
        let runs = github.runs.lock().unwrap().clone();
        assert!(runs.len() <= 1, "{shown}: {} check runs", runs.len());
        let messages = runs.first().map_or_else(Vec::new, |run| run.messages.clone());
        let once: BTreeSet<String> = messages.iter().cloned().collect();
        assert_eq!(once.len(), messages.len(), "{shown}: an annotation is there twice");
        let Some(run) = runs.first() else {
            return assert_eq!(mode, Mode::Reconcile, "{shown}: there is no check run");
        };
        match mode {
            Mode::Publish => {
                assert_eq!(run.completed, Some(Conclusion::Success), "{shown}");
                let all: BTreeSet<String> = (1..=FINDINGS).map(|line| format!("m{line}")).collect();
                assert_eq!(once, all.difference(&bad).cloned().collect(), "{shown}");
            }
            Mode::Reconcile => {
                // A conclusion that has arrived stays; every other is that of a run that is lost.
                assert_eq!(run.completed, Some(concluded.unwrap_or(Conclusion::Failure)), "{shown}");
                if concluded.is_none() {
                    later(&github, &path, Mode::Publish).await;
                    let after = github.runs.lock().unwrap().clone();
                    assert_eq!(after[0].completed, run.completed, "{shown}: its word is the last");
                    assert_eq!((after.len(), &after[0].messages), (1, &run.messages), "{shown}");
                }
            }
        }
    });
}

/// How many calls a delivery makes that nothing disturbs.
fn calls() -> usize {
    let (github, folder) = (GitHub::default(), folder());
    assert!(on_paused_time(first(&github, begun(folder.path()))));
    github.calls.load(Ordering::Relaxed)
}

const KILLS: [(Fate, Tail); 6] = [
    (Fate::KilledBefore, Tail::Whole),
    (Fate::KilledBefore, Tail::Torn),
    (Fate::KilledBefore, Tail::Missing),
    (Fate::KilledBefore, Tail::Garbage),
    (Fate::KilledAfter, Tail::Whole),
    (Fate::KilledAfter, Tail::Garbage),
];

const OUTCOMES: [Fate; 5] = [Fate::Done, Fate::Lost, Fate::Dropped, Fate::Hangs, Fate::Refused];

/// `count` calls that succeed, and then these.
fn after(count: usize, then: &[Fate]) -> Vec<Fate> {
    [&vec![Fate::Done; count][..], then].concat()
}

#[test]
fn whenever_it_is_killed_whatever_was_lost_before_it_comes_out_right() {
    let calls = calls();
    assert_eq!(calls, 5, "a creation, three batches and the conclusion");
    let mut stories = 0;
    for mode in [Mode::Publish, Mode::Reconcile] {
        for outcome in OUTCOMES {
            for at in 0..calls {
                // After a fault there are more calls than without.
                for until_kill in 0..4 {
                    for (kill, tail) in KILLS {
                        let fates = [after(at, &[outcome]), after(until_kill, &[kill])].concat();
                        story(&fates, tail, mode, &[], &[]);
                        stories += 1;
                    }
                }
            }
        }
    }
    assert_eq!(stories, 1_200);
}

#[test]
fn whoever_takes_it_up_may_be_disturbed_and_killed_too() {
    for mode in [Mode::Publish, Mode::Reconcile] {
        for at in 0..calls() {
            for (kill, tail) in [KILLS[0], KILLS[2], KILLS[4]] {
                for disturbed in 0..4 {
                    for outcome in OUTCOMES.into_iter().chain([Fate::KilledBefore, Fate::KilledAfter]) {
                        story(&after(at, &[kill]), tail, mode, &after(disturbed, &[outcome]), &[]);
                    }
                }
            }
        }
    }
}

#[test]
fn what_the_server_refuses_is_not_counted_as_sent_by_who_comes_later() {
    for bad in [&["m1"][..], &["m50"], &["m51", "m52"], &["m120"]] {
        for at in 0..16 {
            for (kill, tail) in [KILLS[0], KILLS[4]] {
                story(&after(at, &[kill]), tail, Mode::Publish, &[], bad);
            }
        }
    }
}

#[test]
fn nothing_is_begun_without_its_intent_on_disk_and_what_was_begun_is_ended() {
    // The file is taken away at every point of the way: nothing can be written down from there on.
    for at in 0..calls() {
        let (github, folder) = (GitHub::with(&after(at, &[Fate::KilledBefore])), folder());
        let journal = begun(folder.path());
        let outbox = Outbox::new(&github, Arc::clone(&journal), "me".to_owned());
        let subject = subject();
        let delivery = on_paused_time(async {
            tokio::select! {
                _ = deliver(&outbox, &subject, job(FINDINGS), false, None) => panic!("it was to be stopped"),
                () = github.killed.notified() => {}
            }
            std::fs::remove_file(journal.path()).unwrap();
            github.fates.lock().unwrap().clear();
            go_on(&outbox, &subject, job(FINDINGS), outbox.resume(), None).await
        });
        let runs = github.runs.lock().unwrap();
        assert!(outbox.lost().is_some(), "{at}");
        if at == 0 {
            assert_eq!((runs.len(), delivery.check_run), (0, Delivered::Failed));
            assert!(delivery.reason.unwrap().contains("journal"));
        } else {
            assert_eq!((runs[0].completed, runs[0].messages.len()), (Some(Conclusion::Success), 120), "{at}");
        }
    }
}

#[test]
fn a_dead_run_without_a_check_run_needs_none() {
    let (github, folder) = (GitHub::default(), folder());
    let journal = begun(folder.path());
    let outbox = Outbox::new(&github, Arc::clone(&journal), "me".to_owned());
    let closing = on_paused_time(async {
        let deadline = Instant::now() + Duration::from_mins(1);
        let check = Check { presence: Presence::Doubt(Timestamp::now()), ..Check::default() };
        close(&outbox, &subject(), (&check, None), &LastWord::lost(), &Registry::new(), deadline).await
    });
    assert_eq!((closing, github.runs.lock().unwrap().len()), (Closing::Absent, 0));
}
