//! One approval: how it stands, and what a decision or its deadline changes. Pure: rows and a time in, a change out.

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_metastore::approvals::{
    ApprovalChange, ApprovalDecisionRow, ApprovalRefusal, ApprovalRow, approval_state,
};
use millrace_spec::access::{Access, Approver, OnTimeout, Person, Quorum};
use serde_json::Value;

use super::{ApprovalError, ApprovalRule, Decision, Subject, after, form, json};

/// An approval with its documents read.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// The row.
    pub row: ApprovalRow,
    /// Who is asked and how it is decided.
    pub rule: ApprovalRule,
    /// What is to be approved.
    pub subject: Subject,
    /// Values of the form, once somebody filled it in.
    pub form: Option<IndexMap<String, Value>>,
}

impl Approval {
    /// Reads the documents of a row.
    ///
    /// # Errors
    /// If a newer program wrote them.
    pub fn of(row: ApprovalRow) -> Result<Self, ApprovalError> {
        let wrong = |error| ApprovalError::Document { id: row.id.clone(), error };
        let rule = serde_json::from_str(&row.rule).map_err(wrong)?;
        let subject = serde_json::from_str(&row.subject).map_err(wrong)?;
        let form = row.form.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
        Ok(Self { rule, subject, form, row })
    }

    /// Whether it waits.
    pub fn is_waiting(&self) -> bool {
        self.row.state == approval_state::WAITING
    }

    /// Whether others were asked after the deadline.
    pub fn is_escalated(&self) -> bool {
        self.row.escalated_at.is_some()
    }

    /// How many of [`ApprovalRule::needed`] approvals are there.
    pub fn given(&self) -> usize {
        self.rule.given(&self.yes(&self.row.decisions))
    }

    /// What it waits for, one clause.
    pub fn waits_for(&self) -> String {
        let (given, needed) = (self.given(), self.rule.needed());
        let how_many = match (given, needed) {
            (_, 1) => "an approval".to_owned(),
            (0, _) => format!("{needed} approvals"),
            _ => format!("{} more of {needed} approvals", needed.saturating_sub(given)),
        };
        let each = if matches!(self.rule.min, Quorum::Each(_)) { "each of " } else { "" };
        let until = self.row.deadline.map(|at| format!(", until {}", minute(at))).unwrap_or_default();
        format!("for {how_many} by {each}{}{until}", self.rule.asked_words(self.is_escalated()))
    }

    /// Of each who said yes, what they were.
    fn yes(&self, decisions: &[ApprovalDecisionRow]) -> Vec<Vec<Approver>> {
        let said_yes = decisions.iter().filter(|decision| decision.approves);
        said_yes.map(standing_of).collect()
    }

    /// Why a person may not say yes; `None` if they may.
    pub fn refusal(&self, access: &Access, person: &Person) -> Option<ApprovalRefusal> {
        if !self.is_waiting() {
            let (id, state) = (self.row.id.clone(), self.row.state.clone());
            return Some(ApprovalRefusal::Decided { id, state });
        }
        if self.standing(access, person).is_empty() {
            let asked = self.rule.asked_words(self.is_escalated());
            return Some(ApprovalRefusal::NotAsked { who: person.name.clone(), asked });
        }
        if !self.rule.own && self.row.asked_by.as_deref() == Some(person.name.as_str()) {
            return Some(ApprovalRefusal::OwnRun { who: person.name.clone() });
        }
        let said_yes =
            |decision: &ApprovalDecisionRow| decision.approves && decision.decided_by == person.name;
        let again = self.row.decisions.iter().any(said_yes);
        again.then(|| ApprovalRefusal::Again { who: person.name.clone() })
    }

    /// The approvers that a person is one of.
    fn standing(&self, access: &Access, person: &Person) -> Vec<Approver> {
        let asked = self.rule.asked(self.is_escalated()).into_iter();
        asked.filter(|approver| access.includes(approver, person)).collect()
    }

    /// What a decision changes.
    pub(super) fn decided(
        &self,
        decision: &Decision,
        access: &Access,
        now: i64,
    ) -> Result<ApprovalChange, ApprovalRefusal> {
        match self.refusal(access, &decision.person) {
            // Whoever is asked may say no, also to a run of their own or after their yes.
            Some(ApprovalRefusal::OwnRun { .. } | ApprovalRefusal::Again { .. }) if !decision.approve => {}
            Some(refusal) => return Err(refusal),
            None => {}
        }
        if !decision.approve && decision.comment.trim().is_empty() {
            return Err(ApprovalRefusal::NoReason);
        }
        let row = ApprovalDecisionRow {
            decided_by: decision.person.name.clone(),
            approves: decision.approve,
            standing: json(&self.standing(access, &decision.person)),
            comment: decision.comment.clone(),
            via: decision.via.to_owned(),
            decided_at: now,
        };
        if !decision.approve {
            let reason = format!("{} rejected it: {}", row.decided_by, row.comment);
            let end = Some((approval_state::REJECTED, Some(reason), now));
            return Ok(ApprovalChange { decision: Some(row), end, ..ApprovalChange::default() });
        }
        let form = form::fill(&self.rule.form, &decision.form, self.form.as_ref())?;
        let mut decisions = self.row.decisions.clone();
        decisions.retain(|other| other.decided_by != row.decided_by);
        decisions.push(row.clone());
        let met = self.rule.is_met(self.is_escalated(), &self.yes(&decisions));
        Ok(ApprovalChange {
            decision: Some(row),
            form: (!self.rule.form.is_empty()).then(|| json(&form)),
            end: met.then_some((approval_state::APPROVED, None, now)),
            escalation: None,
        })
    }

    /// What its deadline changes at `now`, if it is over.
    pub(super) fn overdue(&self, now: i64) -> ApprovalChange {
        let Some(deadline) = self.row.deadline.filter(|deadline| *deadline <= now) else {
            return ApprovalChange::default();
        };
        let nobody = format!("nobody decided by {}", minute(deadline));
        let end = |state, reason| ApprovalChange {
            end: Some((state, Some(reason), now)),
            ..ApprovalChange::default()
        };
        match &self.rule.on_timeout {
            OnTimeout::Approve => {
                end(approval_state::APPROVED, format!("{nobody}, and `on_timeout` is `approve`"))
            }
            OnTimeout::Escalate(_) if !self.is_escalated() => {
                let again = self.rule.timeout_ms.map(|ms| after(now, ms));
                ApprovalChange { escalation: Some((now, again)), ..ApprovalChange::default() }
            }
            OnTimeout::Reject | OnTimeout::Escalate(_) => end(approval_state::REJECTED, nobody),
        }
    }
}

/// What somebody who decided was.
pub fn standing_of(decision: &ApprovalDecisionRow) -> Vec<Approver> {
    serde_json::from_str(&decision.standing).unwrap_or_default()
}

/// An instant for people, to the minute.
fn minute(at: i64) -> String {
    let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
