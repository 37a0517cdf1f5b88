//! Environments: what a deployment into one takes, and whether it is there.
//!
//! The rules are read when a step looks, so that a change of them holds for what waits. What will never hold fails the step; what may come
//! to hold is waited for, all at once; an exclusive environment is taken last, when nothing else is missing.

mod branch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace_contract::{Clock, EnvironmentGate, Passage, StepContext, StepError};
use millrace_metastore::environments::EnvironmentHold;
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::asset::Asset;
use millrace_spec::duration::parse_ms;
use millrace_spec::environment::{Environment, EnvironmentApproval, Environments, RequiredEvaluation};
use millrace_spec::hours::OpenState;
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

pub(crate) use branch::with_branch;

use crate::approvals::{Answer, ApprovalRule, Approvals};
use crate::error::chain;
use crate::evaluations::{self, Evaluation};

/// Time between looks at what nobody tells of: another run's end, an evaluation.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Longest time between two looks at hours; the rules may change meanwhile.
const LOOK_AT_HOURS: Duration = Duration::from_secs(600);

/// The environments of the workspace as its file is now.
pub type EnvironmentSource = Arc<dyn Fn() -> Result<Environments, Box<Problem>> + Send + Sync>;

/// Keeps the rules of environments.
#[derive(Clone)]
pub struct EnvironmentRules {
    store: Metastore,
    clock: Arc<dyn Clock>,
    approvals: Approvals,
    source: EnvironmentSource,
    /// The workspace's zone.
    zone: String,
}

impl std::fmt::Debug for EnvironmentRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnvironmentRules")
    }
}

/// An environment and how it stands, for pages.
#[derive(Debug, Clone)]
pub struct EnvironmentStatus {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Environment,
    /// Whether it is within its hours; `None` without hours.
    pub hours: Option<OpenState>,
    /// The run that has it.
    pub held_by: Option<EnvironmentHold>,
}

/// What is missing, for people, and when it is worth another look.
struct Missing {
    reason: String,
    look_again: Duration,
}

impl EnvironmentRules {
    /// Reads the rules from `source` each time; `zone` is the workspace's.
    pub fn new(
        store: Metastore,
        clock: Arc<dyn Clock>,
        approvals: Approvals,
        source: EnvironmentSource,
        zone: String,
    ) -> Self {
        Self { store, clock, approvals, source, zone }
    }

    /// Every environment with how it stands.
    ///
    /// # Errors
    /// If `environments.yaml` is wrong or the database fails.
    pub async fn list(&self) -> Result<Vec<EnvironmentStatus>, Box<Problem>> {
        let all = (self.source)()?;
        let holds = self
            .store
            .list_environment_holds()
            .await
            .map_err(|error| Box::new(Problem::error("store-failed", chain(&error))))?;
        let now = self.clock.now();
        let status = |(name, rules): (String, Environment)| {
            let hours = rules.hours.as_ref().and_then(|hours| hours.read(&self.zone).ok());
            let held_by = holds.iter().find(|hold| hold.environment == name).filter(|_| rules.exclusive);
            EnvironmentStatus {
                hours: hours.map(|hours| hours.at(now)),
                held_by: held_by.cloned(),
                name,
                rules,
            }
        };
        Ok(all.0.into_iter().map(status).collect())
    }

    fn rules(&self, environment: &str) -> Result<Environment, StepError> {
        let all = (self.source)().map_err(|problem| StepError::permanent(*problem))?;
        all.named(environment).cloned().map_err(StepError::permanent)
    }

    async fn check_branch(
        &self,
        context: &StepContext,
        name: &str,
        rules: &Environment,
    ) -> Result<(), StepError> {
        if rules.branches.is_empty() {
            return Ok(());
        }
        let run = self.approvals.run(&context.run_id).await?;
        let cause = self.approvals.origin(&run).await?;
        let allowed = rules.branches.join(", ");
        let problem = match branch::branch_of(&cause) {
            Some(branch) if rules.allows_branch(&branch) => return Ok(()),
            Some(branch) => Problem::error(
                "environment-branch",
                format!("`{name}` takes runs of {allowed}, and this one is of `{branch}`"),
            )
            .hint("merge it, and run the pipeline from there"),
            None => Problem::error(
                "environment-branch",
                format!("`{name}` takes runs of {allowed}, and this one is of no branch"),
            )
            .hint("keep the workspace in a git repository with a branch checked out"),
        };
        Err(StepError::permanent(problem))
    }

