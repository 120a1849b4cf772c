//! The block at the bottom of a terminal: every step with its state and time, drawn anew in place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr as _;

use crate::clock::readable;
use crate::id::StepKey;
use crate::page::words::size;
use crate::record::StepRecord;
use crate::report::theme::{Paint, Theme, one_line, pad};
use crate::report::words::{most_name, step_line};

/// Most lines of the block; steps beyond are counted.
const MOST_LINES: usize = 16;

/// What is known of one step.
#[derive(Debug)]
enum State {
    Waiting,
    Running { since: Instant, attempt: u32, slow: bool, stopping: bool },
    Over(Box<StepRecord>),
}

/// The block.
#[derive(Debug)]
pub(super) struct Block {
    steps: BTreeMap<StepKey, State>,
    order: Vec<StepKey>,
    waiting_for: Option<String>,
    uploading: Option<(String, u64, u64)>,
    drawn: usize,
    tick: usize,
}

impl Block {
    pub(super) fn new(keys: &[StepKey]) -> Self {
        let steps = keys.iter().map(|key| (key.clone(), State::Waiting)).collect();
        Self { steps, order: keys.to_vec(), waiting_for: None, uploading: None, drawn: 0, tick: 0 }
    }

    pub(super) fn waiting_for(&mut self, group: &str) {
        self.waiting_for = Some(group.to_owned());
    }

    /// An artifact of `of` bytes is on its way, and its archive has `sent` bytes so far.
    pub(super) fn uploading(&mut self, name: &str, sent: u64, of: u64) {
        self.uploading = Some((name.to_owned(), sent, of));
    }

    pub(super) fn started(&mut self, key: &StepKey, attempt: u32) {
        self.waiting_for = None;
        let since = match self.steps.get(key) {
            Some(State::Running { since, .. }) => *since,
            _ => Instant::now(),
        };
        self.steps.insert(key.clone(), State::Running { since, attempt, slow: false, stopping: false });
    }

    pub(super) fn slow_or_stopping(&mut self, key: &StepKey, is_stopping: bool) {
        if let Some(State::Running { slow, stopping, .. }) = self.steps.get_mut(key) {
            *slow |= !is_stopping;
            *stopping |= is_stopping;
        }
    }

    pub(super) fn over(&mut self, step: &StepRecord) {
        self.steps.insert(step.key.clone(), State::Over(Box::new(step.clone())));
    }

    /// What takes the block off the screen.
    pub(super) fn erase(&mut self) -> String {
        let lines = std::mem::take(&mut self.drawn);
        if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r\u{1b}[J") }
    }

    /// The block, with its spinner one step on, in `width` columns and less than `height` lines: what is broken by the
    /// terminal or scrolled away could not be erased.
    pub(super) fn draw(&mut self, theme: Theme, width: usize, height: usize) -> String {
        self.tick += 1;
        let names = self.order.iter().map(|key| one_line(key.as_str()).width()).max();
        let names = names.unwrap_or(0).min(most_name(width));
        let shown = self.shown(height.saturating_sub(3).clamp(1, MOST_LINES));
        let mut lines: Vec<String> = shown
            .iter()
            .filter_map(|&key| Some(self.line(key, self.steps.get(key)?, theme, names, width)))
            .collect();
        if shown.len() < self.order.len() {
            let over = self.steps.values().filter(|state| matches!(state, State::Over(_))).count();
            lines.push(theme.fit(&format!("  {over} of {} steps are over", self.order.len()), width));
        }
        if let Some(group) = &self.waiting_for {
            let spinner = theme.spinner(self.tick);
            let line = format!("  {spinner} waiting for another run of the group {}", one_line(group));
            lines.push(theme.fit(&line, width));
        }
        if let Some((name, sent, of)) = &self.uploading {
            let spinner = theme.spinner(self.tick);
            let (name, sent, of) = (one_line(name), size(*sent), size(*of));
            let line = format!("  {spinner} uploading {name}: {sent} sent, {of} of files");
            lines.push(theme.fit(&line, width));
        }
        self.drawn = lines.len();
        lines.push(String::new());
        lines.join("\n")
    }

    /// The steps that have a line, at most `most`: where there are more, those that run, then those that did not pass.
    fn shown(&self, most: usize) -> Vec<&StepKey> {
        if self.order.len() <= most {
            return self.order.iter().collect();
        }
        let rank = |key: &StepKey| match self.steps.get(key) {
            Some(State::Running { .. }) => Some(0),
            Some(State::Over(step)) if !step.passed() => Some(1),
            _ => None,
        };
        let mut ranked: Vec<(u8, usize)> =
            self.order.iter().enumerate().filter_map(|(at, key)| Some((rank(key)?, at))).collect();
        ranked.sort_unstable();
        ranked.truncate(most);
        let mut places: Vec<usize> = ranked.into_iter().map(|(_, at)| at).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|at| self.order.get(at)).collect()
    }

