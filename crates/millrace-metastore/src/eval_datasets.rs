//! Evaluation datasets: records of inputs, outputs and expectations that applications are judged by.

use std::collections::HashMap;

use crate::{Metastore, MetastoreError, Row, Session, Value};

/// Values in one statement.
const CHUNK: usize = 500;

/// An evaluation dataset with everything but its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvalDatasetRow {
    /// `d-` and 32 hex digits.
    pub id: String,
    /// Name; several may have the same.
    pub name: String,
    /// Changes with the records.
    pub digest: String,
    /// Fields and their types, a document of the tracking room.
    pub fields: Option<String>,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// Milliseconds since 1970.
    pub updated_at_ms: i64,
    /// Who made it.
    pub created_by: Option<String>,
    /// Who changed it last.
    pub updated_by: Option<String>,
    /// Names and contents.
    pub tags: Vec<(String, String)>,
    /// Experiments that it belongs to.
    pub experiments: Vec<i64>,
    /// Number of its records.
    pub records: i64,
}

/// A row of `eval_record`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalRecordRow {
    /// `dr-` and 32 hex digits.
    pub id: String,
    /// Digest of its inputs; no other record of the dataset has it.
    pub inputs_digest: String,
    /// All that it says, a document of the tracking room.
    pub document: String,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// Milliseconds since 1970.
    pub updated_at_ms: i64,
}

/// Experiments that a dataset is to belong to or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// It joins them.
    Join(Vec<i64>),
    /// It leaves them.
    Leave(Vec<i64>),
}

const COLUMNS: &str = "this.id, this.name, this.digest, this.fields, this.created_at_ms, this.updated_at_ms, this.created_by, \
     this.updated_by, (SELECT COUNT(*) FROM eval_record WHERE eval_record.dataset_id = this.id) AS records";
const RECORD_COLUMNS: &str = "id, inputs_digest, document, created_at_ms, updated_at_ms";

