//! Rules of retention: which runs of an experiment are deleted, and what that is deleted is purged.

use std::collections::BTreeSet;

use millrace_metastore::MetastoreError;
use millrace_metastore::experiments::{
    ALL_EXPERIMENTS, Attribute, Clause, Compare, Condition, Field, Filter, Order, PurgeRule, Query, Refusal,
    TrackedRunRow, View,
};
use serde::{Deserialize, Serialize};

use super::Lifecycle;

const DAY: i64 = 24 * 3_600 * 1_000_000;
/// Runs on a page of a search.
const PAGE: i64 = 500;
/// Runs of an experiment that one evaluation deletes, and that it purges; the next one takes the rest.
const MOST: usize = 10_000;
/// Longest time, days: a century.
const LONGEST: u32 = 36_500;

/// Which runs of an experiment are kept, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionRules {
    /// Runs that ended so many days ago are deleted; they can be restored until they are purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_after_days: Option<u32>,
    /// But not the best of all by a metric,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<KeepBest>,
    /// nor so many of the newest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_newest: Option<u32>,
    /// nor those with one of these tags: `key`, or `key=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_tagged: Vec<String>,
    /// What was deleted so many days ago is purged: runs, logged models, and the experiment itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge_after_days: Option<u32>,
}

/// The best runs by the latest value of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepBest {
    /// How many.
    pub count: u32,
    /// Name of the metric.
    pub metric: String,
    /// Whether the smallest values are the best.
    #[serde(default)]
    pub smallest: bool,
}

/// Why rules are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRules(String);

impl RetentionRules {
    /// Checks that the rules do something, and what they mean.
    ///
    /// # Errors
    /// [`InvalidRules`] says what is wrong.
    pub fn check(&self) -> Result<(), InvalidRules> {
        let wrong = |what: &str| Err(InvalidRules(what.to_owned()));
        if self.delete_after_days.is_none() && self.purge_after_days.is_none() {
            return wrong("rules need `delete_after_days` or `purge_after_days`");
        }
        for days in [self.delete_after_days, self.purge_after_days].into_iter().flatten() {
            if !(1..=LONGEST).contains(&days) {
                return Err(InvalidRules(format!("{days} days are not between 1 and {LONGEST}")));
            }
        }
        let keeps = self.keep_best.is_some() || self.keep_newest.is_some() || !self.keep_tagged.is_empty();
        if keeps && self.delete_after_days.is_none() {
            return wrong(
                "what is kept is said, but not after how many days the others are deleted: `delete_after_days`",
            );
        }
        if let Some(best) = &self.keep_best
            && (best.metric.is_empty() || best.count == 0)
        {
            return wrong("`keep_best` needs a metric and a count of 1 or more");
        }
        if self.keep_tagged.iter().any(|tag| tag.is_empty() || tag.starts_with('=')) {
            return wrong("a tag in `keep_tagged` has no key");
        }
        Ok(())
    }

    fn keeps_tagged(&self, run: &TrackedRunRow) -> bool {
        self.keep_tagged.iter().any(|wanted| {
            let (key, value) = wanted.split_once('=').map_or((wanted.as_str(), None), |(k, v)| (k, Some(v)));
            run.values
                .tags
                .iter()
                .any(|(name, content)| name == key && value.is_none_or(|value| value == content))
        })
    }
}

/// What rules would do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Runs that would be deleted: id and name, the one that ended first first.
    pub delete: Vec<(String, String)>,
    /// Runs that would be purged.
    pub purge: Vec<String>,
    /// Logged models that would be purged.
    pub purge_models: Vec<String>,
    /// Whether the experiment itself would be purged, with all that is in it.
    pub purge_experiment: bool,
    /// Runs that are old enough but kept by the rules.
    pub kept: u64,
    /// Runs that are old enough, but that a version of a registered model, a deployment or a pipeline run refers to.
    pub referenced: u64,
    /// Whether there is more than one evaluation does.
    pub more: bool,
}

impl Lifecycle {
    /// The rules of an experiment, its own or the default; [`ALL_EXPERIMENTS`] is the default itself. `None` if nothing is ever deleted.
    ///
    /// # Errors
    /// If the database fails or the stored document is damaged.
    pub async fn retention_of(&self, experiment: i64) -> Result<Option<RetentionRules>, MetastoreError> {
        let mut all = self.store.list_retention().await?;
        let document = all.remove(&experiment).or_else(|| all.remove(&ALL_EXPERIMENTS));
        document.map(|document| parse(&document)).transpose()
    }

