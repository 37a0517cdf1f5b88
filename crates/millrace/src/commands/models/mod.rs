//! `millrace models …`.

mod promotions;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use millrace_api::model_summary;
use millrace_contract::ModelRegistry;
use serde_json::Value;

use crate::boot;
use crate::cli::{Models, ModelsCommand};
use crate::commands::data::explained;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Models, printer: &Printer) -> Result<ExitCode> {
    let Some(command) = &arguments.command else { return list(printer).await };
    let done = match command {
        ModelsCommand::Show { model } => show::show(model, printer).await,
        ModelsCommand::Compare { models, all } => show::compare(models, *all, printer).await,
        ModelsCommand::Card { model, write, by } => {
            show::card(model, write.as_deref(), by.as_deref(), printer).await
        }
        ModelsCommand::Lineage { model } => show::lineage(model, printer).await,
        ModelsCommand::Requests { model } => promotions::list(model.as_deref(), printer).await,
        ModelsCommand::Request(arguments) => promotions::request(arguments, printer).await,
        ModelsCommand::Approve(verdict) => promotions::vote(verdict, true, printer).await,
        ModelsCommand::Reject(verdict) => promotions::vote(verdict, false, printer).await,
        ModelsCommand::Withdraw(verdict) => promotions::withdraw(verdict, printer).await,
    };
    explained(done, printer)
}

async fn list(printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let counts = rooms.store.count_asset_versions("model").await?;
    let mut models = Vec::new();
    for model in ModelRegistry::list(rooms.catalog.as_ref()).await? {
        let count = counts.get(model.asset.name.as_deref().unwrap_or_default()).copied().unwrap_or_default();
        models.push(serde_json::to_value(model_summary(&model, usize::try_from(count).unwrap_or_default()))?);
    }
    if models.is_empty() {
        printer.note("no models yet; a `register` step makes one");
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&models, &["NAME", "NEWEST", "VERSIONS", "ALIASES", "METRICS", "REGISTERED"], |row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let aliases: Vec<String> = row["aliases"].as_array().into_iter().flatten().map(text).collect();
        let metrics = row["metrics"].as_object().into_iter().flatten().take(3);
        let metrics: Vec<String> = metrics
            .map(|(name, value)| format!("{name} {:.4}", value.as_f64().unwrap_or_default()))
            .collect();
        vec![
            text(&row["name"]),
            row["version"].to_string(),
            row["versions"].to_string(),
            aliases.join(" "),
            metrics.join(", "),
            text(&row["created_at"]).chars().take(19).collect(),
        ]
    });
    Ok(ExitCode::SUCCESS)
}
