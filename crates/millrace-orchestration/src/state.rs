//! States of runs and steps, and a run's state in memory.

use indexmap::IndexMap;
use millrace_contract::StepOutcome;
use millrace_spec::ids::{StepId, StepKey};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::items::Items;

/// State of a pipeline run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for its concurrency key.
    Queued,
    /// Steps run or wait.
    Running,
    /// Every step succeeded, was reused or was skipped by a condition.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the stored word; `None` if it is from a newer version.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// State of a step in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its needs are not met yet.
    Pending,
    /// An attempt holds a slot and works.
    Running,
    /// An attempt waits for something outside, an approval or another system, and holds no slot.
    Waiting,
    /// The next attempt waits for its time.
    Retrying,
    /// It did its work.
    Succeeded,
    /// An earlier result stands in.
    Cached,
    /// It failed for good.
    Failed,
    /// It ran into its timeout for good.
    TimedOut,
    /// Somebody who was asked said no.
    Rejected,
    /// A condition or a need kept it from running.
    Skipped,
    /// The run was cancelled.
    Cancelled,
}

impl StepState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::Succeeded,
        Self::Cached,
        Self::Failed,
        Self::TimedOut,
        Self::Rejected,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// Whether the step will not change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting | Self::Retrying)
    }

    /// Whether its outputs may be used.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cached)
    }

    /// Whether it counts as a failure of the run.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Rejected)
    }

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the stored word; `None` if it is from a newer version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A step of a run in memory: the same as its row.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Where it is.
    pub state: StepState,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Attempts that were lost with their process, not counted against `retry`.
    pub lost: u32,
    /// When the next attempt is due, microseconds since 1970.
    pub retry_at: Option<i64>,
    /// What it left, once it succeeded or was reused.
    pub outcome: Option<StepOutcome>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// What it is done for, once that is known; for steps with `foreach` or `matrix`.
    pub items: Option<Box<Items>>,
}

impl StepRun {
    /// A step that has not begun.
    pub fn pending() -> Self {
        Self {
            state: StepState::Pending,
            attempt: 0,
            lost: 0,
            retry_at: None,
            outcome: None,
            error: None,
            items: None,
        }
    }

    /// Attempts of it that hold a slot now.
    pub fn running(&self) -> usize {
        match &self.items {
            Some(items) => items.count(StepState::Running),
            None => usize::from(self.state == StepState::Running),
        }
    }
}

/// A run in memory: the same as its rows.
#[derive(Debug, Clone)]
pub struct RunSnapshot {
    /// 32 hex digits.
    pub id: String,
    /// The definition it began with.
    pub pipeline: Pipeline,
    /// Resolved inputs.
    pub inputs: IndexMap<String, Value>,
    /// What happened elsewhere and started it, if that is how it began.
    pub event: Option<Value>,
    /// All of what happened, if several events were gathered.
    pub events: Vec<Value>,
    /// The window it is about: `start`, `end`, `attempt`.
    pub window: Option<Value>,
    /// Whether it leaves out steps of the pipeline, as somebody asked for a part of it.
    pub partial: bool,
    /// Where it is.
    pub state: RunState,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Whether somebody holds it: what runs goes on, nothing begins.
    pub paused: bool,
    /// When it was made, microseconds since 1970.
    pub created_at: i64,
    /// By when it is to be over.
    pub deadline_at: Option<i64>,
    /// The run and the step, with its item, that started it.
    pub parent: Option<(String, String)>,
    /// Its page, as people reach the server; the path alone if nobody knows.
    pub url: String,
    /// All steps, those of `finally` last.
    pub steps: IndexMap<StepId, StepRun>,
}

impl RunSnapshot {
    /// A step or an item of one.
    pub fn find(&self, key: &StepKey) -> Option<&StepRun> {
        let step = self.steps.get(&key.step)?;
        match key.item {
            None => Some(step),
            Some(item) => step.items.as_ref()?.get(item),
        }
    }

    /// Changes a step or an item of one; `None` if it is not there.
    pub fn update<T>(&mut self, key: &StepKey, change: impl FnOnce(&mut StepRun) -> T) -> Option<T> {
        let step = self.steps.get_mut(&key.step)?;
        match key.item {
            None => Some(change(step)),
            Some(item) => step.items.as_mut()?.update(item, change),
        }
    }

    /// Attempts that hold a slot now.
    pub fn running(&self) -> usize {
        self.steps.values().map(StepRun::running).sum()
    }

    /// The first failure, for messages about the whole run.
    pub fn first_error(&self) -> Option<(&StepId, &Problem)> {
        self.steps
            .iter()
            .filter(|(_, step)| step.state.is_failure())
            .find_map(|(id, step)| Some((id, step.error.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_word_reads_back() {
        for state in StepState::ALL {
            assert_eq!(StepState::parse(state.as_str()), Some(state));
        }
        assert_eq!(StepState::parse("dozing"), None);
        assert_eq!(RunState::parse("queued"), Some(RunState::Queued));
    }
}
