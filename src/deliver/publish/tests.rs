use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use super::*;
use crate::clock::Timestamp;
use crate::finding::{Finding, Level, Location};
use crate::github::checks::{CheckRun, MAX_BATCH, Said, Status};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Fate {
    Done,
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, and nobody knows.
    Dropped,
    Refused,
    Hangs,
    /// The process that asks is killed before it is done.
    KilledBefore,
    /// It is done, and the process is killed before it hears of it.
    KilledAfter,
}

/// GitHub as far as one check run is concerned: annotations are added, everything else is replaced.
#[derive(Default)]
pub(in crate::deliver) struct GitHub {
    pub(in crate::deliver) fates: Mutex<VecDeque<Fate>>,
    pub(in crate::deliver) runs: Mutex<Vec<Run>>,
    /// Messages of annotations that it does not take.
    pub(in crate::deliver) bad: BTreeSet<String>,
    /// Whether the process was killed while it asked for a change.
    pub(in crate::deliver) killed_in_a_write: std::sync::atomic::AtomicBool,
    /// Told when the process is killed.
    pub(in crate::deliver) killed: tokio::sync::Notify,
    /// How often it was asked.
    pub(in crate::deliver) calls: std::sync::atomic::AtomicUsize,
}

#[derive(Clone, Debug)]
pub(in crate::deliver) struct Run {
    external_id: String,
    pub(in crate::deliver) completed: Option<Conclusion>,
    summary: String,
    pub(in crate::deliver) messages: Vec<String>,
}

impl GitHub {
    pub(in crate::deliver) fn with(fates: &[Fate]) -> Self {
        Self { fates: Mutex::new(fates.iter().copied().collect()), ..Self::default() }
    }

    fn told(id: usize, run: &Run) -> CheckRun {
        CheckRun {
            id: id as u64,
            external_id: Some(run.external_id.clone()),
            status: if run.completed.is_some() { Status::Completed } else { Status::InProgress },
            output: Said { annotations_count: run.messages.len() as u64 },
            ..CheckRun::default()
        }
    }

    fn apply(&self, call: &Call) -> Came {
        let mut runs = self.runs.lock().unwrap();
        match call {
            Call::Create(create) => {
                runs.push(Run {
                    external_id: create.external_id.clone(),
                    completed: None,
                    summary: create.output.summary.clone(),
                    messages: Vec::new(),
                });
                Came::Run(Self::told(runs.len() - 1, runs.last().unwrap()))
            }
            Call::Update { id, update } => {
                let at = usize::try_from(*id).unwrap();
                let run = &mut runs[at];
                assert!(update.output.annotations.len() <= MAX_BATCH);
                if update.output.annotations.iter().any(|one| self.bad.contains(&one.message)) {
                    return Came::Invalid("one of them is bad".into());
                }
                run.messages.extend(update.output.annotations.iter().map(|one| one.message.clone()));
                run.summary.clone_from(&update.output.summary);
                match (update.conclusion, update.status) {
                    (Some(conclusion), _) => {
                        assert!(update.output.annotations.is_empty());
                        run.completed = Some(conclusion);
                    }
                    (None, Some(Status::InProgress)) => run.completed = None,
                    (None, _) => {}
                }
                Came::Run(Self::told(at, run))
            }
            Call::Get { id } => {
                let at = usize::try_from(*id).unwrap();
                Came::Run(Self::told(at, &runs[at]))
            }
            Call::Find { .. } | Call::Open { .. } => {
                Came::Runs(runs.iter().enumerate().map(|(id, run)| Self::told(id, run)).collect())
            }
        }
    }
}

impl Api for GitHub {
    async fn call(&self, call: &Call, deadline: Instant) -> Came {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Done);
        match fate {
            Fate::Done => self.apply(call),
            Fate::Lost => {
                self.apply(call);
                Came::Doubt("lost".into())
            }
            Fate::Dropped => Came::Doubt("lost".into()),
            Fate::Refused => Came::Refused("no".into()),
            Fate::KilledBefore | Fate::KilledAfter => {
                if fate == Fate::KilledAfter {
                    self.apply(call);
                }
                let is_write = matches!(call, Call::Create(_) | Call::Update { .. });
                self.killed_in_a_write.store(is_write, std::sync::atomic::Ordering::Relaxed);
                self.killed.notify_one();
                std::future::pending().await
            }
            Fate::Hangs => {
                sleep_until(deadline).await;
                Came::Doubt("hung".into())
            }
        }
    }

    fn is_pressed(&self) -> bool {
        false
    }

    async fn app_id(&self) -> Option<u64> {
        None
    }
}

pub(in crate::deliver) fn subject() -> Subject {
    Subject {
        name: "check".into(),
        head_sha: "a".repeat(40),
        external_id: "me".into(),
        details_url: None,
        started_at: Timestamp::from_unix_seconds(0),
    }
}