impl Metastore {
    /// Stores a new dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn create_eval_dataset(&self, row: EvalDatasetRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO eval_dataset (id, name, digest, fields, created_at_ms, updated_at_ms, created_by, \
                           updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                session.execute(sql, &columns(&row)).await?;
                set_tags(session, &row.id, &row.tags).await?;
                join(session, &row.id, &row.experiments).await
            })
        })
        .await
    }

    /// Records a dataset that comes from elsewhere with its records; gives whether it was new. Of one that is there already, records that
    /// are new are added.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_eval_dataset(
        &self,
        row: EvalDatasetRow,
        records: Vec<EvalRecordRow>,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "INSERT INTO eval_dataset (id, name, digest, fields, created_at_ms, updated_at_ms, created_by, \
                           updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
                let new = session.execute(sql, &columns(&row)).await? > 0;
                if new {
                    set_tags(session, &row.id, &row.tags).await?;
                    join(session, &row.id, &row.experiments).await?;
                }
                for record in &records {
                    let sql = "INSERT INTO eval_record (dataset_id, id, inputs_digest, document, created_at_ms, updated_at_ms) \
                               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
                    session.execute(sql, &record_columns(&row.id, record)).await?;
                }
                Ok(new)
            })
        })
        .await
    }

    /// A dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_eval_dataset(&self, id: String) -> Result<Option<EvalDatasetRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move { Ok(datasets(session, "this.id = $1", &[id.into()]).await?.pop()) })
        })
        .await
    }

    /// All datasets, or those that belong to one of the experiments.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_eval_datasets(
        &self,
        experiments: Option<Vec<i64>>,
    ) -> Result<Vec<EvalDatasetRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let Some(experiments) = experiments else { return datasets(session, "1 = 1", &[]).await };
                if experiments.is_empty() {
                    return Ok(Vec::new());
                }
                let marks: Vec<String> = (1..=experiments.len()).map(|mark| format!("${mark}")).collect();
                let condition = format!(
                    "this.id IN (SELECT dataset_id FROM eval_dataset_experiment WHERE experiment_id IN ({}))",
                    marks.join(", ")
                );
                let args: Vec<Value<'_>> = experiments.iter().map(|id| (*id).into()).collect();
                datasets(session, &condition, &args).await
            })
        })
        .await
    }

    /// Deletes a dataset with its records, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_eval_dataset(&self, id: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                session.execute("DELETE FROM eval_dataset WHERE id = $1", &[id.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Sets tags; `false` if there is no such dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_eval_dataset_tags(
        &self,
        id: String,
        tags: Vec<(String, String)>,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let there = lock(session, &id).await?;
                if there {
                    set_tags(session, &id, &tags).await?;
                }
                Ok(there)
            })
        })
        .await
    }

    /// Removes a tag, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_eval_dataset_tag(&self, id: String, name: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "DELETE FROM eval_dataset_tag WHERE dataset_id = $1 AND name = $2";
                session.execute(sql, &[id.into(), name.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Lets a dataset join or leave experiments; `false` if there is no such dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn move_eval_dataset(
        &self,
        id: String,
        membership: Membership,
        now_ms: i64,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if !lock(session, &id).await? {
                    return Ok(false);
                }
                match &membership {
                    Membership::Join(experiments) => join(session, &id, experiments).await?,
                    Membership::Leave(experiments) => {
                        let sql =
                            "DELETE FROM eval_dataset_experiment WHERE dataset_id = $1 AND experiment_id = $2";
                        for experiment in experiments {
                            session.execute(sql, &[id.as_str().into(), (*experiment).into()]).await?;
                        }
                    }
                }
                let sql = "UPDATE eval_dataset SET updated_at_ms = $2 WHERE id = $1";
                session.execute(sql, &[id.as_str().into(), now_ms.into()]).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Stores what `change` makes of a dataset and of its records with these digests of inputs; `false` if there is no such dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn change_eval_records<F>(
        &self,
        id: String,
        digests: Vec<String>,
        change: F,
    ) -> Result<bool, MetastoreError>
    where
        F: FnOnce(&mut EvalDatasetRow, HashMap<String, EvalRecordRow>) -> Vec<EvalRecordRow> + Send + 'static,
    {
        self.write(move |session| {
            Box::pin(async move {
                lock(session, &id).await?;
                let args = [id.as_str().into()];
                let Some(mut dataset) = datasets(session, "this.id = $1", &args).await?.pop() else {
                    return Ok(false);
                };
                let known = records_with(session, &id, &digests).await?;
                for record in change(&mut dataset, known) {
                    store_record(session, &id, &record).await?;
                }
                let sql = "UPDATE eval_dataset SET digest = $2, fields = $3, updated_at_ms = $4, updated_by = $5 WHERE id = $1";
                let args = [
                    id.as_str().into(),
                    dataset.digest.as_str().into(),
                    dataset.fields.as_deref().into(),
                    dataset.updated_at_ms.into(),
                    dataset.updated_by.as_deref().into(),
                ];
                session.execute(sql, &args).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Records in the order in which they came, those after one of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_eval_records(
        &self,
        id: String,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<EvalRecordRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let (time, last) = after.unwrap_or((i64::MIN, String::new()));
                let sql = format!(
                    "SELECT {RECORD_COLUMNS} FROM eval_record WHERE dataset_id = $1 AND created_at_ms >= $2 \
                     AND (created_at_ms > $2 OR id > $3) ORDER BY created_at_ms, id LIMIT $4"
                );
                let args = [id.into(), time.into(), last.into(), limit.into()];
                session.fetch_all(&sql, &args).await?.iter().map(record_row).collect()
            })
        })
        .await
    }

    /// Deletes records and gives their number; `None` if there is no such dataset.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_eval_records(
        &self,
        id: String,
        records: Vec<String>,
    ) -> Result<Option<u64>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if !lock(session, &id).await? {
                    return Ok(None);
                }
                let mut deleted = 0;
                for record in &records {
                    let sql = "DELETE FROM eval_record WHERE dataset_id = $1 AND id = $2";
                    deleted += session.execute(sql, &[id.as_str().into(), record.into()]).await?;
                }
                Ok(Some(deleted))
            })
        })
        .await
    }
}

/// Whether a dataset is there; nobody else changes it until the transaction ends.
async fn lock(session: &mut Session, id: &str) -> Result<bool, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT 1 AS found FROM eval_dataset WHERE id = $1{lock}");
    Ok(session.fetch_optional(&sql, &[id.into()]).await?.is_some())
}

async fn set_tags(session: &mut Session, id: &str, tags: &[(String, String)]) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO eval_dataset_tag (dataset_id, name, content) VALUES ($1, $2, $3) \
               ON CONFLICT (dataset_id, name) DO UPDATE SET content = excluded.content";
    for (name, content) in tags {
        session.execute(sql, &[id.into(), name.into(), content.into()]).await?;
    }
    Ok(())
}

async fn join(session: &mut Session, id: &str, experiments: &[i64]) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO eval_dataset_experiment (dataset_id, experiment_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    for experiment in experiments {
        session.execute(sql, &[id.into(), (*experiment).into()]).await?;
    }
    Ok(())
}