    /// Evaluations that are missing; one that is there and not good enough fails.
    async fn missing_evaluation(
        &self,
        name: &str,
        rules: &Environment,
        subject: &Asset,
    ) -> Result<Option<Missing>, StepError> {
        if rules.evaluation.is_empty() {
            return Ok(None);
        }
        let found = evaluations::of_digest(&self.store, subject.digest.clone()).await;
        let found = found.map_err(|error| store_failed(&error))?;
        let mut missing = Vec::new();
        for wanted in &rules.evaluation {
            match newest_value(&found, wanted) {
                None => missing.push(wanted.words()),
                Some(value) if wanted.accepts(value) => {}
                Some(value) => {
                    let message = format!(
                        "`{name}` takes models with {}, and {} has {value}",
                        wanted.words(),
                        subject.label()
                    );
                    return Err(StepError::permanent(Problem::error("environment-evaluation", message)));
                }
            }
        }
        let reason = || format!("for an evaluation of {}: {}", subject.label(), missing.join(", "));
        Ok((!missing.is_empty()).then(|| Missing { reason: reason(), look_again: LOOK_AGAIN }))
    }

    fn missing_hours(&self, rules: &Environment) -> Result<Option<Missing>, StepError> {
        let Some(hours) = &rules.hours else { return Ok(None) };
        let opening = hours
            .read(&self.zone)
            .map_err(|error| StepError::permanent(Problem::error("environments-file", error.message)))?;
        let now = self.clock.now();
        Ok(match opening.at(now) {
            OpenState::Open(_) => None,
            OpenState::Closed(from) => {
                let when = from
                    .map(|from| format!(", from {}", from.strftime("%Y-%m-%d %H:%M UTC")))
                    .unwrap_or_default();
                let left = from.map_or(LOOK_AT_HOURS, |from| until(now, from).min(LOOK_AT_HOURS));
                Some(Missing {
                    reason: format!("for the hours of {}{when}", hours.words()),
                    look_again: left,
                })
            }
        })
    }

    /// Takes an exclusive environment; what is missing if another run has it.
    async fn take(&self, context: &StepContext, name: &str) -> Result<Option<Missing>, StepError> {
        let now = self.clock.now().as_microsecond();
        let taken =
            self.store.take_environment(name.to_owned(), context.run_id.clone(), context.step.clone(), now);
        let holder = taken.await.map_err(|error| store_failed(&error))?;
        Ok(holder.map(|holder| {
            let short = holder.run_id.get(holder.run_id.len().saturating_sub(10)..).unwrap_or_default();
            let reason =
                format!("for the run {short} of {}, which has `{name}` until it ends", holder.pipeline);
            Missing { reason, look_again: LOOK_AGAIN }
        }))
    }

    async fn look_at_all(
        &self,
        context: &StepContext,
        environment: &str,
        subject: &Asset,
        handle: &Value,
    ) -> Result<Passage, StepError> {
        let rules = self.rules(environment)?;
        let asked_for = handle.get("digest").and_then(Value::as_str);
        if asked_for.is_some_and(|digest| digest != subject.digest) {
            let message =
                format!("the model is {} now, another content than when it was asked for", subject.label());
            let problem = Problem::error("approval-void", message);
            return Err(StepError::permanent(problem.hint("run it again to ask for what it is now")));
        }
        self.check_branch(context, environment, &rules).await?;
        let mut missing = Vec::new();
        missing.extend(self.missing_evaluation(environment, &rules, subject).await?);
        if let Some(id) = handle.get("approval").and_then(Value::as_str)
            && let Answer::Waiting { reason, look_again } = self.approvals.look(id).await?
        {
            missing.push(Missing { reason, look_again });
        }
        missing.extend(self.missing_hours(&rules)?);
        if missing.is_empty() && rules.exclusive {
            missing.extend(self.take(context, environment).await?);
        }
        let Some(look_again) = missing.iter().map(|missing| missing.look_again).min() else {
            return Ok(Passage::Open);
        };
        let reasons: Vec<String> = missing.into_iter().map(|missing| missing.reason).collect();
        Ok(Passage::Closed { reason: reasons.join("; "), look_again })
    }
}

