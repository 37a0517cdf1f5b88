//! What a program left: declared outputs by their type, and values it appended to `$MILLRACE_OUTPUT`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use millrace_contract::{
    NewDatasetVersion, Producer, StepContext, StepError, StepOutcome, TableRef, WriteMode, WrittenTable,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde_json::Value;

use super::{Services, internal};

/// Endings under which an output may be written instead of its bare name.
const ENDINGS: &[&str] = &["parquet", "csv", "csv.gz", "json", "jsonl", "txt"];

pub(super) async fn collect(services: &Services, context: &StepContext) -> Result<StepOutcome, StepError> {
    let values = read_values(&context.folder.join("values"))?;
    let mut outcome = StepOutcome::default();
    for (name, kind) in &context.outputs {
        let value = match asset_type(kind) {
            Some(AssetType::Table) => table(services, context, name, &mut outcome).await?,
            Some(AssetType::Metrics) => metrics(context, name, &mut outcome)?,
            Some(AssetType::Report) => json_file(&found(context, name, "report")?, name)?,
            Some(asset) => files(context, name, asset, kind).await?,
            None => scalar(&values, name, kind)?,
        };
        outcome.outputs.insert(name.clone(), value);
    }
    for (name, text) in values {
        if !outcome.outputs.contains_key(&name) {
            outcome.outputs.insert(name, loose(&text));
        }
    }
    Ok(outcome)
}

fn asset_type(kind: &str) -> Option<AssetType> {
    serde_json::from_value(Value::String(kind.to_owned())).ok()
}

/// `name=value` lines; a later line wins. Lines without `=` are an error, because a value was meant and would be lost.
fn read_values(path: &Path) -> Result<IndexMap<String, String>, StepError> {
    let text = fs_err::read_to_string(path)
        .map_err(|error| internal("read the values that the step appended", &error))?;
    let mut values = IndexMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            return Err(StepError::permanent(
                Problem::error("output-value", format!("`{line}` in `$MILLRACE_OUTPUT` is not `name=value`"))
                    .hint("write one line a value: `echo \"rows=12\" >> \"$MILLRACE_OUTPUT\"`"),
            ));
        };
        values.insert(name.trim().to_owned(), value.to_owned());
    }
    Ok(values)
}