    /// The rules that are an experiment's own; [`ALL_EXPERIMENTS`] is the default.
    ///
    /// # Errors
    /// As [`Lifecycle::retention_of`].
    pub async fn own_retention(&self, experiment: i64) -> Result<Option<RetentionRules>, MetastoreError> {
        let document = self.store.list_retention().await?.remove(&experiment);
        document.map(|document| parse(&document)).transpose()
    }

    /// Gives an experiment rules of its own, or takes them away.
    ///
    /// # Errors
    /// If there is no such experiment or the database fails.
    pub async fn set_retention(
        &self,
        experiment: i64,
        rules: Option<&RetentionRules>,
    ) -> Result<(), MetastoreError> {
        let document = rules.map(serde_json::to_string).transpose();
        let document = document.map_err(|error| MetastoreError::stale(error.to_string()))?;
        self.store.set_retention(experiment, document, self.now()).await
    }

    /// What rules would do in an experiment now.
    ///
    /// # Errors
    /// If there is no such experiment or the database fails.
    pub async fn plan_retention(
        &self,
        experiment: i64,
        rules: &RetentionRules,
    ) -> Result<RetentionPlan, MetastoreError> {
        let known = self.store.find_experiment(experiment).await?;
        let mut plan = RetentionPlan::default();
        if let Some(days) = rules.purge_after_days {
            let before = self.now() - i64::from(days) * DAY;
            if known.deleted {
                plan.purge_experiment = known.deleted_at.is_some_and(|at| at < before)
                    && !self.store.is_experiment_referenced(experiment).await?;
                return Ok(plan);
            }
            self.plan_purge(experiment, before, &mut plan).await?;
        }
        if let (Some(days), false) = (rules.delete_after_days, known.deleted) {
            self.plan_deletes(experiment, rules, self.now() - i64::from(days) * DAY, &mut plan).await?;
        }
        Ok(plan)
    }

