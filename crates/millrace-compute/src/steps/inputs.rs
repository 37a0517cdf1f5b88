//! What a program is given: its inputs as paths and text, and where its outputs belong.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use millrace_contract::{StepContext, StepError, TableRef};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use millrace_storage::CopyError;
use serde_json::Value;

use super::{Services, internal};

/// Inputs by name as the program sees them.
pub(super) type Given = IndexMap<String, String>;

/// Lays the inputs below the attempt's folder and returns the text of each: a local path, or the plain value.
pub(super) async fn lay(services: &Services, context: &StepContext) -> Result<Given, StepError> {
    let mut given = Given::new();
    for (name, value) in &context.inputs {
        let text = match Asset::from_value(value) {
            Some(asset) => lay_asset(services, context, name, &asset).await?,
            None => plain(value),
        };
        given.insert(name.clone(), text);
    }
    Ok(given)
}

/// The environment of the program: the step's own, then the contract's variables.
pub(super) fn environment(
    context: &StepContext,
    given: &Given,
) -> Result<IndexMap<String, String>, StepError> {
    let outputs = context.folder.join("outputs");
    fs_err::create_dir_all(&outputs).map_err(|error| internal("make the outputs' folder", &error))?;
    let values = context.folder.join("values");
    fs_err::write(&values, b"").map_err(|error| internal("make the values' file", &error))?;
    let mut env = context.env.clone();
    for (name, text) in given {
        env.insert(format!("MILLRACE_INPUT_{}", name.to_uppercase()), text.clone());
    }
    for name in context.outputs.keys() {
        env.insert(format!("MILLRACE_OUTPUT_{}", name.to_uppercase()), path_text(&outputs.join(name)));
    }
    env.insert("MILLRACE_OUTPUT".to_owned(), path_text(&values));
    env.insert("MILLRACE_IDEMPOTENCY_KEY".to_owned(), context.idempotency_key.clone());
    Ok(env)
}

async fn lay_asset(
    services: &Services,
    context: &StepContext,
    name: &str,
    asset: &Asset,
) -> Result<String, StepError> {
    if asset.kind != AssetType::Table {
        return match services.copies.path(&asset.uri).await {
            Ok(path) => Ok(path_text(&path)),
            // A program may know how to read what we do not.
            Err(CopyError::Elsewhere { .. }) => Ok(asset.uri.clone()),
            Err(error) => {
                let message = format!("cannot read the input `{name}`: {error}");
                Err(StepError::transient(Problem::error("input-folder", message)))
            }
        };
    }
    let folder = context.folder.join("inputs").join(name);
    fs_err::create_dir_all(&folder).map_err(|error| internal("make the inputs' folder", &error))?;
    let table = match asset.delta_version {
        Some(version) => TableRef::Delta { uri: asset.uri.clone(), version },
        None => TableRef::Parquet { uri: asset.uri.clone() },
    };
    let files = services.engine.parquet_files(&table, &folder).await.map_err(|error| {
        StepError::transient(Problem::error(
            "input-table",
            format!("cannot read the input `{name}`: {error}"),
        ))
    })?;
    link_files(&folder, &files).map_err(|error| internal("lay the input's files", &error))?;
    Ok(path_text(&folder))
}

/// Links the files of a table into one folder, in order, so that programs read exactly this version.
fn link_files(folder: &Path, files: &[PathBuf]) -> std::io::Result<()> {
    for (index, file) in files.iter().enumerate() {
        if file.starts_with(folder) {
            continue;
        }
        let link = folder.join(format!("part-{index:05}.parquet"));
        match fs_err::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => fs_err::os::unix::fs::symlink(file, link)?,
        }
    }
    Ok(())
}

/// A plain value as a program reads it: text without quotes, null as nothing, lists and objects as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