/// Undeclared values: numbers, booleans, lists and objects if they read as JSON, else text.
fn loose(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn scalar(values: &IndexMap<String, String>, name: &str, kind: &str) -> Result<Value, StepError> {
    let Some(text) = values.get(name) else {
        return Err(StepError::permanent(
            Problem::error(
                "missing-output",
                format!("the step declares the output `{name}`, but its program did not set it"),
            )
            .hint(format!("append it: `echo \"{name}=…\" >> \"$MILLRACE_OUTPUT\"`")),
        ));
    };
    let parsed = match kind {
        "integer" => text.trim().parse::<i64>().ok().map(Value::from),
        "number" => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        "boolean" => text.trim().to_lowercase().parse::<bool>().ok().map(Value::from),
        "json" => serde_json::from_str(text).ok(),
        list if list.starts_with("list[") => serde_json::from_str::<Vec<Value>>(text).ok().map(Value::from),
        _ => Some(Value::String(text.clone())),
    };
    parsed.ok_or_else(|| {
        StepError::permanent(Problem::error(
            "output-type",
            format!("the output `{name}` is `{text}`, which is not of the type {kind}"),
        ))
    })
}

/// Where the program wrote an output: under its name, perhaps with an ending.
fn found(context: &StepContext, name: &str, kind: &str) -> Result<PathBuf, StepError> {
    let bare = context.folder.join("outputs").join(name);
    let with_endings = ENDINGS.iter().map(|ending| bare.with_file_name(format!("{name}.{ending}")));
    std::iter::once(bare.clone()).chain(with_endings).find(|path| path.exists()).ok_or_else(|| {
        let variable = format!("MILLRACE_OUTPUT_{}", name.to_uppercase());
        StepError::permanent(
            Problem::error(
                "missing-output",
                format!("the step declares the output `{name}` ({kind}), but its program did not write it"),
            )
            .note(format!("it belongs at the path in the environment variable `{variable}`"))
            .hint(format!("in Python: `os.environ[\"{variable}\"]`, or `millrace.output(\"{name}\")`")),
        )
    })
}

async fn table(
    services: &Services,
    context: &StepContext,
    name: &str,
    outcome: &mut StepOutcome,
) -> Result<Value, StepError> {
    let path = found(context, name, "table")?;
    let reference = table_format(&path).map_err(|error| internal("read the output", &error))?;
    let dataset = format!("{}_{name}", context.pipeline);
    let failed = |error: &dyn std::fmt::Display| {
        StepError::permanent(Problem::error(
            "output-table",
            format!("cannot take in the output `{name}`: {error}"),
        ))
    };
    let uri = services.datasets.location(&dataset).map_err(|error| failed(&error))?;
    let rows = services.engine.scan(&reference, None, None).await.map_err(|error| failed(&error))?;
    let written = services
        .engine
        .write_table(&uri, rows, WriteMode::Overwrite)
        .await
        .map_err(|error| failed(&error))?;
    outcome.rows = Some(outcome.rows.unwrap_or(0) + written.rows);
    let profile = services.engine.profile(&written.table()).await.map_err(|error| failed(&error))?;
    let version = services
        .datasets
        .commit(NewDatasetVersion { profile: Some(profile), ..new_version(context, dataset, written) })
        .await
        .map_err(|error| failed(&error))?;
    Ok(version.asset.to_value())
}

fn new_version(context: &StepContext, name: String, written: WrittenTable) -> NewDatasetVersion {
    NewDatasetVersion {
        name,
        asset: written.asset(),
        schema: written.schema,
        profile: None,
        producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
        inputs: asset_keys(context),
    }
}

/// The lineage of what a program wrote: everything it was given.
fn asset_keys(context: &StepContext) -> Vec<millrace_contract::AssetKey> {
    let assets = context.inputs.values().filter_map(Asset::from_value);
    assets
        .map(|asset| millrace_contract::AssetKey {
            kind: match (asset.kind, &asset.name) {
                (AssetType::Model, _) => "model",
                (_, Some(_)) => "dataset",
                (_, None) => "source",
            }
            .to_owned(),
            version: asset.version.unwrap_or(0),
            name: asset.name.unwrap_or(asset.uri),
        })
        .collect()
}

/// Parquet by its first bytes, or a folder of it; JSON lines by the ending or a brace; CSV otherwise.
fn table_format(path: &Path) -> std::io::Result<TableRef> {
    let uri = file_url(path)?;
    if path.is_dir() {
        return Ok(TableRef::Parquet { uri });
    }
    let mut magic = [0; 4];
    let count = fs_err::File::open(path)?.read(&mut magic)?;
    Ok(match magic.get(..count) {
        Some(b"PAR1") => TableRef::Parquet { uri },
        Some([b'{', ..]) => TableRef::Json { uri },
        _ => TableRef::Csv { uri },
    })
}

fn file_url(path: &Path) -> std::io::Result<String> {
    let url = url::Url::from_file_path(path);
    Ok(url.map_err(|()| std::io::Error::other(format!("`{}` is not absolute", path.display())))?.to_string())
}

fn json_file(path: &Path, name: &str) -> Result<Value, StepError> {
    let content = fs_err::read(path).map_err(|error| internal("read the output", &error))?;
    serde_json::from_slice(&content).map_err(|error| {
        StepError::permanent(Problem::error(
            "output-json",
            format!("the output `{name}` is not JSON: {error}"),
        ))
    })
}

fn metrics(context: &StepContext, name: &str, outcome: &mut StepOutcome) -> Result<Value, StepError> {
    let value = json_file(&found(context, name, "metrics")?, name)?;
    let object = value.as_object().ok_or_else(|| {
        let message = format!("the output `{name}` is not a JSON object of numbers");
        StepError::permanent(
            Problem::error("output-json", message).hint("write for example `{\"auc\": 0.91}`"),
        )
    })?;
    for (key, number) in object {
        let Some(number) = number.as_f64() else {
            let message = format!("`{key}` in the output `{name}` is {number}, not a number");
            return Err(StepError::permanent(Problem::error("output-json", message)));
        };
        outcome.metrics.insert(key.clone(), number);
    }
    Ok(value)
}

/// A file or folder; it stays in the attempt's folder, which is kept with the run.
async fn files(
    context: &StepContext,
    name: &str,
    kind: AssetType,
    declared: &str,
) -> Result<Value, StepError> {
    let path = found(context, name, declared)?;
    if (kind == AssetType::File) == path.is_dir() {
        let is = if path.is_dir() { "a folder" } else { "a file" };
        let message = format!("the output `{name}` is {is}, but is declared as {declared}");
        return Err(StepError::permanent(Problem::error("output-type", message)));
    }
    let uri = file_url(&path).map_err(|error| internal("name the output", &error))?;
    let digested = tokio::task::spawn_blocking(move || tree_digest(&path)).await;
    let (digest, size) = match digested {
        Ok(result) => result.map_err(|error| internal("read the output", &error))?,
        Err(error) => return Err(internal("read the output", &error)),
    };
    let asset = Asset {
        kind,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest,
        rows: None,
        size_bytes: Some(size),
    };
    Ok(asset.to_value())
}

/// BLAKE3 over the sorted relative paths and contents below `root`, and the total size.
fn tree_digest(root: &Path) -> std::io::Result<(String, u64)> {
    let mut paths = Vec::new();
    list(root, &mut paths)?;
    paths.sort();
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    for path in paths {
        let mut content = blake3::Hasher::new();
        let length = std::io::copy(&mut fs_err::File::open(&path)?, &mut content)?;
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        hasher.update(&(relative.len() as u64).to_le_bytes());
        hasher.update(relative.as_bytes());
        hasher.update(content.finalize().as_bytes());
        size += length;
    }
    Ok((format!("blake3:{}", hasher.finalize().to_hex()), size))
}

fn list(path: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in fs_err::read_dir(path)? {
            list(&entry?.path(), paths)?;
        }
    } else {
        paths.push(path.to_owned());
    }
    Ok(())
}