#[async_trait]
impl EnvironmentGate for EnvironmentRules {
    fn environment_of(&self, named: Option<&str>, endpoint: &str) -> Result<Option<String>, Problem> {
        let all = (self.source)().map_err(|problem| *problem)?;
        let owner = all.of_endpoint(endpoint);
        match (named, owner) {
            (Some(named), Some(owner)) if named != owner => {
                let message = format!(
                    "the endpoint `{endpoint}` belongs to the environment `{owner}`, not to `{named}`"
                );
                Err(Problem::error("environment-endpoint", message).hint(format!("environment: {owner}")))
            }
            (Some(named), _) => all.named(named).map(|_| Some(named.to_owned())),
            (None, owner) => Ok(owner.map(str::to_owned)),
        }
    }

    fn has_endpoints(&self) -> bool {
        // A file that cannot be read must not open what it may close.
        (self.source)()
            .map_or(true, |all| all.0.values().any(|environment| !environment.endpoints.is_empty()))
    }

    async fn begin(
        &self,
        context: &StepContext,
        environment: &str,
        subject: &Asset,
    ) -> Result<Value, StepError> {
        let rules = self.rules(environment)?;
        // Nobody should be asked for what will never be.
        self.check_branch(context, environment, &rules).await?;
        self.missing_evaluation(environment, &rules, subject).await?;
        let asked = match &rules.approvers {
            Some(approval) => {
                let rule = approval_rule(approval, environment);
                let asked =
                    self.approvals.ask(context, Some(&subject.to_value()), &rule, Some(environment)).await?;
                Some(asked.id)
            }
            None => None,
        };
        Ok(json!({"approval": asked, "digest": subject.digest}))
    }

    async fn look(
        &self,
        context: &StepContext,
        environment: &str,
        subject: &Asset,
        handle: &Value,
    ) -> Result<Passage, StepError> {
        match self.look_at_all(context, environment, subject, handle).await {
            // A database that is away for a moment does not fail what has waited for days.
            Err(error) if error.transient => {
                tracing::warn!(run = %context.run_id, step = %context.step, %error, "the rules cannot be looked at");
                let reason = "for the database, which does not answer".to_owned();
                Ok(Passage::Closed { reason, look_again: LOOK_AGAIN })
            }
            looked => looked,
        }
    }

    async fn abandon(&self, handle: &Value) {
        if let Some(id) = handle.get("approval").and_then(Value::as_str) {
            self.approvals.withdraw(id).await;
        }
    }
}

/// The newest value of a metric on a dataset.
fn newest_value(found: &[Evaluation], wanted: &RequiredEvaluation) -> Option<f64> {
    let (name, version) = wanted.dataset();
    let fits = |evaluation: &&Evaluation| {
        evaluation.dataset == name && version.is_none_or(|version| evaluation.version == Some(version))
    };
    let with_metric =
        |evaluation: &Evaluation| Some((evaluation.ended_at, *evaluation.metrics.get(&wanted.metric)?));
    let values = found.iter().filter(fits).filter_map(with_metric);
    values.max_by_key(|(ended_at, _)| *ended_at).map(|(_, value)| value)
}

fn approval_rule(approval: &EnvironmentApproval, environment: &str) -> ApprovalRule {
    ApprovalRule {
        by: approval.by.clone(),
        min: approval.min,
        own: approval.own,
        timeout_ms: approval.timeout.as_deref().and_then(parse_ms),
        on_timeout: approval.on_timeout.clone(),
        message: format!("deployment into {environment}"),
        notify: approval.notify.clone(),
        form: indexmap::IndexMap::new(),
    }
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

fn store_failed(error: &MetastoreError) -> StepError {
    StepError::transient(Problem::error("store-failed", chain(error)))
}