    fn line(&self, key: &StepKey, state: &State, theme: Theme, names: usize, width: usize) -> String {
        let shown = theme.fit(&one_line(key.as_str()), most_name(width));
        match state {
            State::Waiting => theme.paint(Paint::Dim, &format!("  {} {shown}", theme.either("·", ". "))),
            State::Over(step) => step_line(step, theme, names, width),
            State::Running { since, attempt, slow, stopping } => {
                let mut words = whole(since.elapsed());
                if *attempt > 1 {
                    let _ = write!(words, ", attempt {attempt}");
                }
                if *slow {
                    words.push_str(", slow");
                }
                if *stopping {
                    words.push_str(", being stopped");
                }
                let words = theme.fit(&words, width.saturating_sub(names + 7));
                format!(
                    "  {} {}  {words}",
                    theme.paint(Paint::Blue, theme.spinner(self.tick)),
                    pad(&shown, names)
                )
            }
        }
    }
}

/// A time that goes on, without the parts of a second that nobody can read.
fn whole(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { readable(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Theme = Theme { color: false, unicode: false };

    fn keys(names: &[String]) -> Vec<StepKey> {
        let id = "rows".parse().unwrap();
        names.iter().map(|name| StepKey::leg(&id, name)).collect()
    }

    #[test]
    fn running_steps_are_shown_before_all_others() {
        let names: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
        let keys = keys(&names);
        let mut block = Block::new(&keys);
        for key in &keys[30..34] {
            block.started(key, 1);
        }
        block.slow_or_stopping(&keys[31], false);
        block.started(&keys[32], 2);
        insta::assert_snapshot!(block.draw(PLAIN, 80, 24), @r"
          /  rows (s30)  0s
          /  rows (s31)  0s, slow
          /  rows (s32)  0s, attempt 2
          /  rows (s33)  0s
          0 of 40 steps are over
        ");
        assert_eq!(block.erase(), "\u{1b}[5A\r\u{1b}[J");
        assert_eq!(block.erase(), "", "what is off the screen is not taken off again");
    }

    proptest! {
        /// A line that the terminal would break, or one too many, would be left behind by the next drawing.
        #[test]
        fn the_block_never_outgrows_the_terminal(
            names in prop::collection::btree_set("[a-z日]{1,60}", 1..40),
            running in 0_usize..40,
            (width, height) in (20_usize..200, 4_usize..60),
            unicode: bool,
            group in prop::option::of("[ a-z]{0,80}"),
        ) {
            let keys = keys(&names.into_iter().collect::<Vec<_>>());
            let mut block = Block::new(&keys);
            for key in keys.iter().take(running) {
                block.started(key, 3);
                block.slow_or_stopping(key, true);
            }
            if let Some(group) = &group {
                block.waiting_for(group);
            }
            let drawn = block.draw(Theme { color: false, unicode }, width, height);
            prop_assert!(drawn.lines().count() < height, "{drawn}");
            prop_assert!(drawn.lines().all(|line| line.width() <= width), "{drawn}");
            prop_assert_eq!(drawn.lines().count(), block.drawn);
        }
    }
}
