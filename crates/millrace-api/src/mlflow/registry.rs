//! What the endpoints of the model registry have alike: rules for names, and rows as MLflow's messages.

use millrace_metastore::registry::{ModelVersionRow, RegisteredModelRow, RegistryQuery};
use millrace_tracking::search::{RegistryTarget, parse_registry_filter, parse_registry_order};
use millrace_tracking::{check_alias, check_model_name};
use serde_json::{Value, json};

use super::error::MlflowError;
use super::wire::Fields;
use super::{names, search as searching};
use crate::app::App;

/// Characters of a tag's value.
const LONGEST_TAG: usize = 100_000;
/// Characters of a description.
const LONGEST_DESCRIPTION: usize = 100_000;

pub(super) fn now(app: &App) -> i64 {
    app.clock.now().as_microsecond()
}

/// The name of a registered model.
pub(super) fn name(fields: &Fields, parameter: &str) -> Result<String, MlflowError> {
    let name = fields.required(parameter)?;
    if name.trim().is_empty() {
        return Err(fields.missing(parameter));
    }
    check_model_name(&name)
        .map_err(|error| MlflowError::invalid(format!("Invalid model name '{name}': {}", error.reason)))?;
    Ok(name)
}

/// A name and the number of a version.
pub(super) fn version(fields: &Fields) -> Result<(String, i64), MlflowError> {
    let (name, text) = (name(fields, "name")?, fields.required("version")?);
    let version = text.trim().parse().map_err(|_| {
        MlflowError::invalid(format!("Parameter 'version' must be an integer, got '{text}'."))
    })?;
    Ok((name, version))
}

/// An alias that can be set.
pub(super) fn alias(fields: &Fields) -> Result<String, MlflowError> {
    let alias = fields.required("alias")?;
    check_alias(&alias)
        .map_err(|error| MlflowError::invalid(format!("Invalid alias name: '{alias}': {}", error.reason)))?;
    Ok(alias)
}

/// An id or an address of a version, not too long.
pub(super) fn reference(
    fields: &Fields,
    parameter: &str,
    longest: usize,
) -> Result<Option<String>, MlflowError> {
    let given = fields.text(parameter)?;
    if given.as_ref().is_some_and(|text| text.chars().count() > longest) {
        return Err(too_long(parameter, longest));
    }
    Ok(given)
}

pub(super) fn description(fields: &Fields) -> Result<Option<String>, MlflowError> {
    let description = fields.text("description")?;
    if description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(too_long("description", LONGEST_DESCRIPTION));
    }
    Ok(description)
}

/// The tag of a request.
pub(super) fn tag(fields: &Fields) -> Result<(String, String), MlflowError> {
    checked_tag((fields.required("key")?, fields.text("value")?.unwrap_or_default()))
}

/// The tags of a request, each key once: the last value counts.
pub(super) fn tags(fields: &Fields) -> Result<Vec<(String, String)>, MlflowError> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for pair in fields.pairs("tags")? {
        let (key, value) = checked_tag(pair)?;
        tags.retain(|(other, _)| *other != key);
        tags.push((key, value));
    }
    Ok(tags)
}

fn checked_tag((key, value): (String, String)) -> Result<(String, String), MlflowError> {
    names::check_key("key", &key)?;
    if value.chars().count() > LONGEST_TAG {
        return Err(too_long("value", LONGEST_TAG));
    }
    Ok((key, value))
}

fn too_long(what: &str, longest: usize) -> MlflowError {
    MlflowError::invalid(format!("'{what}' exceeds the maximum length of {longest} characters"))
}

/// Reads filter, order, page token and limit of a search.
pub(super) fn query(
    fields: &Fields,
    target: RegistryTarget,
    default_limit: i64,
    most: i64,
) -> Result<RegistryQuery, MlflowError> {
    let limit = fields.int("max_results")?.unwrap_or(default_limit);
    if !(1..=most).contains(&limit) {
        return Err(MlflowError::invalid(format!(
            "Invalid value for request parameter max_results. It must be at least 1 and at most {most}, but got value {limit}"
        )));
    }
    let (clauses, prompts) = parse_registry_filter(target, &fields.text("filter")?.unwrap_or_default())?;
    let mut query = RegistryQuery {
        clauses,
        prompts,
        after: searching::cursor(fields)?,
        limit,
        ..RegistryQuery::default()
    };
    for text in fields.texts("order_by")? {
        let order = parse_registry_order(target, &text)?;
        if query.order.iter().any(|other| other.field == order.field) {
            return Err(MlflowError::invalid(format!("`order_by` contains duplicate fields: {text}")));
        }
        query.order.push(order);
    }
    Ok(query)
}

fn pairs(tags: &[(String, String)]) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

pub(super) fn model_json(row: &RegisteredModelRow) -> Value {
    let mut model = json!({
        "name": row.name,
        "creation_timestamp": row.created_at / 1000,
        "last_updated_timestamp": row.updated_at / 1000,
        "latest_versions": row.latest.iter().map(version_json).collect::<Vec<_>>(),
        "tags": pairs(&row.tags),
        "aliases": row.aliases.iter()
            .map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}))
            .collect::<Vec<_>>(),
    });
    add(&mut model, "description", row.description.as_deref().filter(|text| !text.is_empty()));
    model
}

pub(super) fn version_json(row: &ModelVersionRow) -> Value {
    let mut version = json!({
        "name": row.name,
        "version": row.version.to_string(),
        "creation_timestamp": row.created_at / 1000,
        "last_updated_timestamp": row.updated_at / 1000,
        "current_stage": row.stage,
        "source": row.source,
        "status": "READY",
        "tags": pairs(&row.tags),
        "aliases": row.aliases,
    });
    add(&mut version, "description", row.description.as_deref());
    add(&mut version, "run_id", row.run_id.as_deref());
    add(&mut version, "run_link", row.run_link.as_deref());
    add(&mut version, "model_id", row.model_id.as_deref());
    version
}

fn add(message: &mut Value, name: &str, value: Option<&str>) {
    if let (Some(value), Some(message)) = (value, message.as_object_mut()) {
        message.insert(name.to_owned(), json!(value));
    }
}
