//! Registered models: made, found, renamed, deleted.

use std::collections::HashMap;

use super::labels::set_tags;
use super::{
    CHUNK, DELETED, MODEL, ModelVersionRow, RegisteredModelRow, RegistryRefusal, SELECT_VERSION, add_labels,
    events, is_prompt, lock_model, marks_prompt, placeholders, touch_model, version_row,
};
use crate::{Metastore, MetastoreError, Row, Session, Value};

impl Metastore {
    /// Records a new name.
    ///
    /// # Errors
    /// [`RegistryRefusal::NameTaken`], or if the database fails.
    pub async fn create_registered_model(
        &self,
        name: String,
        description: Option<String>,
        tags: Vec<(String, String)>,
        now: i64,
    ) -> Result<RegisteredModelRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                if !insert_model(session, &name, description.as_deref(), &tags, now).await? {
                    let by_prompt = is_prompt(session, &name).await?;
                    let for_prompt = marks_prompt(&tags);
                    return Err(RegistryRefusal::NameTaken { name, by_prompt, for_prompt }.into());
                }
                read_model(session, &name).await
            })
        })
        .await
    }

    /// One name with its tags, aliases and newest versions.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn find_registered_model(&self, name: String) -> Result<RegisteredModelRow, MetastoreError> {
        self.read(move |session| Box::pin(async move { read_model(session, &name).await })).await
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn describe_registered_model(
        &self,
        name: String,
        description: String,
        now: i64,
    ) -> Result<RegisteredModelRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                touch_model(session, &name, now).await?;
                let sql = "UPDATE registered_model SET description = $2 WHERE name = $1";
                session.execute(sql, &[name.as_str().into(), description.as_str().into()]).await?;
                read_model(session, &name).await
            })
        })
        .await
    }

    /// Gives a name and everything that belongs to it another name.
    ///
    /// # Errors
    /// [`RegistryRefusal`] if there is no such name or the other one is taken; if the database fails.
    pub async fn rename_registered_model(
        &self,
        name: String,
        new_name: String,
        now: i64,
    ) -> Result<RegisteredModelRow, MetastoreError> {
        let wanted = new_name.clone();
        let renamed = self
            .write(move |session| {
                Box::pin(async move {
                    lock_model(session, &name).await?;
                    if name != new_name {
                        refuse_taken(session, &name, &new_name).await?;
                        rename_everywhere(session, &name, &new_name).await?;
                    }
                    touch_model(session, &new_name, now).await?;
                    let sql = format!(
                        "UPDATE model_version SET updated_at = $2 WHERE name = $1 AND stage <> '{DELETED}'"
                    );
                    session.execute(&sql, &[new_name.as_str().into(), now.into()]).await?;
                    read_model(session, &new_name).await
                })
            })
            .await;
        match renamed {
            // Somebody else took it in between.
            Err(error) if error.is_unique_violation() => {
                Err(RegistryRefusal::NameTaken { name: wanted, by_prompt: false, for_prompt: false }.into())
            }
            renamed => renamed,
        }
    }

    /// Deletes a name with its versions; their files stay.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoModel`], or if the database fails.
    pub async fn delete_registered_model(&self, name: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_model(session, &name).await?;
                for sql in [
                    "DELETE FROM asset_alias WHERE kind = 'model' AND name = $1",
                    "DELETE FROM asset_edge WHERE kind = 'model' AND name = $1",
                    // A new model of this name begins at version 1 again, which nothing was made from.
                    "DELETE FROM asset_edge WHERE from_kind = 'model' AND from_name = $1",
                    "DELETE FROM asset_version WHERE kind = 'model' AND name = $1",
                    "DELETE FROM registered_model WHERE name = $1",
                ] {
                    session.execute(sql, &[name.as_str().into()]).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Inserts a name and tells of it; `false` if there is one already.
pub(super) async fn insert_model(
    session: &mut Session,
    name: &str,
    description: Option<&str>,
    tags: &[(String, String)],
    now: i64,
) -> Result<bool, MetastoreError> {
    let sql = "INSERT INTO registered_model (name, description, last_version, created_at, updated_at) \
               VALUES ($1, $2, 0, $3, $3) ON CONFLICT (name) DO NOTHING";
    if session.execute(sql, &[name.into(), description.into(), now.into()]).await? == 0 {
        return Ok(false);
    }
    set_tags(session, name, 0, tags).await?;
    let made = read_model(session, name).await?;
    events::model_created(session, &made).await?;
    Ok(true)
}

async fn refuse_taken(session: &mut Session, name: &str, new_name: &str) -> Result<(), MetastoreError> {
    let sql = "SELECT name FROM registered_model WHERE name = $1";
    if session.fetch_optional(sql, &[new_name.into()]).await?.is_none() {
        return Ok(());
    }
    let by_prompt = is_prompt(session, new_name).await?;
    let for_prompt = is_prompt(session, name).await?;
    Err(RegistryRefusal::NameTaken { name: new_name.to_owned(), by_prompt, for_prompt }.into())
}

async fn rename_everywhere(session: &mut Session, name: &str, new_name: &str) -> Result<(), MetastoreError> {
    for sql in [
        // Versions and tags follow by their foreign keys.
        "UPDATE registered_model SET name = $2 WHERE name = $1",
        "UPDATE asset_version SET name = $2 WHERE kind = 'model' AND name = $1",
        "UPDATE asset_alias SET name = $2 WHERE kind = 'model' AND name = $1",
        "UPDATE asset_edge SET name = $2 WHERE kind = 'model' AND name = $1",
        "UPDATE asset_edge SET from_name = $2 WHERE from_kind = 'model' AND from_name = $1",
        "UPDATE step_asset SET name = $2 WHERE kind = 'model' AND name = $1",
    ] {
        session.execute(sql, &[name.into(), new_name.into()]).await?;
    }
    Ok(())
}

pub(super) async fn read_model(
    session: &mut Session,
    name: &str,
) -> Result<RegisteredModelRow, MetastoreError> {
    let sql = "SELECT name, description, created_at, updated_at FROM registered_model WHERE name = $1";
    let row = session.fetch_optional(sql, &[name.into()]).await?;
    let row = row.ok_or_else(|| RegistryRefusal::NoModel { name: name.to_owned() })?;
    let mut found = vec![model_row(&row)?];
    add_everything(session, &mut found).await?;
    found.pop().ok_or_else(|| RegistryRefusal::NoModel { name: name.to_owned() }.into())
}

pub(super) fn model_row(row: &Row) -> Result<RegisteredModelRow, MetastoreError> {
    Ok(RegisteredModelRow {
        name: row.text("name")?,
        description: row.opt_text("description")?,
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
        ..RegisteredModelRow::default()
    })
}

/// Adds tags, aliases and the newest version of each stage.
pub(super) async fn add_everything(
    session: &mut Session,
    models: &mut [RegisteredModelRow],
) -> Result<(), MetastoreError> {
    for models in models.chunks_mut(CHUNK) {
        let args: Vec<Value<'_>> = models.iter().map(|model| model.name.clone().into()).collect();
        let names = placeholders(1, args.len());
        let mut tags: HashMap<String, Vec<(String, String)>> = HashMap::new();
        let sql = format!(
            "SELECT name, key, content FROM model_tag WHERE version = 0 AND name IN ({names}) ORDER BY name, key"
        );
        for row in session.fetch_all(&sql, &args).await? {
            tags.entry(row.text("name")?).or_default().push((row.text("key")?, row.text("content")?));
        }
        let mut aliases: HashMap<String, Vec<(String, i64)>> = HashMap::new();
        let sql = format!(
            "SELECT name, alias, version FROM asset_alias WHERE kind = '{MODEL}' AND name IN ({names}) ORDER BY name, alias"
        );
        for row in session.fetch_all(&sql, &args).await? {
            aliases.entry(row.text("name")?).or_default().push((row.text("alias")?, row.int("version")?));
        }
        let mut latest = newest_of_stages(session, &names, &args).await?;
        for model in models {
            model.tags = tags.remove(&model.name).unwrap_or_default();
            model.aliases = aliases.remove(&model.name).unwrap_or_default();
            model.latest = latest.remove(&model.name).unwrap_or_default();
        }
    }
    Ok(())
}

/// The newest version of each stage of these models.
async fn newest_of_stages(
    session: &mut Session,
    names: &str,
    args: &[Value<'_>],
) -> Result<HashMap<String, Vec<ModelVersionRow>>, MetastoreError> {
    let sql = format!(
        "{SELECT_VERSION} FROM model_version AS this JOIN (SELECT name, stage, MAX(version) AS version FROM model_version \
         WHERE name IN ({names}) AND stage <> '{DELETED}' GROUP BY name, stage) AS newest \
         ON newest.name = this.name AND newest.version = this.version ORDER BY this.name, this.version"
    );
    let rows = session.fetch_all(&sql, args).await?;
    let mut versions = rows.iter().map(version_row).collect::<Result<Vec<_>, _>>()?;
    add_labels(session, &mut versions).await?;
    let mut of_names: HashMap<String, Vec<ModelVersionRow>> = HashMap::new();
    for version in versions {
        of_names.entry(version.name.clone()).or_default().push(version);
    }
    Ok(of_names)
}
