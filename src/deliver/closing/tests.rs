use super::*;
use crate::id::Sha256;
use crate::journal::entry::{Entry, Line, Planned};

fn word(entries: &[Entry], now: i64) -> LastWord {
    let planned = Entry::Planned(Planned {
        run_id: crate::id::RunId::fresh(),
        name: "Checks".to_owned(),
        api: "https://api.github.com".to_owned(),
        repository: "o/r".to_owned(),
        sha: "a".repeat(40),
        folder: "/r".into(),
        started_at: Timestamp::from_unix_seconds(100),
        deadline: Timestamp::from_unix_seconds(200),
    });
    let at = Timestamp::from_unix_seconds(100);
    let all = std::iter::once(&planned).chain(entries).zip(1..);
    let lines: Vec<Line> =
        all.map(|(entry, seq)| Line { v: 1, seq, epoch: 1, at, entry: entry.clone() }).collect();
    LastWord::of(&State::of(&lines), Timestamp::from_unix_seconds(now))
}

#[test]
fn a_dead_run_ends_as_what_is_known_of_it_and_never_passes() {
    let stopping = |why| Entry::Stopping { why };
    let judged = |conclusion| Entry::Judged { conclusion, record: Sha256::of(b"") };
    for (entries, now, conclusion) in [
        (vec![], 150, Conclusion::Failure),
        (vec![], 201, Conclusion::TimedOut),
        (vec![stopping(Stopping::Cancelled)], 150, Conclusion::Cancelled),
        (vec![stopping(Stopping::Cancelled)], 201, Conclusion::Cancelled),
        (vec![stopping(Stopping::TimedOut), stopping(Stopping::Cancelled)], 150, Conclusion::TimedOut),
        (vec![judged(Conclusion::Success)], 150, Conclusion::Failure),
        (vec![judged(Conclusion::Neutral)], 201, Conclusion::Failure),
        (vec![judged(Conclusion::TimedOut)], 150, Conclusion::TimedOut),
        (vec![stopping(Stopping::Cancelled), judged(Conclusion::Cancelled)], 150, Conclusion::Cancelled),
    ] {
        let word = word(&entries, now);
        assert_eq!(word.conclusion, conclusion, "{entries:?} at {now}");
        assert!(!word.title.is_empty() && word.text.starts_with("## ❌"), "{word:?}");
    }
    assert_eq!(word(&[], 150).title, "executor lost, no verdict");
}
