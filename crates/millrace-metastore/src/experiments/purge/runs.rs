//! Purging runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{Metastore, MetastoreError, Session, Value};

use super::{BATCH, Kept, PurgeRule, Purged, delete_models, delete_where, discard_folders, hold_models};
use crate::experiments::retention::referenced;
use crate::experiments::{next_change, placeholders};

/// Chunks and rows of the journal in one transaction; a run that has more is alone in its own.
const WEIGHT: i64 = 4_000;
/// A logged model that a registered version is of stays when the run that made it goes.
const UNREGISTERED: &str =
    " AND NOT EXISTS (SELECT 1 FROM model_version AS version WHERE version.model_id = this.id)";

impl Metastore {
    /// Purges runs and the logged models that they made, but those that a registered version names. Traces and nested runs stay.
    ///
    /// # Errors
    /// If the database fails; some of them may be gone then.
    pub async fn purge_runs(
        &self,
        ids: Vec<String>,
        rule: PurgeRule,
        now: i64,
    ) -> Result<Purged, MetastoreError> {
        let ids: Vec<String> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut purged = Purged::default();
        for ids in ids.chunks(BATCH) {
            for batch in self.weighed(ids.to_vec()).await? {
                let gone = self.write(move |session| Box::pin(purge_batch(session, batch, rule, now)));
                purged.add(gone.await?);
            }
        }
        Ok(purged)
    }

    /// What [`Metastore::purge_runs`] would do now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn preview_purge_runs(
        &self,
        ids: Vec<String>,
        rule: PurgeRule,
    ) -> Result<Purged, MetastoreError> {
        let ids: Vec<String> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        self.read(move |session| {
            Box::pin(async move {
                let mut previewed = Purged::default();
                for ids in ids.chunks(BATCH) {
                    let (going, mut purged) = judge(session, ids, rule).await?;
                    let going: Vec<String> = going.into_iter().map(|run| run.id).collect();
                    let models = hold_models(session, "this.source_run_id", &going, UNREGISTERED).await?;
                    (purged.runs, purged.models) = (going.len() as u64, models.len() as u64);
                    previewed.add(purged);
                }
                Ok(previewed)
            })
        })
        .await
    }

    /// Runs in batches that are not too much for one transaction.
    async fn weighed(&self, ids: Vec<String>) -> Result<Vec<Vec<String>>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT this.id, (SELECT COUNT(*) FROM tracked_series WHERE run = this.number) \
                     + (SELECT COUNT(*) FROM tracked_journal WHERE run = this.number) AS weight \
                     FROM tracked_run AS this WHERE this.id IN ({})",
                    placeholders(1, ids.len())
                );
                let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
                let mut weights = BTreeMap::new();
                for row in session.fetch_all(&sql, &args).await? {
                    weights.insert(row.text("id")?, row.int("weight")?);
                }
                let (mut batches, mut batch, mut full) = (Vec::new(), Vec::new(), 0);
                for id in ids {
                    let weight = weights.get(&id).copied().unwrap_or_default();
                    if full + weight > WEIGHT && !batch.is_empty() {
                        batches.push(std::mem::take(&mut batch));
                        full = 0;
                    }
                    full += weight;
                    batch.push(id);
                }
                batches.push(batch);
                Ok(batches)
            })
        })
        .await
    }
}

struct Run {
    number: i64,
    id: String,
    experiment: i64,
    parent: Option<String>,
    deleted: bool,
    location: Option<String>,
}

/// `ids` must be in order, as everywhere where runs are held.
async fn purge_batch(
    session: &mut Session,
    ids: Vec<String>,
    rule: PurgeRule,
    now: i64,
) -> Result<Purged, MetastoreError> {
    let (going, mut purged) = judge(session, &ids, rule).await?;
    if !going.is_empty() {
        delete_runs(session, &going, &mut purged, now).await?;
    }
    Ok(purged)
}

/// The runs that go, held until the transaction ends, and why the others stay.
async fn judge(
    session: &mut Session,
    ids: &[String],
    rule: PurgeRule,
) -> Result<(Vec<Run>, Purged), MetastoreError> {
    let mut purged = Purged::default();
    let found = hold_runs(session, ids).await?;
    let known: HashSet<&str> = found.iter().map(|run| run.id.as_str()).collect();
    let absent = ids.iter().filter(|id| !known.contains(id.as_str()));
    purged.kept.extend(absent.map(|id| (id.clone(), Kept::Absent)));
    let busy = open_pipeline_runs(session, &found).await?;
    let mut referred = BTreeSet::new();
    if rule == PurgeRule::Unreferenced {
        let ids: Vec<&str> = found.iter().map(|run| run.id.as_str()).collect();
        referred = referenced(session, &ids).await?;
    }
    let mut going = Vec::with_capacity(found.len());
    for run in found {
        let in_use =
            busy.contains(&run.id) || run.parent.as_ref().is_some_and(|parent| busy.contains(parent));
        if rule != PurgeRule::Any && !run.deleted {
            purged.kept.push((run.id, Kept::NotDeleted));
        } else if in_use {
            purged.kept.push((run.id, Kept::InUse));
        } else if referred.contains(&run.id) {
            purged.kept.push((run.id, Kept::Registered));
        } else {
            going.push(run);
        }
    }
    Ok((going, purged))
}

