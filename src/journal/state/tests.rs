use super::*;
use crate::clock::Timestamp;

fn process(pid: i32) -> Process {
    Process { pid, started: 1, namespace: 1, boot: "b".to_owned() }
}

fn folded(entries: &[Entry]) -> State {
    let lines: Vec<Line> = entries
        .iter()
        .zip(1..)
        .map(|(entry, seq)| Line {
            v: 1,
            seq,
            epoch: 1,
            at: Timestamp::from_unix_seconds(9),
            entry: entry.clone(),
        })
        .collect();
    State::of(&lines)
}

fn check() -> String {
    "me".to_owned()
}

fn intent() -> Entry {
    Entry::CreateIntent { check: check(), name: "checks".to_owned() }
}

#[test]
fn every_step_of_a_check_run_is_known_or_in_doubt() {
    let sha256 = Sha256::of(b"");
    let concluding = Concluded { conclusion: Conclusion::Success, by: Role::Run };
    let steps = [
        (intent(), Presence::Doubt(Timestamp::from_unix_seconds(9)), true),
        (Entry::Created { check: check(), id: 7 }, Presence::There(7), true),
        (Entry::AnnotationsIntent { check: check(), after: 0, count: 50, sha256 }, Presence::There(7), true),
        (Entry::AnnotationsReceipt { check: check(), arrived: 50 }, Presence::There(7), true),
        (Entry::CompleteIntent { check: check(), conclusion: Conclusion::Success }, Presence::There(7), true),
        (
            Entry::CompleteReceipt { check: check(), conclusion: Conclusion::Success },
            Presence::There(7),
            false,
        ),
    ];
    let entries: Vec<Entry> = steps.iter().map(|(entry, ..)| entry.clone()).collect();
    for (at, (_, presence, is_open)) in steps.iter().enumerate() {
        let state = folded(&entries[..=at]);
        let check = &state.checks["me"];
        assert_eq!(
            (check.presence, check.is_open(), state.is_settled()),
            (*presence, *is_open, !is_open),
            "{at}"
        );
        assert_eq!(check.in_doubt, (at == 2).then_some(50), "{at}");
        assert_eq!(check.arrived, if at >= 3 { 50 } else { 0 }, "{at}");
        assert_eq!(check.concluding, (at == 4).then_some(concluding), "{at}");
        assert_eq!(check.concluded, (at == 5).then_some(concluding), "{at}");
    }
    assert!(folded(&[intent(), Entry::Absent { check: check() }]).is_settled());
}

#[test]
fn children_that_were_not_seen_to_end_are_left() {
    let start = |pid| Entry::CommandStart { key: "a".to_owned(), process: process(pid), cgroup: None };
    let state = folded(&[start(3), start(4), Entry::CommandEnd { pid: 3 }]);
    assert_eq!(state.commands.into_keys().collect::<Vec<_>>(), [4]);
}

#[test]
fn the_word_of_reconcile_is_the_last() {
    let taken = |by| Entry::Taken { by, owner: process(2) };
    for last in [
        Entry::CompleteIntent { check: check(), conclusion: Conclusion::Failure },
        Entry::CompleteReceipt { check: check(), conclusion: Conclusion::Failure },
    ] {
        let so_far = [taken(Role::Run), intent(), taken(Role::Reconcile), last];
        assert!(!folded(&so_far).is_final("me"), "it may say it again itself");
        let later = [&so_far[..], &[taken(Role::Publish)]].concat();
        assert!(folded(&later).is_final("me") && !folded(&later).is_final("another"));
    }
}
