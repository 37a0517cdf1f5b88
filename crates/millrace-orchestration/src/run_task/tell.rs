//! What others are told while a run goes on.

use millrace_contract::Progress;
use millrace_spec::ids::StepId;

use super::RunTask;
use crate::events::RunEventKind;
use crate::items::Items;
use crate::state::{RunState, StepState};

/// Items of one step end faster than anybody reads: their progress is told four times a second, microseconds.
const ITEMS_EVERY: i64 = 250_000;

impl RunTask {
    pub(super) fn publish_changes(&mut self) {
        let mut moved: Vec<StepId> = Vec::new();
        for (id, step) in &self.run.steps {
            let now = (step.state, step.attempt);
            if self.published.insert(id.clone(), now) != Some(now) && now != (StepState::Pending, 0) {
                let kind = RunEventKind::StepChanged {
                    step: id.to_string(),
                    state: step.state.as_str(),
                    attempt: step.attempt,
                };
                self.shared.publish(&self.run.id, self.run.pipeline.name.as_str(), kind);
            }
            if step.items.is_some() && step.state == StepState::Running {
                moved.push(id.clone());
            }
        }
        moved.iter().for_each(|id| self.publish_items(id));
    }

    fn publish_items(&mut self, id: &StepId) {
        let now = self.shared.now();
        if self.told_items.get(id).is_some_and(|told| now - told < ITEMS_EVERY) {
            return;
        }
        self.told_items.insert(id.clone(), now);
        let Some(items) = self.run.steps.get(id).and_then(|step| step.items.as_ref()) else { return };
        let progress = progress_of(items);
        self.shared.keep_progress(&self.run.id, id.as_str(), progress.clone());
        let kind = RunEventKind::StepProgress { step: id.to_string(), progress };
        self.shared.publish(&self.run.id, self.run.pipeline.name.as_str(), kind);
    }

    pub(super) fn publish_run(&self) {
        let kind = RunEventKind::RunChanged { state: self.run.state.as_str() };
        self.shared.publish(&self.run.id, self.run.pipeline.name.as_str(), kind);
    }

    /// Ends the tracked run of the pipeline and tells whoever waits: a step of another run first of all.
    pub(super) async fn finish(&self) {
        if self.logged_something() {
            let word = match self.run.state {
                RunState::Succeeded => "FINISHED",
                RunState::Cancelled => "KILLED",
                _ => "FAILED",
            };
            if let Err(error) = self.shared.services.tracker.end_run(&self.run.id, word).await {
                tracing::warn!(run = %self.run.id, %error, "the tracked run stays open");
            }
        }
        for (id, step) in &self.run.steps {
            if step.items.is_some() {
                self.shared.forget_progress(&self.run.id, id.as_str());
            }
        }
        if let Some((run, step)) = &self.run.parent {
            self.shared.nudge(run, step);
        }
        self.shared.notices_due.notify_one();
        self.publish_run();
    }

    /// The pipeline's own tracked run is begun by the first step that logs.
    fn logged_something(&self) -> bool {
        let tracked = |id: &StepId| {
            let step = self.definition(id);
            step.and_then(|step| self.shared.kinds.get(step.kind.as_str())).is_some_and(|kind| kind.tracked())
        };
        let has_metrics = |step: &crate::state::StepRun| {
            step.outcome.as_ref().is_some_and(|outcome| !outcome.metrics.is_empty())
        };
        self.run.steps.iter().any(|(id, step)| match step.state {
            StepState::Succeeded => {
                let of_items =
                    step.items.as_ref().is_some_and(|items| items.iter().any(|(_, item)| has_metrics(item)));
                tracked(id) || has_metrics(step) || of_items
            }
            StepState::Failed | StepState::TimedOut | StepState::Cancelled => {
                (step.attempt > 0 || step.items.is_some()) && tracked(id)
            }
            _ => false,
        })
    }
}

/// How far the items of a step are.
fn progress_of(items: &Items) -> Progress {
    let over = items.count_where(StepState::is_final);
    let failed = items.count_where(StepState::is_failure);
    let failures = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    Progress {
        fraction: Some(over as f64 / items.len().max(1) as f64),
        message: Some(format!("{over} of {} items{failures}", items.len())),
        ..Progress::default()
    }
}
