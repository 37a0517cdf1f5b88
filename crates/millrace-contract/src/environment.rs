use std::time::Duration;

use async_trait::async_trait;
use millrace_spec::asset::Asset;
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::step::{StepContext, StepError};

/// Whether a deployment may go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Passage {
    /// Every rule holds.
    Open,
    /// Some do not.
    Closed {
        /// Which, for people: `for an approval by role:ml_owner; for its hours, from 2026-03-01 09:00`.
        reason: String,
        /// Longest time until it is worth another look.
        look_again: Duration,
    },
}

/// The rules of environments, which a step that deploys into one keeps.
#[async_trait]
pub trait EnvironmentGate: Send + Sync {
    /// The environment of a deployment: the one that it names, else the one that its endpoint belongs to, else none.
    ///
    /// # Errors
    /// If there is no such environment, the endpoint belongs to another, or the rules cannot be read.
    fn environment_of(&self, named: Option<&str>, endpoint: &str) -> Result<Option<String>, Problem>;

    /// Whether any endpoint belongs to an environment.
    fn has_endpoints(&self) -> bool;

    /// Asks for what the rules ask for, once an attempt; returns how to find it again.
    async fn begin(
        &self,
        context: &StepContext,
        environment: &str,
        subject: &Asset,
    ) -> Result<Value, StepError>;

    /// Whether every rule holds now. An exclusive environment belongs to the run from then on, until it is over.
    ///
    /// # Errors
    /// If a rule will never hold: rejected, another branch, too low a number; or the subject is another than the one asked for.
    async fn look(
        &self,
        context: &StepContext,
        environment: &str,
        subject: &Asset,
        handle: &Value,
    ) -> Result<Passage, StepError>;

    /// Takes back what was asked for.
    async fn abandon(&self, handle: &Value);
}
