//! `millrace export spark`: a flow as a script of Spark's SQL.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use indexmap::IndexMap;
use millrace_contract::{DatasetCatalog as _, TableRef};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::yaml;
use millrace_transform::flow::Flow;
use serde_json::{Map, Value, json};

use crate::boot::{self, Rooms};
use crate::cli::convert::ExportSpark;
use crate::printer::Printer;
use crate::workspace::read;

pub(crate) async fn run(arguments: &ExportSpark, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let file = arguments.flow.to_string_lossy().trim_start_matches("./").to_owned();
    let text = read(&rooms.workspace.root, &file)?;
    let with = pairs(&arguments.with)?;
    let with: Map<String, Value> = with.into_iter().map(|(name, text)| (name, value(&text))).collect();
    let files = |path: &str| rooms.workspace.text_of(path);
    let flow = match Flow::read_with(&file, &text, &files, &with) {
        Ok(flow) => flow,
        Err(problem) => {
            printer.problem(&problem, Some(&text));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut inputs = IndexMap::new();
    for (name, from) in pairs(&arguments.inputs)? {
        let table =
            table(&rooms, &from).await.with_context(|| format!("the input `{name}` cannot be read"))?;
        inputs.insert(name, table);
    }
    let scripts = match flow.spark_sql(&rooms.tables, &inputs).await {
        Ok(scripts) => scripts,
        Err(error) => {
            let document = yaml::parse(&file, &text).ok();
            printer.problem(&error.problem_in(document.as_ref(), &text), Some(&text));
            return Ok(ExitCode::FAILURE);
        }
    };
    if printer.is_json() {
        let outputs: Map<String, Value> = scripts.into_iter().map(|(name, sql)| (name, json!(sql))).collect();
        printer.line(&Value::Object(outputs).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let several = scripts.len() > 1;
    for (output, script) in scripts {
        let head = if several { format!("-- output `{output}`\n") } else { String::new() };
        printer.line(&format!("{head}{}", script.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}

/// `name=…`, each.
fn pairs(all: &[String]) -> Result<Vec<(String, String)>> {
    all.iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => bail!("`{text}` has no `=`; write `name=value`"),
        })
        .collect()
}

/// A value by its look.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A dataset, an address, or a file of the workspace.
async fn table(rooms: &Rooms, from: &str) -> Result<TableRef> {
    if from.starts_with("data:") {
        let version = rooms.catalog.resolve(from).await?;
        return TableRef::of(&version.asset).context("it is not a table");
    }
    let uri = match from.contains("://") {
        true => from.to_owned(),
        false => {
            let path = rooms.workspace.root.join(from);
            let path = path.canonicalize().with_context(|| format!("there is no file `{from}`"))?;
            format!("file://{}", path.display())
        }
    };
    let asset = Asset {
        kind: AssetType::File,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest: String::new(),
        rows: None,
        size_bytes: None,
    };
    TableRef::of(&asset).context("name a file that ends with .parquet, .csv or .jsonl, or `data:<dataset>`")
}
