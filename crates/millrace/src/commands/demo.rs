use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::RunRequest;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Demo;
use crate::commands::follow::{follow, report};
use crate::example;
use crate::printer::{Printer, table};
use crate::server::{Offer, Server};

pub(crate) async fn run(arguments: &Demo, printer: &Printer) -> Result<ExitCode> {
    let folder = &arguments.folder;
    let made = example::unpack(folder)
        .with_context(|| format!("cannot write the example into `{}`", folder.display()))?;
    printer.note(&if made {
        format!(
            "made the workspace `{}`: 336,776 flights of 2013; the question is which will arrive late",
            folder.display()
        )
    } else {
        format!("`{}` is there already and stays as it is", folder.display())
    });
    let root = fs_err::canonicalize(folder)?;
    let rooms = boot::open(&root).await?;
    let file = rooms.workspace.find_pipeline(example::PIPELINE)?;
    file.print_problems(&rooms.workspace, printer);
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let server = Server::start(&rooms, Offer::at(arguments.listen)).await?;
    printer.note(&format!("watch it at {}/pipelines/{}", server.url, example::PIPELINE));
    let events = server.engine.subscribe();
    let request = RunRequest { cause: json!({"by": "demo"}), ..RunRequest::default() };
    let id = server.engine.submit(loaded.pipeline.clone(), request).await?;
    follow(&server.engine, events, &id, printer).await?;
    let code = report(&rooms, &server.engine, &id, &file, printer).await?;
    let steps = rooms.store.list_step_runs(id.clone()).await?;
    let summary = Summary::of(&steps);
    if !printer.is_json() {
        printer.line(&summary.text(&server.url, &id));
        if let Some(command) = example_call(&server.url, &summary).await {
            printer.line(&format!("score one row:\n  {command}\n"));
        }
    }
    if !arguments.no_serve {
        printer.note(&format!("the server goes on at {}; Ctrl-C stops it", server.url));
        server.wait_for_signal().await?;
    }
    server.stop().await?;
    Ok(code)
}

/// The command that the endpoint's page shows.
async fn example_call(url: &str, summary: &Summary) -> Option<String> {
    let endpoint = summary.endpoint.as_deref()?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().ok()?;
    let page: Value =
        client.get(format!("{url}/api/endpoints/{endpoint}")).send().await.ok()?.json().await.ok()?;
    page.get("command").and_then(Value::as_str).map(str::to_owned)
}

/// What the steps of a run left that people look for.
#[derive(Debug, Default)]
struct Summary {
    /// Step to its metrics.
    metrics: IndexMap<String, IndexMap<String, f64>>,
    model: Option<(String, u64)>,
    endpoint: Option<String>,
    drifted: Option<Vec<String>>,
    monitor: Option<String>,
}

impl Summary {
    fn of(steps: &[StepRunRow]) -> Self {
        let mut summary = Self::default();
        for step in steps {
            let outcome = step.outcome.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let Some(outputs) = outcome.and_then(|outcome| outcome.get("outputs").cloned()) else { continue };
            let text = |name: &str| outputs.get(name).and_then(Value::as_str).map(str::to_owned);
            match step.kind.as_str() {
                "evaluate" => {
                    let metrics =
                        outputs.get("metrics").cloned().and_then(|value| serde_json::from_value(value).ok());
                    summary.metrics.insert(step.step.clone(), metrics.unwrap_or_default());
                }
                "register" => summary.model = text("name").zip(outputs.get("number").and_then(Value::as_u64)),
                "deploy" => summary.endpoint = text("endpoint"),
                "monitor" => {
                    let columns = outputs.get("drifted_columns").cloned().unwrap_or_default();
                    summary.drifted = serde_json::from_value(columns).ok();
                    summary.monitor = text("monitor");
                }
                _ => {}
            }
        }
        summary
    }

    fn text(&self, url: &str, run: &str) -> String {
        let mut text = String::from("\n");
        let steps: Vec<&str> = self.metrics.keys().map(String::as_str).collect();
        let names = self
            .metrics
            .values()
            .next()
            .map(|metrics| metrics.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default();
        let number = |metrics: &IndexMap<String, f64>, name: &str| {
            metrics.get(name).map(|value| format!("{value:.4}")).unwrap_or_default()
        };
        let rows: Vec<Vec<String>> = names
            .iter()
            .map(|name| {
                std::iter::once(name.clone())
                    .chain(self.metrics.values().map(|metrics| number(metrics, name)))
                    .collect()
            })
            .collect();
        if !rows.is_empty() {
            let header: Vec<&str> = std::iter::once("METRIC").chain(steps).collect();
            let _ = writeln!(text, "{}", table(&header, &rows));
        }
        let mut places = vec![vec!["run".to_owned(), format!("{url}/runs/{run}")]];
        if let Some((model, version)) = &self.model {
            places.push(vec![format!("model {model}@{version}"), format!("{url}/models/{model}")]);
        }
        if let Some(endpoint) = &self.endpoint {
            places.push(vec![format!("endpoint {endpoint}"), format!("{url}/endpoints/{endpoint}")]);
        }
        if let Some(drifted) = &self.drifted {
            let what = if drifted.is_empty() {
                "no drift".to_owned()
            } else {
                format!("drift in {}", drifted.join(", "))
            };
            let page = self
                .monitor
                .as_ref()
                .map_or_else(|| format!("{url}/monitoring"), |name| format!("{url}/monitoring/{name}"));
            places.push(vec![what, page]);
        }
        places.push(vec!["home".to_owned(), format!("{url}/")]);
        text + &table(&["WHAT", "WHERE"], &places)
    }
}
