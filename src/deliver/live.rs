//! How a run stands while it is made, as a title and a table. It is made from events, some of which may be missing: only
//! the record is the truth.

use crate::deliver::compose::fitted;
use crate::event::RunEvent;
use crate::id::StepKey;
use crate::page::Page;
use crate::page::words::outcome;
use crate::record::StepRecord;
use crate::redact::Registry;

/// A run in the making.
#[derive(Clone, Debug)]
pub struct Live {
    name: String,
    steps: Vec<(StepKey, Stand)>,
    stopping: Option<String>,
}

#[derive(Clone, Debug)]
enum Stand {
    Waiting,
    Running(u32),
    Over(Box<StepRecord>),
}

impl Live {
    /// A run of `steps` that has not begun.
    #[must_use]
    pub fn new(name: &str, steps: impl IntoIterator<Item = StepKey>) -> Self {
        let steps = steps.into_iter().map(|key| (key, Stand::Waiting)).collect();
        Self { name: name.to_owned(), steps, stopping: None }
    }

    /// Whether [`Live::take`] has a use for `event`.
    #[must_use]
    pub const fn wants(event: &RunEvent) -> bool {
        matches!(
            event,
            RunEvent::StepStarted { .. } | RunEvent::StepFinished { .. } | RunEvent::CancelRequested { .. }
        )
    }

    /// Takes `event` in.
    pub fn take(&mut self, event: RunEvent) {
        match event {
            RunEvent::StepStarted { key, attempt, .. } => self.set(&key, Stand::Running(attempt)),
            RunEvent::StepFinished { step, .. } => self.set(&step.key.clone(), Stand::Over(step)),
            RunEvent::CancelRequested { reason, .. } => self.stopping = Some(reason),
            _ => {}
        }
    }

    fn set(&mut self, key: &StepKey, stand: Stand) {
        if let Some((_, old)) = self.steps.iter_mut().find(|(other, _)| other == key) {
            *old = stand;
        }
    }

    /// One line.
    #[must_use]
    pub fn title(&self) -> String {
        let over = self.steps.iter().filter(|(_, stand)| matches!(stand, Stand::Over(_))).count();
        format!("{over} of {} steps are over", self.steps.len())
    }

    /// The page, without what `registry` hides.
    #[must_use]
    pub fn page(&self, registry: &Registry) -> String {
        let mut page = Page::new(registry);
        let name = page.cell(&self.name);
        page.section(&format!("## ⏳ {name}\n\n{}", self.title()));
        if let Some(reason) = &self.stopping {
            let reason = page.cell(reason);
            page.line(&format!("\n> The run is being stopped: {reason}"));
        }
        page.section("\n| | Step | State |\n|---|---|---|");
        for (key, stand) in &self.steps {
            let key = page.cell(key.as_str());
            let (mark, word) = match stand {
                Stand::Waiting => ("", "waiting".to_owned()),
                Stand::Running(1) => ("▶️", "running".to_owned()),
                Stand::Running(attempt) => ("▶️", format!("running, attempt {attempt}")),
                Stand::Over(step) => {
                    let mark = if step.passed() { "✅" } else { "❌" };
                    (mark, outcome(step).map_or_else(|| "passed".to_owned(), |word| page.cell(&word)))
                }
            };
            page.line(&format!("| {mark} | {key} | {word} |"));
        }
        fitted(&page.into_sections(), "")
    }
}