pub(in crate::deliver) fn job(count: u32) -> Job {
    let findings: Vec<Finding> = (1..=count)
        .map(|line| {
            let place = Location { path: Some("a".into()), start_line: Some(line), ..Location::default() };
            Finding::new("t", Level::Warning, format!("m{line}")).at(place)
        })
        .collect();
    Job::without_verdict(Conclusion::Success, "over", "text\n".into(), &findings, &Registry::new()).unwrap()
}

pub(in crate::deliver) fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

/// Every run of one fault after another at every place: one check run, completed, every annotation once, or it is said
/// how many are missing.
#[test]
fn whatever_is_lost_nothing_is_there_twice() {
    let fates = [Fate::Done, Fate::Lost, Fate::Dropped, Fate::Refused, Fate::Hangs];
    for number in 0..fates.len().pow(5) {
        let plan: Vec<Fate> = (0..5).map(|at| fates[number / fates.len().pow(at) % fates.len()]).collect();
        let github = GitHub::with(&plan);
        let delivery = on_paused_time(deliver(&github, &subject(), job(120), false, None));
        let runs = github.runs.lock().unwrap();
        assert!(runs.len() <= 1, "{plan:?}: {} runs", runs.len());
        let mut messages = runs.first().map_or_else(Vec::new, |run| run.messages.clone());
        let count = messages.len();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), count, "{plan:?}: an annotation is there twice");
        match delivery.check_run {
            Delivered::Delivered => {
                assert_eq!((count, runs[0].completed), (120, Some(Conclusion::Success)), "{plan:?}");
            }
            _ => assert!(delivery.reason.is_some(), "{plan:?}"),
        }
        if count < 120 && runs.first().is_some_and(|run| run.completed.is_some()) {
            assert!(runs[0].summary.contains("could not be posted"), "{plan:?}");
        }
    }
}

#[test]
fn a_server_that_hangs_is_left_after_two_minutes() {
    let github = GitHub::with(&[Fate::Hangs; 64]);
    on_paused_time(async {
        let begin = Instant::now();
        let delivery = deliver(&github, &subject(), job(1), false, None).await;
        assert_eq!(delivery.check_run, Delivered::Failed);
        assert!(begin.elapsed() <= TIME + Duration::from_secs(1));
    });
}

struct Ends {
    events: mpsc::Sender<RunEvent>,
    job: oneshot::Sender<Job>,
    cancel: watch::Sender<bool>,
}

fn following() -> (Following, Ends) {
    let (events, inbox) = mpsc::channel(8);
    let (job, awaited) = oneshot::channel();
    let (cancel, cancelled) = watch::channel(false);
    let following = Following {
        subject: subject(),
        live: Live::new("Check", []),
        progress: Duration::from_secs(15),
        events: inbox,
        job: awaited,
        cancelled,
        registry: Registry::new(),
    };
    (following, Ends { events, job, cancel })
}

#[test]
fn a_cancelled_run_is_concluded_before_its_steps_have_ended() {
    for fates in [&[][..], &[Fate::Hangs], &[Fate::Lost], &[Fate::Done, Fate::Hangs]] {
        let github = GitHub::with(fates);
        on_paused_time(async {
            let (following, ends) = following();
            let steps = async {
                tokio::time::sleep(Duration::from_mins(1)).await;
                ends.cancel.send(true).unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
                let early: Vec<_> = github.runs.lock().unwrap().iter().map(|run| run.completed).collect();
                ends.job.send(job(3)).unwrap();
                early
            };
            let begin = Instant::now();
            let (delivery, early) = tokio::join!(follow(&github, following), steps);
            if fates.first() != Some(&Fate::Hangs) {
                assert_eq!(early, [Some(Conclusion::Cancelled)], "{fates:?}");
            }
            assert!(begin.elapsed() < Duration::from_secs(70));
            assert!(delivery.check_run_id.is_some(), "{fates:?}: {delivery:?}");
            drop(ends.events);
        });
        let runs = github.runs.lock().unwrap();
        assert_eq!((runs.len(), runs[0].completed.is_some()), (1, true), "{fates:?}");
    }
}

#[test]
fn a_run_that_breaks_down_is_concluded_all_the_same() {
    let github = GitHub::default();
    let (following, Ends { events, job, cancel }) = following();
    drop((events, job));
    on_paused_time(follow(&github, following));
    drop(cancel);
    assert_eq!(github.runs.lock().unwrap()[0].completed, Some(Conclusion::Failure));
}

#[test]
fn a_later_delivery_goes_on_where_the_first_one_ended() {
    let github = GitHub::with(&[Fate::Done, Fate::Done, Fate::Refused, Fate::Refused]);
    let first = on_paused_time(deliver(&github, &subject(), job(120), false, None));
    assert_eq!((first.check_run, github.runs.lock().unwrap()[0].messages.len()), (Delivered::Failed, 50));
    let second = on_paused_time(deliver(&github, &subject(), job(120), true, None));
    assert_eq!(second.check_run, Delivered::Delivered);
    let runs = github.runs.lock().unwrap();
    assert_eq!((runs.len(), runs[0].messages.len()), (1, 120));
}
