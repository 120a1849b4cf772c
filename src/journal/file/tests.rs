use super::*;
use crate::record::Conclusion;

fn planned() -> Planned {
    Planned {
        run_id: RunId::fresh(),
        name: "Checks".to_owned(),
        api: "https://api.github.com".to_owned(),
        repository: "o/r".to_owned(),
        sha: "a".repeat(40),
        folder: PathBuf::from("/r"),
        started_at: Timestamp::from_unix_seconds(1),
        deadline: Timestamp::from_unix_seconds(2),
    }
}

#[test]
fn a_journal_is_read_as_it_was_written_and_taken_up_by_epochs() {
    let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let planned = planned();
    let journal = Journal::create(folder.path(), planned.clone(), &registry).unwrap();
    let path = path(folder.path(), planned.run_id);
    let intent = Entry::CreateIntent { check: "me".to_owned(), name: "n".to_owned() };
    journal.write(&intent).unwrap();
    assert_eq!(read(&path).unwrap(), journal.state());
    assert_eq!(journal.state().planned, Some(planned));
    assert!(Journal::try_take(&path, Role::Reconcile, &registry).unwrap().is_none(), "it is held");
    drop(journal);
    let second = Journal::try_take(&path, Role::Reconcile, &registry).unwrap().unwrap();
    let state = second.state();
    assert_eq!((state.epoch, state.seq, state.role(), state.is_closed), (2, 4, Role::Reconcile, false));
    second.close().unwrap();
    assert!(read(&path).unwrap().is_closed);
}

#[test]
fn no_secret_is_written_down() {
    let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let _ = registry.add("hunter2-hunter2");
    let planned = Planned { name: "run of hunter2-hunter2".to_owned(), ..planned() };
    let journal = Journal::create(folder.path(), planned.clone(), &registry).unwrap();
    journal
        .write(&Entry::CreateIntent { check: "me".to_owned(), name: "hunter2-hunter2\"".to_owned() })
        .unwrap();
    let text = std::fs::read_to_string(journal.path()).unwrap();
    assert!(!text.contains("hunter2") && text.contains("run of ***"), "{text}");
}

#[test]
fn what_reconcile_has_concluded_is_not_changed_by_who_comes_late() {
    let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let journal = Journal::create(folder.path(), planned(), &registry).unwrap();
    let conclude = Entry::CompleteIntent { check: "me".to_owned(), conclusion: Conclusion::Failure };
    journal.write(&Entry::CreateIntent { check: "me".to_owned(), name: "n".to_owned() }).unwrap();
    journal.take(Role::Reconcile).unwrap();
    journal.write(&conclude).unwrap();
    journal.take(Role::Publish).unwrap();
    assert!(matches!(journal.write(&conclude), Err(JournalError::Final)));
}

#[test]
fn lines_of_another_version_are_refused_and_unknown_entries_are_not() {
    let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::new());
    let path = folder.path().join("j.jsonl");
    let line = |seq: u64, v: u32, kind: &str| {
        format!(
            r#"{{"v":{v},"seq":{seq},"epoch":1,"at":"2026-01-01T00:00:00Z","entry":{{"type":"{kind}"}}}}"#
        )
    };
    let mut held = Log::create(&path, 0).unwrap().hold(|_, _| ()).unwrap();
    held.append(&[line(1, 1, "of.tomorrow").as_bytes()]).unwrap();
    assert_eq!(read(&path).unwrap().seq, 1);
    let end = held.append(&[line(2, 2, "closed").as_bytes()]).unwrap();
    assert!(matches!(read(&path), Err(JournalError::Line { offset, .. }) if offset == end.start));
    drop(held);
    assert!(matches!(Journal::try_take(&path, Role::Run, &registry), Err(JournalError::Line { .. })));
}
