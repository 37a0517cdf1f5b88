//! Environments that are deployed into, and how they stand.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// The run that has an exclusive environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EnvironmentHoldView {
    /// Run.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The step that took it.
    pub step: String,
    /// RFC 3339.
    pub since: String,
}

/// An environment with its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EnvironmentView {
    /// Name.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// Endpoints that belong to it.
    pub endpoints: Vec<String>,
    /// Who approves each deployment: `user:NAME`, `group:NAME` or `role:NAME`.
    pub approvers: Vec<String>,
    /// How many of them must; absent if somebody of each.
    pub approvals: Option<u32>,
    /// Branches that runs may come from; any if empty.
    pub branches: Vec<String>,
    /// When it may be deployed into: `mon-fri 09:00 to 17:00 (Europe/Berlin)`.
    pub hours: Option<String>,
    /// Whether it is within its hours.
    pub open: bool,
    /// When that changes, RFC 3339.
    pub open_changes_at: Option<String>,
    /// Whether one run at a time has it.
    pub exclusive: bool,
    /// The run that has it.
    pub held_by: Option<EnvironmentHoldView>,
    /// Numbers that a model must have reached, a clause each.
    pub evaluation: Vec<String>,
    /// Approvals that wait for deployments into it.
    pub waiting: u32,
}
