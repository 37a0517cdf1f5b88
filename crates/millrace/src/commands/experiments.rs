use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_metastore::Metastore;
use millrace_metastore::experiments::{
    ALL_EXPERIMENTS, ExperimentFull, Kept, PurgeRule, Purged, Query, StorageUse, View,
};
use millrace_tracking::lifecycle::{KeepBest, RetentionPlan, RetentionRules};
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::{Experiments, PurgeOptions, Retention};
use crate::printer::Printer;
use crate::prompt;

/// Runs that are looked up at once.
const PAGE: i64 = 1_000;
/// In the place of an experiment: the rules of all that have none of their own.
const DEFAULT: &str = "default";

pub(crate) async fn run(command: &Experiments, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let now = rooms.clock.now().as_microsecond();
    let store = &rooms.store;
    match command {
        Experiments::List { deleted } => list(&rooms, *deleted, printer).await,
        Experiments::Delete { experiments } => {
            for wanted in experiments {
                let found = find(store, wanted).await?;
                if found.id == 0 {
                    bail!("the experiment `{}` is always there; delete its runs instead", found.name);
                }
                store.delete_experiment(found.id, now).await?;
                say(printer, &found, "deleted", "is deleted; `millrace experiments restore` brings it back");
            }
            Ok(ExitCode::SUCCESS)
        }
        Experiments::Restore { experiments } => {
            for wanted in experiments {
                let found = find(store, wanted).await?;
                store.restore_experiment(found.id, now).await?;
                say(printer, &found, "restored", "is restored with all its runs");
            }
            Ok(ExitCode::SUCCESS)
        }
        Experiments::Rename { experiment, name } => {
            let found = find(store, experiment).await?;
            store.rename_experiment_in_any_state(found.id, name.clone(), now).await?;
            say(printer, &found, "renamed", &format!("is `{name}` now"));
            Ok(ExitCode::SUCCESS)
        }
        Experiments::Purge { experiments, how } => purge(&rooms, experiments, how, printer).await,
        Experiments::PurgeRuns { runs, deleted_in, how } => {
            let ids = match deleted_in {
                Some(wanted) => deleted_runs(store, find(store, wanted).await?.id).await?,
                None => runs.clone(),
            };
            purge_runs(&rooms, ids, how, printer).await
        }
        Experiments::Retention(arguments) => retention(&rooms, arguments, printer).await,
    }
}

/// The experiment of this name, or of this id.
async fn find(store: &Metastore, wanted: &str) -> Result<ExperimentFull> {
    if let Some(found) = store.find_experiment_named(wanted.to_owned()).await? {
        return Ok(found);
    }
    let Ok(id) = wanted.parse() else {
        bail!(
            "there is no experiment `{wanted}`; list them with `millrace experiments list`, deleted ones with `--deleted`"
        )
    };
    Ok(store.find_experiment(id).await?)
}

fn say(printer: &Printer, experiment: &ExperimentFull, state: &str, text: &str) {
    printer
        .document(&json!({"id": experiment.id.to_string(), "name": experiment.name, "state": state}), || {
            format!("`{}` (id {}) {text}", experiment.name, experiment.id)
        });
}

async fn all(store: &Metastore, view: View) -> Result<Vec<ExperimentFull>> {
    let mut query = Query { view, limit: PAGE, ..Query::default() };
    let mut found = Vec::new();
    loop {
        let (page, next) = store.search_experiments(query.clone()).await?;
        found.extend(page);
        query.after = next;
        if query.after.is_none() {
            return Ok(found);
        }
    }
}

async fn list(rooms: &Rooms, deleted: bool, printer: &Printer) -> Result<ExitCode> {
    // What changed since a server measured; without one, all of it.
    rooms.lifecycle().measure().await?;
    let usage = rooms.store.experiment_usage().await?;
    let view = if deleted { View::Deleted } else { View::Active };
    let mut rows: Vec<(ExperimentFull, StorageUse)> = all(&rooms.store, view)
        .await?
        .into_iter()
        .map(|one| {
            let storage = usage.get(&one.id).copied().unwrap_or_default();
            (one, storage)
        })
        .collect();
    rows.sort_by_key(|(_, storage)| std::cmp::Reverse(storage.total()));
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|(one, storage)| {
            json!({
                "id": one.id.to_string(), "name": one.name, "deleted": one.deleted, "runs": storage.runs, "traces": storage.traces,
                "files": storage.files, "artifact_bytes": storage.artifact_bytes, "point_bytes": storage.point_bytes,
                "document_bytes": storage.document_bytes, "trace_bytes": storage.trace_bytes, "total_bytes": storage.total(),
            })
        })
        .collect();
    if rows.is_empty() {
        printer.note("no experiment is deleted");
        return Ok(ExitCode::SUCCESS);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    printer.list(&rows, &["ID", "EXPERIMENT", "RUNS", "FILES", "TAKES"], |row| {
        let bytes = row["total_bytes"].as_i64().unwrap_or_default();
        vec![text(&row["id"]), text(&row["name"]), text(&row["runs"]), text(&row["files"]), size(bytes)]
    });
    Ok(ExitCode::SUCCESS)
}

