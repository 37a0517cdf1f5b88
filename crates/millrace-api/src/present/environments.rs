//! Environments as views.

use millrace_orchestration::environments::EnvironmentStatus;
use millrace_spec::access::Quorum;
use millrace_spec::hours::OpenState;

use super::instant;
use crate::views::environments::{EnvironmentHoldView, EnvironmentView};

/// An environment; `waiting`: approvals that wait for deployments into it.
pub fn environment(status: EnvironmentStatus, waiting: u32) -> EnvironmentView {
    let rules = status.rules;
    let (open, open_changes_at) = match status.hours {
        None => (true, None),
        Some(OpenState::Open(until)) => (true, Some(until.to_string())),
        Some(OpenState::Closed(from)) => (false, from.map(|from| from.to_string())),
    };
    let approval = rules.approvers.as_ref();
    EnvironmentView {
        name: status.name,
        description: rules.description,
        endpoints: rules.endpoints,
        approvers: approval
            .map(|approval| approval.by.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        approvals: approval.and_then(|approval| match approval.min {
            Quorum::Count(count) => Some(count),
            Quorum::Each(_) => None,
        }),
        branches: rules.branches,
        hours: rules.hours.map(|hours| hours.words()),
        open,
        open_changes_at,
        exclusive: rules.exclusive,
        held_by: status.held_by.map(|hold| EnvironmentHoldView {
            run: hold.run_id,
            pipeline: hold.pipeline,
            step: hold.step,
            since: instant(hold.taken_at),
        }),
        evaluation: rules.evaluation.iter().map(|evaluation| evaluation.words()).collect(),
        waiting,
    }
}
