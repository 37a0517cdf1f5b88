use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_api::model_sheet::{self, ModelSheet};
use millrace_api::views::models::{ModelColumn, OnnxPort};
use millrace_contract::{AssetKey, ModelRegistry};
use millrace_tracking::lineage::kind;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::commands::data::print_lineage;
use crate::inspector::FolderInspector;
use crate::printer::{Printer, table};

/// Longest card, bytes.
const LONGEST_CARD: u64 = 256 * 1024;

pub(super) async fn sheet(rooms: &Rooms, model: &str) -> Result<ModelSheet> {
    let version = ModelRegistry::resolve(rooms.catalog.as_ref(), model).await?;
    let inspector = FolderInspector { copies: rooms.storage.copies.clone() };
    Ok(ModelSheet::gather(&rooms.store, &inspector, version).await?)
}

pub(super) async fn show(model: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let sheet = sheet(&rooms, model).await?;
    let version = &sheet.version;
    let document = json!({
        "name": version.asset.name, "version": version.asset.version, "digest": version.asset.digest, "uri": version.asset.uri,
        "size_bytes": version.asset.size_bytes, "aliases": version.aliases, "stage": version.stage, "tags": version.tags,
        "description": version.description, "created_at": version.created_at.to_string(), "task": sheet.facts.task,
        "flavors": sheet.facts.flavors, "signature": sheet.facts.signature, "input_example": sheet.facts.input_example,
        "onnx": sheet.facts.onnx, "onnx_problem": sheet.facts.onnx_problem, "metrics": version.metrics,
        "metrics_by_dataset": sheet.metrics_by_dataset, "params": sheet.params.iter().cloned().collect::<indexmap::IndexMap<_, _>>(),
        "producer": version.producer, "tracking_run_id": version.tracking_run_id,
    });
    printer.document(&document, || text(&sheet));
    Ok(ExitCode::SUCCESS)
}

fn text(sheet: &ModelSheet) -> String {
    let (version, facts) = (&sheet.version, &sheet.facts);
    let mut text = format!("{}\n", version.asset.label());
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<14}{value}\n"));
        }
    };
    let columns = |columns: &[ModelColumn]| -> String {
        let all = columns.iter();
        all.map(|column| format!("{} {}", column.name, column.data_type)).collect::<Vec<_>>().join(", ")
    };
    line("task", facts.task.clone().unwrap_or_default());
    line("flavours", facts.flavors.join(", "));
    line("bytes", version.asset.size_bytes.map(|size| size.to_string()).unwrap_or_default());
    line("digest", version.asset.digest.clone());
    line("aliases", version.aliases.join(" "));
    if let Some(signature) = &facts.signature {
        line("takes", columns(&signature.inputs));
        line("gives", columns(&signature.outputs));
    }
    line("example", facts.input_example.as_ref().map(Value::to_string).unwrap_or_default());
    if let Some(onnx) = &facts.onnx {
        let ports = |ports: &[OnnxPort]| -> String {
            let all = ports.iter();
            all.map(|port| format!("{} {}[{}]", port.name, port.element, port.shape.join(", ")))
                .collect::<Vec<_>>()
                .join("; ")
        };
        line(
            "onnx",
            format!(
                "{}, opset {}, {} nodes, {} parameters",
                onnx.producer, onnx.opset, onnx.nodes, onnx.parameters
            ),
        );
        line("  inputs", ports(&onnx.inputs));
        line("  outputs", ports(&onnx.outputs));
        let operators: Vec<String> =
            onnx.operators.0.iter().map(|(name, uses)| format!("{name} {uses}")).collect();
        line("  operators", operators.join(", "));
    }
    line("onnx", facts.onnx_problem.clone().unwrap_or_default());
    let mut rows = Vec::new();
    for of in &sheet.metrics_by_dataset {
        let data =
            of.version.map_or_else(|| of.dataset.clone(), |version| format!("{}@{version}", of.dataset));
        rows.extend(
            of.metrics.0.iter().map(|(name, value)| vec![data.clone(), name.clone(), format!("{value:.4}")]),
        );
    }
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["DATASET", "METRIC", "VALUE"], &rows));
    }
    text
}

pub(super) async fn compare(models: &[String], all: bool, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let mut sheets = Vec::with_capacity(models.len());
    for model in models {
        sheets.push(sheet(&rooms, model).await?);
    }
    let labels: Vec<String> = sheets.iter().map(|sheet| sheet.version.asset.label()).collect();
    let compared = model_sheet::compare(&sheets);
    let rows: Vec<Value> = compared
        .rows
        .iter()
        .filter(|row| all || row.differs)
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    if rows.is_empty() {
        printer.note("nothing differs; `--all` shows what is the same");
        return Ok(ExitCode::SUCCESS);
    }
    let mut header = vec!["GROUP", "NAME"];
    header.extend(labels.iter().map(String::as_str));
    printer.list(&rows, &header, |row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let values = row["values"].as_array().into_iter().flatten().map(text);
        [text(&row["group"]), text(&row["name"])].into_iter().chain(values).collect()
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn card(
    model: &str,
    write: Option<&Path>,
    by: Option<&str>,
    printer: &Printer,
) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let sheet = sheet(&rooms, model).await?;
    let asset = &sheet.version.asset;
    let number = asset.version.and_then(|version| i64::try_from(version).ok()).unwrap_or_default();
    let of = (asset.name.clone().unwrap_or_default(), number);
    if let Some(file) = write {
        let size = fs_err::metadata(file)?.len();
        if size > LONGEST_CARD {
            bail!("`{}` has {size} bytes; a card has at most 256 KiB", file.display());
        }
        let content = fs_err::read_to_string(file)?;
        let by = by.map_or_else(boot::user_name, str::to_owned);
        let now = rooms.clock.now().as_microsecond();
        rooms.store.write_model_card(of.clone(), content, by, now).await?;
    }
    let written = rooms.store.list_model_cards(of).await?.into_iter().next();
    let card = sheet.card(written);
    printer.document(&serde_json::to_value(&card).context("the card")?, || match &card.written {
        Some(written) => format!("{}\n\n---\n\n{}", written.trim_end(), card.generated),
        None => card.generated.clone(),
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn lineage(model: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let start = match model.strip_prefix("endpoint:") {
        Some(name) => {
            if !rooms.store.list_deployments().await?.iter().any(|row| row.endpoint == name) {
                bail!("there is no endpoint `{name}` with a deployment");
            }
            AssetKey { kind: kind::ENDPOINT.to_owned(), name: name.to_owned(), version: 0 }
        }
        None => {
            let asset = ModelRegistry::resolve(rooms.catalog.as_ref(), model).await?.asset;
            AssetKey {
                kind: kind::MODEL.to_owned(),
                name: asset.name.unwrap_or_default(),
                version: asset.version.unwrap_or_default(),
            }
        }
    };
    print_lineage(&rooms, start, printer).await
}
