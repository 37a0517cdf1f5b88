//! Registered models: `models/<name>/{meta.yaml,tags,aliases,version-<n>/{meta.yaml,tags}}`.

use std::path::Path;

use millrace_metastore::registry::{ImportedRegistered, ModelVersionRow, RegisteredModelRow};

use super::yaml::Meta;
use super::{META, folders, values};
use crate::record::{Broken, micros};

pub(super) fn read(folder: &Path, broken: &mut Vec<Broken>) -> Option<ImportedRegistered> {
    let row = row(folder, broken).map_err(|error| broken.push(error)).ok()?;
    let mut versions = Vec::new();
    for version in folders(folder).unwrap_or_default() {
        let name = version.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(number) = name.strip_prefix("version-").and_then(|number| number.parse().ok()) else {
            continue;
        };
        match read_version(&row.name, number, &version, broken) {
            Ok(version) => versions.push((version, None)),
            Err(error) => broken.push(error),
        }
    }
    versions.sort_by_key(|(version, _)| version.version);
    Some(ImportedRegistered { row, versions })
}

fn row(folder: &Path, broken: &mut Vec<Broken>) -> Result<RegisteredModelRow, Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let created_at = micros(meta.int("creation_timestamp").unwrap_or(0));
    let mut aliases = Vec::new();
    for (alias, version) in values(&folder.join("aliases"), broken) {
        match version.trim().parse() {
            Ok(version) => aliases.push((alias, version)),
            Err(_) => broken.push(meta.broken(&format!("the alias `{alias}` points at no version"))),
        }
    }
    Ok(RegisteredModelRow {
        name: meta.text("name").unwrap_or_else(|| name.to_owned()),
        description: meta.text("description"),
        created_at,
        updated_at: meta.int("last_updated_timestamp").map_or(created_at, micros),
        tags: values(&folder.join("tags"), broken),
        aliases,
        latest: Vec::new(),
    })
}

fn read_version(
    name: &str,
    number: i64,
    folder: &Path,
    broken: &mut Vec<Broken>,
) -> Result<ModelVersionRow, Broken> {
    let meta = Meta::read(&folder.join(META))?;
    let created_at = micros(meta.int("creation_timestamp").unwrap_or(0));
    let row = ModelVersionRow {
        name: name.to_owned(),
        version: number,
        created_at,
        updated_at: meta.int("last_updated_timestamp").map_or(created_at, micros),
        stage: meta.text("current_stage").unwrap_or_else(|| "None".to_owned()),
        description: meta.text("description"),
        source: meta.text("source").unwrap_or_default(),
        location: meta.text("storage_location"),
        run_id: meta.text("run_id").filter(|id| !id.is_empty()),
        run_link: meta.text("run_link").filter(|link| !link.is_empty()),
        model_id: meta.text("model_id").filter(|id| !id.is_empty()),
        tags: values(&folder.join("tags"), broken),
        aliases: Vec::new(),
    };
    Ok(settled(row))
}

/// A version as we keep it: of a deleted one only its number is left, and a logged model that is the source is named.
pub(crate) fn settled(mut row: ModelVersionRow) -> ModelVersionRow {
    if millrace_metastore::registry::is_deleted(&row) {
        row = ModelVersionRow {
            description: None,
            source: "REDACTED-SOURCE-PATH".to_owned(),
            location: None,
            run_id: None,
            run_link: None,
            model_id: None,
            tags: Vec::new(),
            ..row
        };
    } else if row.model_id.is_none() {
        let id = row.source.strip_prefix("models:/").filter(|id| id.starts_with("m-") && !id.contains('/'));
        row.model_id = id.map(str::to_owned);
    }
    row
}