async fn delete_runs(
    session: &mut Session,
    runs: &[Run],
    purged: &mut Purged,
    now: i64,
) -> Result<(), MetastoreError> {
    let ids: Vec<String> = runs.iter().map(|run| run.id.clone()).collect();
    let models = hold_models(session, "this.source_run_id", &ids, UNREGISTERED).await?;
    delete_models(session, &models, purged, now).await?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    // What the runs measured of models that stay.
    delete_where(session, "logged_model_metric", "run_id", &ids).await?;
    let sql =
        format!("DELETE FROM trace_link WHERE kind = 'run' AND target IN ({})", placeholders(1, ids.len()));
    let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
    session.execute(&sql, &args).await?;
    delete_inputs(session, runs, &ids).await?;
    let folders = runs.iter().map(|run| (run.location.as_deref(), "", run.id.as_str()));
    discard_folders(session, folders, purged, now).await?;
    // Last, since it waits for others that count changes.
    let changed = next_change(session).await?;
    let mut args: Vec<Value<'_>> = vec![changed.into(), now.into()];
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        rows.push(format!("(${}, $1, $2)", args.len() + 1));
        args.push(run.number.into());
    }
    let sql = format!("INSERT INTO tracked_gone (run, changed, gone_at) VALUES {}", rows.join(", "));
    session.execute(&sql, &args).await?;
    let numbers: Vec<Value<'_>> = runs.iter().map(|run| run.number.into()).collect();
    let sql = format!("DELETE FROM tracked_usage WHERE run IN ({})", placeholders(1, numbers.len()));
    session.execute(&sql, &numbers).await?;
    // Its points, inputs and outputs go with it.
    purged.runs += delete_where(session, "tracked_run", "id", &ids).await?;
    Ok(())
}

async fn hold_runs(session: &mut Session, ids: &[String]) -> Result<Vec<Run>, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE OF this" } else { "" };
    let sql = format!(
        "SELECT this.number, this.id, this.experiment_id, this.parent_id, this.lifecycle, experiment.artifact_location \
         FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id WHERE this.id IN ({}) ORDER BY this.id{lock}",
        placeholders(1, ids.len())
    );
    let args: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
    let run = |row: &crate::Row| {
        Ok(Run {
            number: row.int("number")?,
            id: row.text("id")?,
            experiment: row.int("experiment_id")?,
            parent: row.opt_text("parent_id")?,
            deleted: row.text("lifecycle")? == "deleted",
            location: row.opt_text("artifact_location")?,
        })
    };
    session.fetch_all(&sql, &args).await?.iter().map(run).collect()
}

/// Which of the runs, or of those they are nested in, are pipeline runs that are not over.
async fn open_pipeline_runs(session: &mut Session, runs: &[Run]) -> Result<HashSet<String>, MetastoreError> {
    let ids: BTreeSet<&str> =
        runs.iter().flat_map(|run| [Some(run.id.as_str()), run.parent.as_deref()]).flatten().collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut open = HashSet::new();
    for ids in ids.chunks(BATCH) {
        let sql = format!(
            "SELECT id FROM pipeline_run WHERE state IN ('queued', 'running') AND id IN ({})",
            placeholders(1, ids.len())
        );
        let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
        for row in session.fetch_all(&sql, &args).await? {
            open.insert(row.text("id")?);
        }
    }
    Ok(open)
}

/// Deletes the inputs of the runs, and the datasets that no other run of their experiment read.
async fn delete_inputs(session: &mut Session, runs: &[Run], ids: &[&str]) -> Result<(), MetastoreError> {
    let sql = format!(
        "SELECT run_id, name, digest FROM tracked_input WHERE run_id IN ({})",
        placeholders(1, ids.len())
    );
    let args: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
    let experiments: BTreeMap<&str, i64> = runs.iter().map(|run| (run.id.as_str(), run.experiment)).collect();
    let mut datasets = BTreeSet::new();
    for row in session.fetch_all(&sql, &args).await? {
        if let Some(experiment) = experiments.get(row.text("run_id")?.as_str()) {
            datasets.insert((row.text("name")?, row.text("digest")?, *experiment));
        }
    }
    delete_where(session, "tracked_input", "run_id", ids).await?;
    for (name, digest, experiment) in &datasets {
        let args = [(*experiment).into(), name.as_str().into(), digest.as_str().into()];
        if session.is_postgres() {
            // Waits for a run that is just reading it; it is seen below then.
            let sql = "SELECT name FROM tracked_dataset WHERE experiment_id = $1 AND name = $2 AND digest = $3 FOR UPDATE";
            session.fetch_all(sql, &args).await?;
        }
        let sql = "DELETE FROM tracked_dataset WHERE experiment_id = $1 AND name = $2 AND digest = $3 AND NOT EXISTS \
                   (SELECT 1 FROM tracked_input AS input JOIN tracked_run AS run ON run.id = input.run_id \
                   WHERE input.name = $2 AND input.digest = $3 AND run.experiment_id = $1)";
        session.execute(sql, &args).await?;
    }
    Ok(())
}
