//! What people are asked, and what they decided.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::JsonMap;
use super::models::PromotionView;
use super::pipelines::InputView;

/// What is to be approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ApprovalSubjectView {
    /// `model`, `table`, another type of asset, `value`, or `run` for the run's plan.
    pub kind: String,
    /// For people: `churn@3`.
    pub label: String,
    /// Of the content that it is about.
    pub digest: String,
    /// What it was found by, `model:churn@challenger`.
    pub reference: Option<String>,
    /// Name of a registered model or dataset.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<u64>,
}

/// Somebody who is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ApproverView {
    /// `user:NAME`, `group:NAME` or `role:NAME`.
    pub name: String,
    /// Who that is now; absent if no file says so, as of administrators.
    pub people: Option<Vec<String>>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ApprovalDecisionView {
    /// Who.
    pub by: String,
    /// Yes or no.
    pub approve: bool,
    /// As what: the approvers that the person was one of.
    #[serde(rename = "as")]
    pub standing: Vec<String>,
    /// Why.
    pub comment: String,
    /// `api` or `command`.
    pub via: String,
    /// RFC 3339.
    pub at: String,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ApprovalView {
    /// Id.
    pub id: String,
    /// `waiting`, `approved`, `rejected`, `void` or `withdrawn`.
    pub state: String,
    /// Run that waits.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// Its step.
    pub step: String,
    /// The environment whose rules ask; absent for an `approve` step.
    pub environment: Option<String>,
    /// What is to be approved.
    pub subject: ApprovalSubjectView,
    /// What the people who are asked should know.
    pub message: String,
    /// Who started the run; absent if a trigger did.
    pub asked_by: Option<String>,
    /// Whether that person may approve it.
    pub own: bool,
    /// RFC 3339.
    pub asked_at: String,
    /// RFC 3339.
    pub deadline: Option<String>,
    /// `reject`, `approve`, or who is asked then.
    pub on_timeout: String,
    /// When others were asked too, RFC 3339.
    pub escalated_at: Option<String>,
    /// Who may decide.
    pub approvers: Vec<ApproverView>,
    /// Whether somebody of each of them must approve.
    pub each: bool,
    /// Approvals that it needs.
    pub needed: u32,
    /// Approvals that it has.
    pub given: u32,
    /// What it waits for, one clause.
    pub waits_for: Option<String>,
    /// What is to be filled in.
    pub form: Vec<InputView>,
    /// What was filled in.
    pub values: JsonMap,
    /// Oldest first.
    pub decisions: Vec<ApprovalDecisionView>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// When it ended, RFC 3339.
    pub decided_at: Option<String>,
    /// As whom the caller would decide.
    pub caller: String,
    /// Whether a login says so; else decisions may name anybody.
    pub logged_in: bool,
    /// Why the caller may not approve it; absent if they may.
    pub may_not: Option<String>,
}

/// Some approvals, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ApprovalPage {
    /// Those of steps and environments.
    pub approvals: Vec<ApprovalView>,
    /// Requests to promote a version of a model; only on the first page.
    pub promotions: Vec<PromotionView>,
    /// How many wait in all, requests to promote included.
    pub waiting: u32,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// A yes or a no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(deny_unknown_fields)]
pub struct DecideApproval {
    /// Yes or no.
    pub approve: bool,
    /// Why; a no needs one.
    #[serde(default)]
    #[ts(optional, as = "Option<String>")]
    pub comment: String,
    /// Values of the form; defaults, or what was filled in before, stand in for the others.
    #[serde(default)]
    #[ts(optional, as = "Option<JsonMap>")]
    pub form: JsonMap,
    /// Who, on a server that asks nobody who they are.
    #[serde(default)]
    #[ts(optional)]
    pub by: Option<String>,
}