async fn datasets(
    session: &mut Session,
    condition: &str,
    args: &[Value<'_>],
) -> Result<Vec<EvalDatasetRow>, MetastoreError> {
    let sql = format!("SELECT {COLUMNS} FROM eval_dataset AS this WHERE {condition}");
    let rows = session.fetch_all(&sql, args).await?;
    let mut found = rows.iter().map(dataset_row).collect::<Result<Vec<_>, _>>()?;
    let places: HashMap<String, usize> =
        found.iter().enumerate().map(|(place, row)| (row.id.clone(), place)).collect();
    let of_these = format!("IN (SELECT this.id FROM eval_dataset AS this WHERE {condition})");
    let sql = format!(
        "SELECT dataset_id, name, content FROM eval_dataset_tag WHERE dataset_id {of_these} ORDER BY name"
    );
    for row in session.fetch_all(&sql, args).await? {
        if let Some(dataset) = places.get(&row.text("dataset_id")?).and_then(|place| found.get_mut(*place)) {
            dataset.tags.push((row.text("name")?, row.text("content")?));
        }
    }
    let sql = format!(
        "SELECT dataset_id, experiment_id FROM eval_dataset_experiment WHERE dataset_id {of_these} ORDER BY experiment_id"
    );
    for row in session.fetch_all(&sql, args).await? {
        if let Some(dataset) = places.get(&row.text("dataset_id")?).and_then(|place| found.get_mut(*place)) {
            dataset.experiments.push(row.int("experiment_id")?);
        }
    }
    Ok(found)
}

async fn records_with(
    session: &mut Session,
    id: &str,
    digests: &[String],
) -> Result<HashMap<String, EvalRecordRow>, MetastoreError> {
    let mut known = HashMap::new();
    for chunk in digests.chunks(CHUNK) {
        let marks: Vec<String> = (0..chunk.len()).map(|mark| format!("${}", mark + 2)).collect();
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM eval_record WHERE dataset_id = $1 AND inputs_digest IN ({})",
            marks.join(", ")
        );
        let mut args: Vec<Value<'_>> = vec![id.into()];
        args.extend(chunk.iter().map(Value::from));
        for row in session.fetch_all(&sql, &args).await? {
            let record = record_row(&row)?;
            known.insert(record.inputs_digest.clone(), record);
        }
    }
    Ok(known)
}

async fn store_record(
    session: &mut Session,
    dataset: &str,
    record: &EvalRecordRow,
) -> Result<(), MetastoreError> {
    let sql = "INSERT INTO eval_record (dataset_id, id, inputs_digest, document, created_at_ms, updated_at_ms) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (dataset_id, inputs_digest) DO UPDATE SET \
               document = excluded.document, updated_at_ms = excluded.updated_at_ms";
    session.execute(sql, &record_columns(dataset, record)).await.map(drop)
}

fn columns(row: &EvalDatasetRow) -> [Value<'_>; 8] {
    [
        row.id.as_str().into(),
        row.name.as_str().into(),
        row.digest.as_str().into(),
        row.fields.as_deref().into(),
        row.created_at_ms.into(),
        row.updated_at_ms.into(),
        row.created_by.as_deref().into(),
        row.updated_by.as_deref().into(),
    ]
}

fn record_columns<'a>(dataset: &'a str, record: &'a EvalRecordRow) -> [Value<'a>; 6] {
    [
        dataset.into(),
        record.id.as_str().into(),
        record.inputs_digest.as_str().into(),
        record.document.as_str().into(),
        record.created_at_ms.into(),
        record.updated_at_ms.into(),
    ]
}

fn dataset_row(row: &Row) -> Result<EvalDatasetRow, MetastoreError> {
    Ok(EvalDatasetRow {
        id: row.text("id")?,
        name: row.text("name")?,
        digest: row.text("digest")?,
        fields: row.opt_text("fields")?,
        created_at_ms: row.int("created_at_ms")?,
        updated_at_ms: row.int("updated_at_ms")?,
        created_by: row.opt_text("created_by")?,
        updated_by: row.opt_text("updated_by")?,
        tags: Vec::new(),
        experiments: Vec::new(),
        records: row.int("records")?,
    })
}

fn record_row(row: &Row) -> Result<EvalRecordRow, MetastoreError> {
    Ok(EvalRecordRow {
        id: row.text("id")?,
        inputs_digest: row.text("inputs_digest")?,
        document: row.text("document")?,
        created_at_ms: row.int("created_at_ms")?,
        updated_at_ms: row.int("updated_at_ms")?,
    })
}
