//! Approvals as views.

use millrace_contract::Explain as _;
use millrace_metastore::approvals::ApprovalRefusal;
use millrace_orchestration::approvals::{Approval, ApprovalError, standing_of};
use millrace_spec::access::{Access, OnTimeout, Person, Quorum};
use millrace_spec::asset::Asset;
use serde_json::Value;

use super::instant;
use crate::views::approvals::{ApprovalDecisionView, ApprovalSubjectView, ApprovalView, ApproverView};
use crate::views::json::{Json, JsonMap};
use crate::views::pipelines::InputView;

/// An approval as `person` sees it; without the groups and roles nobody can tell who may decide.
pub fn approval(
    approval: Approval,
    access: &Result<Access, ApprovalError>,
    person: &Person,
    logged_in: bool,
) -> ApprovalView {
    let may_not = match access {
        Ok(access) => approval
            .refusal(access, person)
            .filter(|refusal| {
                // An ended one says so by its state.
                !matches!(refusal, ApprovalRefusal::Decided { .. })
            })
            .map(|refusal| refusal.to_string()),
        Err(error) => Some(error.problem().message),
    };
    let asked = approval.rule.asked(approval.is_escalated());
    let approvers = asked.iter().map(|approver| ApproverView {
        name: approver.to_string(),
        people: access
            .as_ref()
            .ok()
            .and_then(|access| access.people(approver))
            .map(|people| people.into_iter().collect()),
    });
    let approvers = approvers.collect();
    let waits_for = approval.is_waiting().then(|| approval.waits_for());
    let form = approval.rule.form.iter().map(|(name, field)| InputView {
        name: name.clone(),
        type_name: field.type_name.clone(),
        default: Json(field.default.clone().unwrap_or(Value::Null)),
        required: field.default.is_none(),
        allowed: field.allowed.as_ref().map(|values| values.iter().cloned().map(Json).collect()),
        description: field.description.clone(),
    });
    let form = form.collect();
    let (given, needed) = (approval.given(), approval.rule.needed());
    let asset = Asset::from_value(&approval.subject.value);
    let row = approval.row;
    let decisions = row.decisions.iter().map(|decision| ApprovalDecisionView {
        by: decision.decided_by.clone(),
        approve: decision.approves,
        standing: standing_of(decision).iter().map(ToString::to_string).collect(),
        comment: decision.comment.clone(),
        via: decision.via.clone(),
        at: instant(decision.decided_at),
    });
    ApprovalView {
        decisions: decisions.collect(),
        id: row.id,
        state: row.state,
        run: row.run_id,
        pipeline: row.pipeline,
        step: row.step,
        environment: row.environment,
        subject: ApprovalSubjectView {
            kind: approval.subject.kind,
            label: approval.subject.label,
            digest: approval.subject.digest,
            reference: approval.subject.reference,
            name: asset.as_ref().and_then(|asset| asset.name.clone()),
            version: asset.and_then(|asset| asset.version),
        },
        message: approval.rule.message,
        asked_by: row.asked_by,
        own: approval.rule.own,
        asked_at: instant(row.asked_at),
        deadline: row.deadline.map(instant),
        on_timeout: match &approval.rule.on_timeout {
            OnTimeout::Reject => "reject".to_owned(),
            OnTimeout::Approve => "approve".to_owned(),
            OnTimeout::Escalate(approver) => approver.to_string(),
        },
        escalated_at: row.escalated_at.map(instant),
        approvers,
        each: matches!(approval.rule.min, Quorum::Each(_)),
        needed: u32::try_from(needed).unwrap_or(u32::MAX),
        given: u32::try_from(given).unwrap_or(u32::MAX),
        waits_for,
        form,
        values: JsonMap(approval.form.unwrap_or_default()),
        reason: row.reason,
        decided_at: row.decided_at.map(instant),
        caller: person.name.clone(),
        logged_in,
        may_not,
    }
}
