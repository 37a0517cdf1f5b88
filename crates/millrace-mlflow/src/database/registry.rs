//! Registered models with their versions, tags and aliases.

use millrace_metastore::registry::{ImportedRegistered, ModelVersionRow, RegisteredModelRow};
use millrace_metastore::{MetastoreError, Row, Value};

use super::experiments::in_workspace;
use super::{DatabaseSource, WORKSPACE, failed, pairs, some_text, text_of};
use crate::ImportError;
use crate::folder::settled;
use crate::record::{Found, micros};

const WHAT: &str = "registered models";

impl DatabaseSource {
    pub(super) async fn read_registered(&mut self) -> Result<Option<Found<ImportedRegistered>>, ImportError> {
        if !self.has("registered_models") {
            return Ok(None);
        }
        if self.registered.is_none() {
            let select = self.select("registered_models", &["name", "workspace"], &[]);
            let rows =
                self.fetch(WHAT, &format!("{select} ORDER BY registered_models.name DESC"), &[]).await?;
            let name = |row: &Row| {
                Ok((row.text("name")?, some_text(row, "workspace")?.unwrap_or_else(|| WORKSPACE.to_owned())))
            };
            let names = rows.iter().map(name).collect::<Result<_, MetastoreError>>();
            self.registered = Some(names.map_err(failed(WHAT))?);
        }
        let Some((name, workspace)) = self.registered.as_mut().and_then(Vec::pop) else { return Ok(None) };
        let texts = ["name", "description", "workspace"];
        let select = self.select("registered_models", &texts, &["creation_time", "last_updated_time"]);
        let rows = self.of_name("registered_models", &select, &name, &workspace).await?;
        let Some(row) = rows.first() else { return Ok(Some(Found::default())) };
        let mut model = model_row(row).map_err(failed(WHAT))?;
        let pair = |table: &str| self.select(table, &["key", "value"], &[]);
        let rows =
            self.of_name("registered_model_tags", &pair("registered_model_tags"), &name, &workspace).await?;
        model.tags = pairs(Some(rows), ("key", "value")).map_err(failed(WHAT))?;
        if self.has("registered_model_aliases") {
            let select = self.select("registered_model_aliases", &["alias"], &["version"]);
            for row in self.of_name("registered_model_aliases", &select, &name, &workspace).await? {
                let alias = row.text("alias").and_then(|alias| Ok((alias, row.int("version")?)));
                model.aliases.push(alias.map_err(failed(WHAT))?);
            }
        }
        let versions = self.read_versions(&name, &workspace, &model.name).await?;
        Ok(Some(Found { records: vec![ImportedRegistered { row: model, versions }], broken: Vec::new() }))
    }

    async fn read_versions(
        &self,
        name: &str,
        workspace: &str,
        here: &str,
    ) -> Result<Vec<(ModelVersionRow, Option<millrace_metastore::assets::AssetVersionRow>)>, ImportError>
    {
        let texts = ["description", "current_stage", "source", "storage_location", "run_id", "run_link"];
        let select =
            self.select("model_versions", &texts, &["version", "creation_time", "last_updated_time"]);
        let rows = self.of_name("model_versions", &select, name, workspace).await?;
        let mut tags = std::collections::HashMap::<i64, Vec<Row>>::new();
        if self.has("model_version_tags") {
            let select = self.select("model_version_tags", &["key", "value"], &["version"]);
            for row in self.of_name("model_version_tags", &select, name, workspace).await? {
                tags.entry(row.int("version").map_err(failed(WHAT))?).or_default().push(row);
            }
        }
        let mut versions = Vec::with_capacity(rows.len());
        for row in rows {
            let read = version_row(&row, here).and_then(|version| {
                let tags = pairs(tags.remove(&version.version), ("key", "value"))?;
                Ok((settled(ModelVersionRow { tags, ..version }), None))
            });
            versions.push(read.map_err(failed(WHAT))?);
        }
        versions.sort_by_key(|(version, _): &(ModelVersionRow, _)| version.version);
        Ok(versions)
    }

    async fn of_name(
        &self,
        table: &str,
        select: &str,
        name: &str,
        workspace: &str,
    ) -> Result<Vec<Row>, ImportError> {
        let mut sql = format!("{select} WHERE {table}.name = $1");
        let mut args: Vec<Value<'_>> = vec![name.into()];
        if self.has_column(table, "workspace") {
            sql.push_str(&format!(" AND {table}.workspace = $2"));
            args.push(workspace.into());
        }
        self.fetch(WHAT, &sql, &args).await
    }
}

fn model_row(row: &Row) -> Result<RegisteredModelRow, MetastoreError> {
    let created_at = micros(row.opt_int("creation_time")?.unwrap_or(0));
    Ok(RegisteredModelRow {
        name: in_workspace(row, text_of(row, "name")?, '.')?,
        description: some_text(row, "description")?,
        created_at,
        updated_at: row.opt_int("last_updated_time")?.map_or(created_at, micros),
        ..RegisteredModelRow::default()
    })
}

fn version_row(row: &Row, name: &str) -> Result<ModelVersionRow, MetastoreError> {
    let filled =
        |column: &str| Ok::<_, MetastoreError>(some_text(row, column)?.filter(|text| !text.is_empty()));
    let created_at = micros(row.opt_int("creation_time")?.unwrap_or(0));
    Ok(ModelVersionRow {
        name: name.to_owned(),
        version: row.int("version")?,
        created_at,
        updated_at: row.opt_int("last_updated_time")?.map_or(created_at, micros),
        stage: some_text(row, "current_stage")?.unwrap_or_else(|| "None".to_owned()),
        description: some_text(row, "description")?,
        source: text_of(row, "source")?,
        location: filled("storage_location")?,
        run_id: filled("run_id")?,
        run_link: filled("run_link")?,
        ..ModelVersionRow::default()
    })
}