    async fn plan_purge(
        &self,
        experiment: i64,
        before: i64,
        plan: &mut RetentionPlan,
    ) -> Result<(), MetastoreError> {
        let mut after = None;
        loop {
            let page = self.store.list_runs_deleted_before(experiment, before, after.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let ids: Vec<String> = page.into_iter().map(|(_, id)| id).collect();
            let referenced = self.store.list_referenced_runs(ids.clone()).await?;
            plan.referenced += referenced.len() as u64;
            plan.purge.extend(ids.into_iter().filter(|id| !referenced.contains(id)));
            if plan.purge.len() >= MOST {
                plan.more = true;
                break;
            }
        }
        plan.purge_models = self.store.list_models_deleted_before(experiment, before, PAGE).await?;
        Ok(())
    }

    async fn plan_deletes(
        &self,
        experiment: i64,
        rules: &RetentionRules,
        before: i64,
        plan: &mut RetentionPlan,
    ) -> Result<(), MetastoreError> {
        let kept = self.kept_runs(experiment, rules).await?;
        let ended = Condition::Number(Compare::Less, milliseconds(before));
        let mut query = Query {
            experiments: vec![experiment],
            filter: Clause { field: Field::Attribute(Attribute::EndTime), condition: ended }.into(),
            order: vec![Order { field: Field::Attribute(Attribute::EndTime), ascending: true }],
            view: View::Active,
            limit: PAGE,
            ..Query::default()
        };
        loop {
            let found = self.store.search_runs(query.clone(), false).await?;
            let over =
                found.rows.into_iter().filter(|run| !matches!(run.status.as_str(), "RUNNING" | "SCHEDULED"));
            let (keep, go): (Vec<TrackedRunRow>, Vec<TrackedRunRow>) =
                over.partition(|run| kept.contains(&run.id) || rules.keeps_tagged(run));
            plan.kept += keep.len() as u64;
            let ids = go.iter().map(|run| run.id.clone()).collect();
            let referenced = self.store.list_referenced_runs(ids).await?;
            plan.referenced += referenced.len() as u64;
            let go = go.into_iter().filter(|run| !referenced.contains(&run.id));
            plan.delete.extend(go.map(|run| (run.id, run.name)));
            query.after = found.next;
            if query.after.is_none() {
                return Ok(());
            }
            if plan.delete.len() >= MOST {
                plan.more = true;
                return Ok(());
            }
        }
    }

    /// The best runs and the newest.
    async fn kept_runs(
        &self,
        experiment: i64,
        rules: &RetentionRules,
    ) -> Result<BTreeSet<String>, MetastoreError> {
        let of = |filter: Filter, order: Vec<Order>, count: u32| Query {
            experiments: vec![experiment],
            filter,
            order,
            limit: i64::from(count),
            ..Query::default()
        };
        let mut queries = Vec::new();
        if let Some(best) = &rules.keep_best {
            let field = Field::Metric(best.metric.clone());
            let there = Clause { field: field.clone(), condition: Condition::NotNull };
            queries.push(of(there.into(), vec![Order { field, ascending: best.smallest }], best.count));
        }
        if let Some(count) = rules.keep_newest.filter(|count| *count > 0) {
            queries.push(of(Filter::default(), Vec::new(), count));
        }
        let mut kept = BTreeSet::new();
        for query in queries {
            kept.extend(self.store.search_runs(query, false).await?.rows.into_iter().map(|run| run.id));
        }
        Ok(kept)
    }

    /// Does what the rules of an experiment say now.
    ///
    /// # Errors
    /// If the database fails; some of it may be done then.
    pub async fn apply_rules(
        &self,
        experiment: i64,
        rules: &RetentionRules,
    ) -> Result<RetentionPlan, MetastoreError> {
        let plan = self.plan_retention(experiment, rules).await?;
        let now = self.now();
        if plan.purge_experiment {
            self.store.purge_experiment(experiment, PurgeRule::Unreferenced, now).await?;
        }
        self.store.purge_runs(plan.purge.clone(), PurgeRule::Unreferenced, now).await?;
        self.store.purge_logged_models(plan.purge_models.clone(), PurgeRule::Unreferenced, now).await?;
        let ids = plan.delete.iter().map(|(id, _)| id.clone()).collect();
        self.store.delete_tracked_runs(ids, now).await?;
        Ok(plan)
    }

    /// Does what the rules of all experiments say; a failure in one hinders no other.
    pub(super) async fn apply_all_rules(&self) {
        let outcome = async {
            let all = self.store.list_retention().await?;
            if all.is_empty() {
                return Ok(());
            }
            self.store.date_deleted_runs(self.now()).await?;
            let mut query = Query { view: View::All, limit: 1_000, ..Query::default() };
            loop {
                let (page, next) = self.store.search_experiments(query.clone()).await?;
                for experiment in page {
                    let document = all.get(&experiment.id).or_else(|| all.get(&ALL_EXPERIMENTS));
                    let Some(document) = document else { continue };
                    self.apply_and_tell(experiment.id, document).await;
                }
                query.after = next;
                if query.after.is_none() {
                    return Ok::<_, MetastoreError>(());
                }
            }
        };
        if let Err(error) = outcome.await {
            tracing::error!(%error, "the rules of retention were not evaluated");
        }
    }

    async fn apply_and_tell(&self, experiment: i64, document: &str) {
        let applied = async { self.apply_rules(experiment, &parse(document)?).await };
        match applied.await {
            Ok(plan) if plan == RetentionPlan::default() => {}
            Ok(plan) => tracing::info!(
                experiment,
                deleted = plan.delete.len(),
                purged = plan.purge.len(),
                models = plan.purge_models.len(),
                whole = plan.purge_experiment,
                "rules of retention"
            ),
            // Somebody restored or purged it meanwhile, or a pipeline runs in it.
            Err(MetastoreError::Refused(
                refusal @ (Refusal::NoExperiment { .. }
                | Refusal::ExperimentActive { .. }
                | Refusal::RunInUse { .. }),
            )) => {
                tracing::info!(experiment, %refusal, "rules of retention wait");
            }
            Err(error) => tracing::error!(experiment, %error, "the rules of retention failed"),
        }
    }
}

fn parse(document: &str) -> Result<RetentionRules, MetastoreError> {
    serde_json::from_str(document)
        .map_err(|error| MetastoreError::stale(format!("rules of retention cannot be read: {error}")))
}

#[allow(clippy::cast_precision_loss, reason = "2^53 milliseconds are not to be had")]
fn milliseconds(microseconds: i64) -> f64 {
    microseconds.div_euclid(1_000) as f64
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