fn rule(how: &PurgeOptions) -> PurgeRule {
    if how.force { PurgeRule::Any } else { PurgeRule::Deleted }
}

async fn purge(rooms: &Rooms, wanted: &[String], how: &PurgeOptions, printer: &Printer) -> Result<ExitCode> {
    rooms.lifecycle().measure().await?;
    let store = &rooms.store;
    let usage = store.experiment_usage().await?;
    let mut found = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let one = find(store, wanted).await?;
        if !one.deleted && !how.force {
            bail!(
                "the experiment `{}` is not deleted: `millrace experiments delete` it first, or say `--force`",
                one.name
            );
        }
        found.push(one);
    }
    for one in found {
        let (runs, models) = store.count_experiment(one.id).await?;
        let storage = usage.get(&one.id).copied().unwrap_or_default();
        let what = format!(
            "`{}` (id {}): {runs} runs, {models} logged models, {} traces, {}",
            one.name,
            one.id,
            storage.traces,
            size(storage.total())
        );
        let told = json!({
            "id": one.id.to_string(), "name": one.name, "runs": runs, "models": models, "traces": storage.traces,
            "bytes": storage.total(), "dry_run": how.dry_run,
        });
        if how.dry_run {
            printer.document(&told, || format!("would purge {what}"));
            continue;
        }
        if !how.yes && !prompt::confirm(&format!("purge {what}? It cannot be undone"), printer)? {
            bail!("not purged");
        }
        let purged = store.purge_experiment(one.id, rule(how), rooms.clock.now().as_microsecond()).await?;
        printer.document(&told, || format!("purged {what}"));
        tell_rest(&purged, printer);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where files are that stay.
fn tell_rest(purged: &Purged, printer: &Printer) {
    for place in &purged.elsewhere {
        printer.note(&format!("files at `{place}` are not kept by this server, and were not deleted"));
    }
}

/// Ids of the deleted runs of an experiment.
async fn deleted_runs(store: &Metastore, experiment: i64) -> Result<Vec<String>> {
    let mut query =
        Query { experiments: vec![experiment], view: View::Deleted, limit: PAGE, ..Query::default() };
    let mut ids = Vec::new();
    loop {
        let found = store.search_runs(query.clone(), false).await?;
        ids.extend(found.rows.into_iter().map(|run| run.id));
        query.after = found.next;
        if query.after.is_none() {
            return Ok(ids);
        }
    }
}

async fn purge_runs(
    rooms: &Rooms,
    ids: Vec<String>,
    how: &PurgeOptions,
    printer: &Printer,
) -> Result<ExitCode> {
    rooms.lifecycle().measure().await?;
    let store = &rooms.store;
    let mut purged = store.preview_purge_runs(ids.clone(), rule(how)).await?;
    let staying: Vec<&str> = purged.kept.iter().map(|(id, _)| id.as_str()).collect();
    let going: Vec<String> = ids.into_iter().filter(|id| !staying.contains(&id.as_str())).collect();
    let bytes: i64 = store.run_usage(going.clone()).await?.values().map(StorageUse::total).sum();
    let what = |purged: &Purged| {
        format!("{} runs and {} logged models of theirs, {}", purged.runs, purged.models, size(bytes))
    };
    if !how.dry_run && !going.is_empty() {
        let question = format!("purge {}? It cannot be undone", what(&purged));
        if !how.yes && !prompt::confirm(&question, printer)? {
            bail!("not purged");
        }
        let kept = std::mem::take(&mut purged.kept);
        purged = store.purge_runs(going, rule(how), rooms.clock.now().as_microsecond()).await?;
        purged.kept.extend(kept);
    }
    let kept: Vec<Value> =
        purged.kept.iter().map(|(id, why)| json!({"id": id, "reason": reason(*why).0})).collect();
    let told = json!({
        "runs": purged.runs, "models": purged.models, "bytes": bytes, "dry_run": how.dry_run, "kept": kept,
    });
    printer.document(&told, || {
        format!("{} {}", if how.dry_run { "would purge" } else { "purged" }, what(&purged))
    });
    if !printer.is_json() {
        for (id, why) in &purged.kept {
            printer.note(&format!("kept {id}: {}", reason(*why).1));
        }
    }
    tell_rest(&purged, printer);
    Ok(if purged.kept.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reason(why: Kept) -> (&'static str, &'static str) {
    match why {
        Kept::Absent => ("absent", "there is no such run"),
        Kept::NotDeleted => ("not-deleted", "it is not deleted; `--force` purges it all the same"),
        Kept::InUse => ("in-use", "a pipeline run that is not over writes to it"),
        Kept::Registered => ("registered", "a version of a registered model or a deployment refers to it"),
    }
}

async fn retention(rooms: &Rooms, arguments: &Retention, printer: &Printer) -> Result<ExitCode> {
    let lifecycle = rooms.lifecycle();
    let experiment = match arguments.experiment.as_str() {
        DEFAULT => ALL_EXPERIMENTS,
        wanted => find(&rooms.store, wanted).await?.id,
    };
    if arguments.remove {
        lifecycle.set_retention(experiment, None).await?;
    }
    let given = rules(arguments)?;
    let own = lifecycle.own_retention(experiment).await?;
    let held = lifecycle.retention_of(experiment).await?;
    if arguments.dry_run {
        let rules = given.or(held).context("no rules hold here, so nothing would go")?;
        if experiment == ALL_EXPERIMENTS {
            bail!("rules are tried on one experiment: name it instead of `{DEFAULT}`");
        }
        let plan = lifecycle.plan_retention(experiment, &rules).await?;
        tell_plan(&plan, printer);
        return Ok(ExitCode::SUCCESS);
    }
    let is_own = given.is_some() || own.is_some();
    if let Some(rules) = &given {
        lifecycle.set_retention(experiment, Some(rules)).await?;
    }
    let rules = given.or(own).or(held);
    let told = json!({"experiment": arguments.experiment, "own": is_own, "rules": rules});
    printer.document(&told, || match &rules {
        None => "nothing is deleted by itself".to_owned(),
        Some(rules) => describe(rules, is_own || experiment == ALL_EXPERIMENTS),
    });
    Ok(ExitCode::SUCCESS)
}

/// The rules that the command line gives, if it gives any.
fn rules(arguments: &Retention) -> Result<Option<RetentionRules>> {
    let rules = RetentionRules {
        delete_after_days: arguments.delete_after,
        keep_best: arguments.keep_best.as_deref().map(best).transpose()?,
        keep_newest: arguments.keep_newest,
        keep_tagged: arguments.keep_tagged.clone(),
        purge_after_days: arguments.purge_after,
    };
    if rules == RetentionRules::default() {
        return Ok(None);
    }
    rules.check()?;
    Ok(Some(rules))
}

/// `3:val_auc` or `3:loss:smallest`.
fn best(text: &str) -> Result<KeepBest> {
    let parsed = text.split_once(':').and_then(|(count, metric)| {
        let (metric, smallest) =
            metric.strip_suffix(":smallest").map_or((metric, false), |name| (name, true));
        Some(KeepBest { count: count.parse().ok()?, metric: metric.to_owned(), smallest })
    });
    parsed.with_context(|| {
        format!("`--keep-best {text}` is not COUNT:METRIC, for example `3:val_auc` or `3:loss:smallest`")
    })
}

fn describe(rules: &RetentionRules, own: bool) -> String {
    let mut lines = Vec::new();
    if let Some(days) = rules.delete_after_days {
        lines.push(format!("runs are deleted {days} days after they ended"));
    }
    if let Some(best) = &rules.keep_best {
        let word = if best.smallest { "smallest" } else { "largest" };
        lines.push(format!("but not the {} with the {word} `{}`", best.count, best.metric));
    }
    if let Some(count) = rules.keep_newest {
        lines.push(format!("but not the {count} newest"));
    }
    for tag in &rules.keep_tagged {
        lines.push(format!("but not those tagged `{tag}`"));
    }
    if let Some(days) = rules.purge_after_days {
        lines.push(format!("what was deleted {days} days ago is purged"));
    }
    lines.push("what a registered model or a deployment refers to is kept".to_owned());
    if !own {
        lines.push("these are the default rules; it has none of its own".to_owned());
    }
    lines.join("\n")
}

fn tell_plan(plan: &RetentionPlan, printer: &Printer) {
    let delete: Vec<Value> = plan.delete.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    let told = json!({
        "delete": delete, "purge": plan.purge, "purge_models": plan.purge_models, "purge_experiment": plan.purge_experiment,
        "kept": plan.kept, "referenced": plan.referenced, "more": plan.more,
    });
    printer.document(&told, || {
        let mut lines = vec![format!(
            "would delete {} runs, and purge {} runs and {} logged models",
            plan.delete.len(),
            plan.purge.len(),
            plan.purge_models.len()
        )];
        lines.extend(plan.delete.iter().map(|(id, name)| format!("delete {id} {name}")));
        lines.extend(plan.purge.iter().map(|id| format!("purge {id}")));
        if plan.purge_experiment {
            lines.push("would purge the experiment itself".to_owned());
        }
        lines.push(format!(
            "{} old runs are kept by the rules, {} since something refers to them",
            plan.kept, plan.referenced
        ));
        lines.join("\n")
    });
}

/// Bytes for people: `1.5 MB`.
#[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub(super) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1_000.0 && unit + 1 < UNITS.len() {
        number /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && number < 100.0);
    format!("{number:.digits$} {}", UNITS.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{best, size};

    #[test]
    fn bytes_for_people() {
        let shown = [0, 999, 1_000, 1_536_000, 250_000_000, i64::MAX].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "1.5 MB", "250 MB", "9223372 TB"]);
    }

    #[test]
    fn the_best_by_a_metric() {
        assert_eq!(best("3:val:auc").unwrap().metric, "val:auc");
        assert!(best("2:loss:smallest").unwrap().smallest);
        assert!(best("loss").is_err() && best("x:loss").is_err());
    }
}
