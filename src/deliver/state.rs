//! What has been delivered of a check run, what is in doubt, and what comes next. Pure.
//!
//! Annotations are added and can never be taken back, and a creation makes one more run each time. So after an answer that
//! was lost nothing is sent again before it was read what has arrived.

use std::ops::Range;

use crate::github::checks::{CheckRun, MAX_BATCH, Status};
use crate::journal::state::{Check, Presence};

/// Times that one thing is tried before it is given up.
const MOST_TRIES: u32 = 4;

/// Annotations that the server may refuse one by one before the rest is given up.
const MOST_BAD: usize = 20;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The check run is to be created.
    Create,
    /// It is to be looked for: it may exist.
    Find,
    /// These annotations are to be sent.
    Send(Range<usize>),
    /// It is to be read how many annotations have arrived.
    Count,
    /// The conclusion is to be sent.
    Conclude,
    /// Nothing.
    Nothing,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was done, or read; this is the check run.
    Run(CheckRun),
    /// These runs were found.
    Runs(Vec<CheckRun>),
    /// It was refused: this request will never be accepted.
    Refused(String),
    /// It was refused because of what it says.
    Invalid(String),
    /// Somebody else has concluded the check run, and nothing may be added to that.
    Final(String),
    /// It may have been done.
    Doubt(String),
    /// It was not done, and may be later.
    Failed(String),
}

/// The check run that is delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub id: u64,
    /// Its page.
    pub html_url: Option<String>,
    /// Whether it has a conclusion already.
    pub concluded: bool,
}

/// How far a delivery has come.
#[derive(Clone, Debug)]
pub struct State {
    external_id: String,
    /// Annotations to be sent in all.
    total: usize,
    /// The next annotation to be sent.
    at: usize,
    /// Annotations that have arrived for certain.
    arrived: u64,
    /// Annotations that were given up.
    pub left_out: usize,
    /// Those of them that the server refuses, so that nobody has to try them again.
    pub refused: usize,
    /// What is left of a request that was refused because of what it says: the bad one is in there.
    suspects: Option<Range<usize>>,
    next: Next,
    tries: u32,
    /// The check run, as soon as there is one.
    pub opened: Option<Opened>,
    /// What went wrong first; what was mended later is taken back.
    pub trouble: Option<String>,
    /// Whether the server does not let this token make a check run.
    pub is_refused: bool,
}

impl State {
    /// A delivery that begins. With `look` it looks first whether it had begun before.
    #[must_use]
    pub fn new(external_id: &str, look: bool) -> Self {
        Self {
            external_id: external_id.to_owned(),
            total: 0,
            at: 0,
            arrived: 0,
            left_out: 0,
            refused: 0,
            suspects: None,
            next: if look { Next::Find } else { Next::Create },
            tries: 0,
            opened: None,
            trouble: None,
            is_refused: false,
        }
    }

    /// A delivery that goes on where a journal says that it stands. What it does not know for certain is read first.
    #[must_use]
    pub fn resume(external_id: &str, check: &Check) -> Self {
        let mut state = Self::new(external_id, true);
        if let Presence::There(id) = check.presence {
            let concluded = check.concluded.or(check.concluding).is_some();
            state.opened = Some(Opened { id, html_url: None, concluded });
            state.arrived = check.arrived;
            state.refused = check.refused;
            state.left_out = check.refused;
            state.at = usize::try_from(check.arrived).unwrap_or(usize::MAX).saturating_add(check.refused);
            state.next = Next::Count;
            if check.refused > 0 {
                state.trouble = Some("the server does not accept what they say".to_owned());
            }
        }
        state
    }

    /// Reads the check run before anything else is sent: somebody may have concluded it meanwhile.
    pub fn look_again(&mut self) {
        if self.next == Next::Conclude {
            self.step(Next::Count);
        }
    }

    /// What is to be done next.
    #[must_use]
    pub const fn next(&self) -> &Next {
        &self.next
    }

    /// How often that was tried in vain.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// Begins with `total` annotations and the conclusion after them, as soon as there is a check run.
    pub fn finish(&mut self, total: usize) {
        self.total = total;
        if self.opened.is_some() && self.next != Next::Count {
            self.go_on();
        }
    }

