use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::{AssetKey, DatasetCatalog as _};
use millrace_tracking::lineage::{self, Edge, Graph};
use serde_json::{Value, json};

use crate::boot;
use crate::lineage::sources;
use crate::printer::Printer;

/// Things in one answer.
const MOST: usize = 1_000;

pub(super) async fn run(dataset: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let asset = rooms.catalog.resolve(dataset).await?.asset;
    let start = AssetKey {
        kind: lineage::kind::DATASET.to_owned(),
        name: asset.name.unwrap_or_default(),
        version: asset.version.unwrap_or_default(),
    };
    print_lineage(&rooms, start, printer).await
}

/// Prints the arrows around something, those that lead to it first.
pub(crate) async fn print_lineage(
    rooms: &boot::Rooms,
    start: AssetKey,
    printer: &Printer,
) -> Result<ExitCode> {
    let graph = lineage::around(&rooms.store, start.clone(), MOST, &sources(&rooms.workspace)).await?;
    let edges: Vec<Value> = graph.edges.iter().map(|edge| document(&graph, edge)).collect();
    if edges.is_empty() {
        printer.note(&format!(
            "nothing is known about where {} comes from, and nothing was made of it",
            label(&start)
        ));
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&edges, &["FROM", "TO", "HOW", "BY STEP", "OF RUN"], |row| {
        ["from", "to", "how", "step", "run"]
            .iter()
            .map(|key| row[*key].as_str().unwrap_or_default().to_owned())
            .collect()
    });
    if graph.cut {
        printer.note(&format!("only the first {MOST} things"));
    }
    Ok(ExitCode::SUCCESS)
}

fn document(graph: &Graph, edge: &Edge) -> Value {
    let named = |key: &AssetKey| match graph.run_names.get(&key.name) {
        Some(name) => format!("run:{name}"),
        None => label(key),
    };
    json!({
        "from": named(&edge.from), "to": named(&edge.to), "how": edge.tie, "step": edge.step, "run": edge.run_id,
        "from_key": edge.from, "to_key": edge.to,
    })
}

/// `dataset:flights@3`, `source:raw/flights.csv`.
pub(super) fn label(key: &AssetKey) -> String {
    match key.version {
        0 => format!("{}:{}", key.kind, key.name),
        version => format!("{}:{}@{version}", key.kind, key.name),
    }
}
