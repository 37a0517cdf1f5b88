//! What runs read and made: datasets and models.

use crate::{Metastore, MetastoreError, Session, Value};

use super::placeholders;
use super::run::lock_active_run;

/// A dataset that a run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInput {
    /// Name; with the digest, what it is in its experiment.
    pub name: String,
    /// Digest of its content.
    pub digest: String,
    /// Kind of source.
    pub source_type: String,
    /// Source, as the client describes it.
    pub source: String,
    /// Columns, as the client describes them.
    pub schema: Option<String>,
    /// Statistics, as the client describes them.
    pub profile: Option<String>,
    /// What it was read for: the tag `mlflow.data.context`.
    pub context: Option<String>,
    /// All tags of the input: a JSON object.
    pub tags: String,
}

/// A model that a run read or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLink {
    /// `input` or `output`.
    pub direction: &'static str,
    /// Id of the model.
    pub model_id: String,
    /// At which step it was made.
    pub step: i64,
}

/// A dataset that runs of an experiment read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: i64,
    /// Name.
    pub name: String,
    /// Digest.
    pub digest: String,
    /// What it was read for.
    pub context: Option<String>,
}

/// Datasets in one answer.
const MOST_SUMMARIES: i64 = 1_000;

/// What runs read and made, each with the run's id.
#[derive(Debug, Clone, Default)]
pub struct Linked {
    /// Datasets.
    pub datasets: Vec<(String, DatasetInput)>,
    /// Models.
    pub models: Vec<(String, ModelLink)>,
}

/// Ids in one statement.
const CHUNK: usize = 500;

impl Metastore {
    /// Datasets that runs of these experiments read, a thousand at most.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_dataset_summaries(
        &self,
        experiments: Vec<i64>,
    ) -> Result<Vec<DatasetSummary>, MetastoreError> {
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |session| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT DISTINCT run.experiment_id, input.name, input.digest, input.context FROM tracked_input AS input \
                     JOIN tracked_run AS run ON run.id = input.run_id WHERE run.experiment_id IN ({}) \
                     ORDER BY run.experiment_id, input.name, input.digest LIMIT {MOST_SUMMARIES}",
                    placeholders(1, experiments.len())
                );
                let args: Vec<_> = experiments.iter().map(|id| (*id).into()).collect();
                let rows = session.fetch_all(&sql, &args).await?;
                let summary = |row: &crate::Row| {
                    Ok(DatasetSummary {
                        experiment_id: row.int("experiment_id")?,
                        name: row.text("name")?,
                        digest: row.text("digest")?,
                        context: row.opt_text("context")?,
                    })
                };
                rows.iter().map(summary).collect()
            })
        })
        .await
    }

    /// Records what a run read or made; a repeat changes nothing.
    ///
    /// # Errors
    /// [`super::Refusal`] if there is no such run or it is deleted; if the database fails.
    pub async fn link_to_run(
        &self,
        run_id: String,
        datasets: Vec<DatasetInput>,
        models: Vec<ModelLink>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let experiment_id = lock_active_run(session, &run_id).await?;
                let mut datasets = datasets;
                // In the same order everywhere, so that two writers never wait for each other.
                datasets.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
                session.execute_all(link_statements(experiment_id, &run_id, &datasets, &models)).await?;
                Ok(())
            })
        })
        .await
    }

    /// What runs read and made.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_linked(&self, ids: Vec<String>) -> Result<Linked, MetastoreError> {
        self.read(move |session| Box::pin(read_linked(session, ids))).await
    }
}

pub(super) async fn read_linked(session: &mut Session, ids: Vec<String>) -> Result<Linked, MetastoreError> {
    let mut found = Linked::default();
    for ids in ids.chunks(CHUNK) {
        let marks = placeholders(1, ids.len());
        let args: Vec<_> = ids.iter().map(Into::into).collect();
        let sql = format!(
            "SELECT input.run_id AS owner, data.name, data.digest, data.source_type, data.source, data.schema, data.profile, \
             input.context, input.tags FROM tracked_input AS input JOIN tracked_run AS run ON run.id = input.run_id \
             JOIN tracked_dataset AS data ON data.experiment_id = run.experiment_id AND data.name = input.name \
             AND data.digest = input.digest WHERE input.run_id IN ({marks}) ORDER BY input.run_id, data.name, data.digest"
        );
        for row in session.fetch_all(&sql, &args).await? {
            let input = DatasetInput {
                name: row.text("name")?,
                digest: row.text("digest")?,
                source_type: row.text("source_type")?,
                source: row.text("source")?,
                schema: row.opt_text("schema")?,
                profile: row.opt_text("profile")?,
                context: row.opt_text("context")?,
                tags: row.text("tags")?,
            };
            found.datasets.push((row.text("owner")?, input));
        }
        let sql = format!(
            "SELECT run_id AS owner, direction, model_id, step FROM tracked_model_link WHERE run_id IN ({marks}) \
             ORDER BY run_id, step, model_id"
        );
        for row in session.fetch_all(&sql, &args).await? {
            let direction = if row.text("direction")? == "input" { "input" } else { "output" };
            let link = ModelLink { direction, model_id: row.text("model_id")?, step: row.int("step")? };
            found.models.push((row.text("owner")?, link));
        }
    }
    Ok(found)
}

/// What a run of an experiment read and made, as statements; what is there already stays as it is.
pub(super) fn link_statements<'a>(
    experiment_id: i64,
    run_id: &'a str,
    datasets: &'a [DatasetInput],
    models: &'a [ModelLink],
) -> Vec<(String, Vec<Value<'a>>)> {
    let mut statements: Vec<(String, Vec<Value<'a>>)> = Vec::new();
    for data in datasets {
        let sql = "INSERT INTO tracked_dataset (experiment_id, name, digest, source_type, source, schema, profile) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (experiment_id, name, digest) DO UPDATE SET digest = excluded.digest";
        // A known one is held, so that it is not taken for unused before its input is there.
        let args = vec![
            experiment_id.into(),
            data.name.as_str().into(),
            data.digest.as_str().into(),
            data.source_type.as_str().into(),
            data.source.as_str().into(),
            data.schema.as_deref().into(),
            data.profile.as_deref().into(),
        ];
        statements.push((sql.to_owned(), args));
        let sql = "INSERT INTO tracked_input (run_id, name, digest, context, tags) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT DO NOTHING";
        let args = vec![
            run_id.into(),
            data.name.as_str().into(),
            data.digest.as_str().into(),
            data.context.as_deref().into(),
            data.tags.as_str().into(),
        ];
        statements.push((sql.to_owned(), args));
    }
    for model in models {
        let sql = "INSERT INTO tracked_model_link (run_id, direction, model_id, step) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT DO NOTHING";
        let args =
            vec![run_id.into(), model.direction.into(), model.model_id.as_str().into(), model.step.into()];
        statements.push((sql.to_owned(), args));
    }
    statements
}