    /// Goes to the conclusion at once; what was not sent is left out.
    pub fn hurry(&mut self, why: &str) {
        if matches!(self.next, Next::Send(_) | Next::Count) {
            self.leave_out(self.total, why);
            self.step(Next::Conclude);
        }
    }

    /// Whether the conclusion has arrived.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.next == Next::Nothing && self.left_out == 0 && self.trouble.is_none()
    }

    /// Takes in what came of [`State::next`].
    pub fn came(&mut self, came: Came) {
        match (self.next.clone(), came) {
            (Next::Create, Came::Run(run)) => self.open(&run),
            (Next::Create, Came::Doubt(why)) => self.look(why),
            (Next::Find, Came::Runs(runs)) => {
                let ours = |run: &&CheckRun| run.external_id.as_deref() == Some(&self.external_id);
                match runs.iter().find(ours) {
                    Some(run) => self.open(&run.clone()),
                    // The tries go on: a creation whose answers are all lost ends some time.
                    None => self.next = Next::Create,
                }
            }
            (Next::Send(range), Came::Run(_)) => self.sent(&range),
            (Next::Send(_), Came::Doubt(_)) => self.step_in_doubt(),
            (_, Came::Final(why)) => self.end(why),
            (Next::Send(range), Came::Invalid(why)) => self.bisect(range, &why),
            (Next::Send(_) | Next::Count, Came::Refused(why) | Came::Invalid(why)) => self.hurry(&why),
            (Next::Count, Came::Run(run)) => self.counted(&run),
            (Next::Conclude, Came::Run(_)) => {
                if let Some(opened) = &mut self.opened {
                    opened.concluded = true;
                }
                self.step(Next::Nothing);
            }
            (Next::Create | Next::Find | Next::Conclude, Came::Refused(why) | Came::Invalid(why)) => {
                self.is_refused = self.opened.is_none();
                self.end(why);
            }
            (Next::Nothing, _) => {}
            // What was not done, and answers that are none to the question.
            (next, Came::Failed(why) | Came::Doubt(why)) => self.failed(&next, why),
            (next, Came::Run(_) | Came::Runs(_)) => {
                self.failed(&next, "the answer of the server is not what its documentation says".to_owned());
            }
        }
    }

    fn step(&mut self, next: Next) {
        self.next = next;
        self.tries = 0;
    }

    /// The creation may have been done. A doubt is a try, too: a server that loses every answer is not asked for ever.
    fn look(&mut self, why: String) {
        self.next = Next::Find;
        self.tries += 1;
        if self.tries >= MOST_TRIES {
            self.end(why);
        }
    }

    /// The annotations may have arrived.
    fn step_in_doubt(&mut self) {
        self.next = Next::Count;
        self.tries += 1;
    }

    fn open(&mut self, run: &CheckRun) {
        self.arrived = run.output.annotations_count;
        // What an earlier delivery has sent stands there in the same order.
        self.at = usize::try_from(self.arrived).unwrap_or(usize::MAX);
        let concluded = run.status == Status::Completed;
        self.opened = Some(Opened { id: run.id, html_url: run.html_url.clone(), concluded });
        self.go_on();
    }

    fn go_on(&mut self) {
        let end = self.total.min(self.at.saturating_add(MAX_BATCH));
        let end = match self.suspects.take().filter(|suspects| suspects.contains(&self.at)) {
            Some(suspects) => {
                let half = (suspects.end - self.at).div_ceil(2);
                self.suspects = Some(self.at..suspects.end);
                end.min(self.at + half)
            }
            None => end,
        };
        self.step(if self.at < end { Next::Send(self.at..end) } else { Next::Conclude });
    }

    /// One bad annotation fails its whole request, and the others are no worse for it: the request is cut in two until the
    /// bad one is alone.
    fn bisect(&mut self, range: Range<usize>, why: &str) {
        if range.len() > 1 {
            self.suspects = Some(range);
            return self.go_on();
        }
        self.refused += 1;
        self.leave_out(range.end, why);
        self.go_on();
        if self.refused > MOST_BAD {
            self.hurry(why);
        }
    }

    fn sent(&mut self, range: &Range<usize>) {
        self.arrived += range.len() as u64;
        self.at = range.end;
        self.go_on();
    }

    fn counted(&mut self, run: &CheckRun) {
        let Some(opened) = &mut self.opened else { return };
        opened.html_url = run.html_url.clone().or(opened.html_url.take());
        if run.status == Status::Completed && !opened.concluded {
            return self.end("somebody else has concluded the check run".to_owned());
        }
        let count = run.output.annotations_count;
        let new = usize::try_from(count.saturating_sub(self.arrived)).unwrap_or(usize::MAX);
        let tries = self.tries;
        self.at = self.total.min(self.at.saturating_add(new));
        self.arrived = self.arrived.max(count);
        self.go_on();
        if new == 0 {
            self.tries = tries;
            if tries >= MOST_TRIES {
                self.hurry("the server lost every answer");
            }
        }
    }

    fn leave_out(&mut self, end: usize, why: &str) {
        self.left_out += end.saturating_sub(self.at);
        self.at = self.at.max(end);
        self.trouble.get_or_insert_with(|| why.to_owned());
    }

    fn failed(&mut self, next: &Next, why: String) {
        self.tries += 1;
        if self.tries < MOST_TRIES {
            return;
        }
        match next {
            Next::Send(_) | Next::Count => self.hurry(&why),
            Next::Create | Next::Find | Next::Conclude => self.end(why),
            Next::Nothing => {}
        }
    }

    /// Gives up.
    pub fn end(&mut self, why: String) {
        if self.next != Next::Nothing {
            self.trouble = Some(why);
            self.next = Next::Nothing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::checks::Said;

    fn run(count: u64) -> CheckRun {
        CheckRun {
            id: 7,
            external_id: Some("me".into()),
            output: Said { annotations_count: count },
            ..CheckRun::default()
        }
    }

    fn doubt() -> Came {
        Came::Doubt("lost".into())
    }

    #[test]
    fn a_delivery_creates_sends_and_concludes() {
        let mut state = State::new("me", false);
        state.finish(120);
        let mut seen = Vec::new();
        while *state.next() != Next::Nothing {
            seen.push(state.next().clone());
            state.came(Came::Run(run(0)));
        }
        assert_eq!(
            seen,
            [Next::Create, Next::Send(0..50), Next::Send(50..100), Next::Send(100..120), Next::Conclude]
        );
        assert!(state.is_delivered());
    }

    #[test]
    fn a_lost_creation_is_looked_for_and_adopted() {
        let mut state = State::new("me", false);
        state.came(doubt());
        assert_eq!(*state.next(), Next::Find);
        state.came(Came::Runs(vec![CheckRun { external_id: Some("other".into()), ..run(0) }, run(0)]));
        assert_eq!((state.opened.as_ref().unwrap().id, state.next()), (7, &Next::Conclude));
        let mut state = State::new("me", false);
        state.came(doubt());
        state.came(Came::Runs(Vec::new()));
        assert_eq!(*state.next(), Next::Create);
    }

    #[test]
    fn a_lost_batch_is_counted_before_it_is_sent_again() {
        for (count, next) in [(0, Next::Send(0..50)), (50, Next::Send(50..60)), (10, Next::Send(10..60))] {
            let mut state = State::new("me", false);
            state.finish(60);
            state.came(Came::Run(run(0)));
            state.came(doubt());
            assert_eq!(*state.next(), Next::Count);
            state.came(Came::Run(run(count)));
            assert_eq!(*state.next(), next, "{count} arrived");
        }
    }

    /// Answers as a server that does not take the annotations `bad`. Returns those that it took, and the requests.
    fn against(bad: &[usize], state: &mut State) -> (Vec<usize>, usize) {
        let (mut taken, mut requests) = (Vec::new(), 0);
        while *state.next() != Next::Nothing {
            let came = match state.next().clone() {
                Next::Send(range) if range.clone().any(|at| bad.contains(&at)) => Came::Invalid("bad".into()),
                Next::Send(range) => {
                    taken.extend(range);
                    Came::Run(run(taken.len() as u64))
                }
                _ => Came::Run(run(taken.len() as u64)),
            };
            requests += 1;
            state.came(came);
        }
        (taken, requests)
    }

    #[test]
    fn the_bad_annotation_alone_is_left_out() {
        for bad in [&[0][..], &[49], &[50], &[119], &[0, 1, 2], &[7, 60, 61, 119]] {
            let mut state = State::new("me", false);
            state.finish(120);
            let (taken, requests) = against(bad, &mut state);
            let wanted: Vec<usize> = (0..120).filter(|at| !bad.contains(at)).collect();
            assert_eq!(taken, wanted, "{bad:?}");
            assert_eq!((state.left_out, state.refused), (bad.len(), bad.len()), "{bad:?}");
            assert!(requests <= 5 + 12 * bad.len(), "{bad:?}: {requests} requests");
            assert!(!state.is_delivered() && state.opened.unwrap().concluded);
        }
    }

    #[test]
    fn a_server_that_takes_nothing_is_left_soon() {
        let mut state = State::new("me", false);
        state.finish(1000);
        let all: Vec<usize> = (0..1000).collect();
        let (taken, requests) = against(&all, &mut state);
        assert_eq!((taken.len(), state.left_out), (0, 1000));
        assert!(requests < 100 && state.opened.unwrap().concluded, "{requests}");
    }

    #[test]
    fn a_token_without_the_right_is_not_tried_for_every_annotation() {
        let mut state = State::new("me", false);
        state.finish(120);
        state.came(Came::Run(run(0)));
        state.came(Came::Refused("no permission".into()));
        assert_eq!((state.next(), state.left_out), (&Next::Conclude, 120));
    }

    #[test]
    fn what_a_journal_knows_is_not_asked_and_what_it_does_not_is() {
        let there = Check { presence: Presence::There(7), arrived: 50, ..Check::default() };
        let mut state = State::resume("me", &there);
        state.finish(120);
        assert_eq!(*state.next(), Next::Count);
        // The batch that was in doubt has arrived.
        state.came(Came::Run(run(100)));
        assert_eq!(*state.next(), Next::Send(100..120));
        // One that was refused stands in no count.
        let mut state = State::resume("me", &Check { refused: 1, ..there.clone() });
        state.finish(120);
        state.came(Came::Run(run(50)));
        assert_eq!((state.next(), state.left_out), (&Next::Send(51..101), 1));
        let doubt = Check { presence: Presence::Doubt(crate::clock::Timestamp::now()), ..there };
        assert_eq!(*State::resume("me", &doubt).next(), Next::Find);
    }

    #[test]
    fn what_somebody_else_has_concluded_stays_as_it_is() {
        let completed = CheckRun { status: Status::Completed, ..run(0) };
        let mut state = State::new("me", false);
        state.came(Came::Run(run(0)));
        state.look_again();
        state.finish(3);
        state.came(Came::Run(completed.clone()));
        assert!(*state.next() == Next::Nothing && !state.is_delivered());
        // Our own conclusion of which the answer was lost is no reason to stop.
        let ours = Check {
            presence: Presence::There(7),
            concluding: Some(crate::journal::state::Concluded {
                conclusion: crate::record::Conclusion::Success,
                by: crate::journal::entry::Role::Run,
            }),
            ..Check::default()
        };
        let mut state = State::resume("me", &ours);
        state.finish(0);
        state.came(Came::Run(completed));
        assert_eq!(*state.next(), Next::Conclude);
    }

    #[test]
    fn an_earlier_delivery_is_taken_up_where_it_ended() {
        let mut state = State::new("me", true);
        state.finish(120);
        assert_eq!(*state.next(), Next::Find);
        state.came(Came::Runs(vec![run(50)]));
        assert_eq!(*state.next(), Next::Send(50..100));
    }

    #[test]
    fn whatever_answers_come_it_ends() {
        for came in [
            doubt(),
            Came::Failed("down".into()),
            Came::Refused("no".into()),
            Came::Invalid("no".into()),
            Came::Final("no".into()),
            Came::Runs(vec![]),
            Came::Run(run(0)),
        ] {
            for came_to_doubts in
                [doubt(), Came::Failed("down".into()), Came::Run(run(0)), Came::Runs(vec![])]
            {
                let mut state = State::new("me", false);
                state.finish(200);
                let mut rounds = 0;
                while *state.next() != Next::Nothing {
                    let asked = matches!(state.next(), Next::Find | Next::Count);
                    state.came(if asked { came_to_doubts.clone() } else { came.clone() });
                    rounds += 1;
                    assert!(rounds < 200, "{came:?} {came_to_doubts:?} {state:?}");
                }
            }
        }
    }
}
