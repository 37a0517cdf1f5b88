use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use millrace_contract::{ColumnProfile, DatasetCatalog as _, QueryError, Selection, TableProfile, TableRef};
use millrace_spec::problem::{Place, Problem};
use millrace_tracking::Reference;
use millrace_tracking::schema_diff;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::DataPreview;
use crate::commands::sql::print_rows;
use crate::printer::Printer;

pub(super) async fn preview(arguments: &DataPreview, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let version = rooms.catalog.resolve(&arguments.dataset).await?;
    let Some(table) = TableRef::of(&version.asset) else {
        bail!(
            "`{}` is a folder of files; list them with `millrace data files {}`",
            arguments.dataset,
            arguments.dataset
        )
    };
    let selection = Selection {
        columns: (!arguments.columns.is_empty()).then(|| arguments.columns.clone()),
        filter: arguments.filter.clone(),
        limit: Some(arguments.limit.saturating_add(1)),
    };
    match rooms.queries.select(&table, selection).await {
        Ok(rows) => print_rows(rows, arguments.limit, printer).await,
        Err(QueryError::Plan { message, position }) => {
            let mut problem = Problem::error("invalid-filter", message);
            if let Some((line, column)) = position {
                problem = problem.at(Place { file: "--where".to_owned(), line, column, length: 1 });
            }
            printer.problem(&problem, arguments.filter.as_deref());
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error).context("the rows cannot be read"),
    }
}

pub(super) async fn profile(dataset: &str, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let version = rooms.catalog.resolve(dataset).await?;
    let Some(profile) = version.profile else {
        bail!("`{}` has no profile: it is made when a step writes a table", version.asset.label())
    };
    print_profile(&version.asset.label(), &profile, printer)
}

/// One line a column.
pub(crate) fn print_profile(label: &str, profile: &TableProfile, printer: &Printer) -> Result<ExitCode> {
    let columns: Vec<Value> =
        profile.columns.iter().map(serde_json::to_value).collect::<Result<_, _>>().context("the profile")?;
    if printer.is_json() {
        printer.list(&columns, &[], |_| Vec::new());
        return Ok(ExitCode::SUCCESS);
    }
    printer.note(&format!("{label}: {} rows", profile.rows));
    let header =
        ["COLUMN", "TYPE", "NULLS", "DISTINCT", "MIN", "5%", "MEDIAN", "95%", "MAX", "MEAN", "MOST COMMON"];
    let rows: Vec<Value> = profile.columns.iter().map(|column| json!(cells(column))).collect();
    printer.list(&rows, &header, |row| {
        row.as_array()
            .into_iter()
            .flatten()
            .map(|cell| cell.as_str().unwrap_or_default().to_owned())
            .collect()
    });
    Ok(ExitCode::SUCCESS)
}

fn cells(column: &ColumnProfile) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().take(24).collect(),
        other => other.to_string(),
    };
    let number = |number: Option<f64>| number.map(|number| format!("{number:.4}")).unwrap_or_default();
    let quantile = |at: usize| number(column.quantiles.get(at).copied());
    let common: Vec<String> = column
        .top
        .iter()
        .take(3)
        .map(|top| format!("{} ({})", top.value.as_deref().unwrap_or("null"), top.count))
        .collect();
    vec![
        column.name.clone(),
        column.data_type.clone(),
        column.nulls.to_string(),
        column.distinct.to_string(),
        value(&column.min),
        quantile(0),
        quantile(2),
        quantile(4),
        value(&column.max),
        number(column.mean),
        common.join(", "),
    ]
}

pub(super) async fn diff_schema(from: &str, to: Option<&str>, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let before = rooms.catalog.resolve(from).await?;
    let newest = Reference::parse(from).map(|reference| reference.name);
    let after = rooms.catalog.resolve(to.unwrap_or_else(|| newest.as_deref().unwrap_or(from))).await?;
    let changes =
        schema_diff::diff(&schema_diff::columns(&before.schema), &schema_diff::columns(&after.schema));
    let rows: Vec<Value> = changes.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let breaking = changes.iter().filter(|change| change.breaking).count();
    printer.note(&format!(
        "{} -> {}: {} changes, {breaking} of them breaking",
        before.asset.label(),
        after.asset.label(),
        changes.len()
    ));
    if !changes.is_empty() {
        printer.list(&rows, &["COLUMN", "CHANGE", "BEFORE", "AFTER", "BREAKING"], |row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let breaking = if row["breaking"] == true { "yes" } else { "" };
            vec![
                text("column"),
                text("change"),
                kind(&row["before"]),
                kind(&row["after"]),
                breaking.to_owned(),
            ]
        });
    }
    Ok(if breaking == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `Int64`, or `Int64?` where nulls may occur.
fn kind(column: &Value) -> String {
    let sign = if column["nullable"] == true { "?" } else { "" };
    column["type"].as_str().map(|kind| format!("{kind}{sign}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use millrace_tracking::schema_diff::Column;

    use super::*;

    #[test]
    fn a_type_shows_whether_nulls_may_occur() {
        let column = Column { name: "a".to_owned(), data_type: "Int64".to_owned(), nullable: true };
        assert_eq!(kind(&serde_json::to_value(&column).unwrap()), "Int64?");
        assert_eq!(kind(&Value::Null), "");
    }
}
