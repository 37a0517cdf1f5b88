//! `millrace diff`: what differs between two tables, row by row.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use indexmap::IndexMap;
use millrace_contract::{QueryRequest, TableRef};
use serde_json::{Value, json};

use super::copy::{self, Scratch};
use crate::boot::Rooms;
use crate::cli::Diff;
use crate::printer::Printer;

pub(crate) async fn run(arguments: &Diff, printer: &Printer) -> Result<ExitCode> {
    let rooms = copy::open(&[&arguments.before, &arguments.after]).await?;
    let before = copy::config(&arguments.before, "", &arguments.source)?;
    let after = copy::config(&arguments.after, "", &arguments.source)?;
    let Some(before) = Scratch::copy(&rooms, before, printer).await? else { return Ok(ExitCode::FAILURE) };
    let Some(after) = Scratch::copy(&rooms, after, printer).await? else { return Ok(ExitCode::FAILURE) };
    let tables = IndexMap::from([("before".to_owned(), before.table), ("after".to_owned(), after.table)]);
    let columns = common_columns(&rooms, &tables, printer).await?;
    if let Some(unknown) = arguments.keys.iter().find(|key| !columns.contains(key)) {
        bail!("`{unknown}` is no column of both tables; they have {}", columns.join(", "))
    }
    let differences = differences(&columns, &arguments.keys);
    let counts =
        format!("select change, count(*) as rows from ({differences}) as d group by change order by change");
    let mut total = 0;
    let mut said = Vec::new();
    for count in query(&rooms, &tables, counts, None).await? {
        let rows = count["rows"].as_u64().unwrap_or(0);
        total += rows;
        said.push(format!("{rows} {}", count["change"].as_str().unwrap_or_default()));
    }
    let said = if said.is_empty() { "no row differs".to_owned() } else { said.join(", ") };
    printer.note(&format!("{} -> {}: {said}", arguments.before, arguments.after));
    let order = if arguments.keys.is_empty() { columns.clone() } else { arguments.keys.clone() };
    let order: Vec<String> = order.iter().map(|column| quoted(column)).collect();
    let listed = format!("select * from ({differences}) as d order by {}, change", order.join(", "));
    let rows = query(&rooms, &tables, listed, Some(arguments.limit)).await?;
    print(&rows, &arguments.keys, printer);
    if total > rows.len() as u64 {
        printer.note(&format!("only the first {} rows; `-n` shows more", rows.len()));
    }
    Ok(if total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Columns that both have, in the order of the first; what only one has is said.
async fn common_columns(
    rooms: &Rooms,
    tables: &IndexMap<String, TableRef>,
    printer: &Printer,
) -> Result<Vec<String>> {
    let mut names: Vec<Vec<String>> = Vec::new();
    for table in tables.values() {
        let schema = rooms.queries.scan(table, None, Some(0)).await?.schema;
        names.push(schema.fields().iter().map(|field| field.name().clone()).collect());
    }
    let [before, after] = names.as_slice() else { bail!("two tables are compared") };
    for (one, other, word) in [(before, after, "before"), (after, before, "after")] {
        let only: Vec<&str> = one.iter().filter(|name| !other.contains(name)).map(String::as_str).collect();
        if !only.is_empty() {
            printer.note(&format!("only {word}: {}", only.join(", ")));
        }
    }
    let columns: Vec<String> = before.iter().filter(|name| after.contains(name)).cloned().collect();
    if columns.is_empty() {
        bail!("the tables have no column in common")
    }
    Ok(columns)
}

/// SQL that gives a row for each difference: `change` and, with keys, the key and the other columns before and after; without, the row.
fn differences(columns: &[String], keys: &[String]) -> String {
    let list =
        |columns: &[String]| columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let all = list(columns);
    if keys.is_empty() {
        return format!(
            "select 'removed' as change, r.* from (select {all} from before except all select {all} from after) as r \
             union all \
             select 'added' as change, a.* from (select {all} from after except all select {all} from before) as a"
        );
    }
    let others: Vec<&String> = columns.iter().filter(|column| !keys.contains(column)).collect();
    let same_key: Vec<String> =
        keys.iter().map(|key| format!("(b.{0} is not distinct from a.{0})", quoted(key))).collect();
    let mut given: Vec<String> =
        keys.iter().map(|key| format!("coalesce(b.{0}, a.{0}) as {0}", quoted(key))).collect();
    let mut differs = vec!["b.__there is null".to_owned(), "a.__there is null".to_owned()];
    for other in others {
        let name = quoted(other);
        given.push(format!("b.{name} as {}", quoted(&format!("{other} before"))));
        given.push(format!("a.{name} as {}", quoted(&format!("{other} after"))));
        differs.push(format!("(b.{name} is distinct from a.{name})"));
    }
    format!(
        "select case when b.__there is null then 'added' when a.__there is null then 'removed' else 'changed' end as change, {} \
         from (select {all}, true as __there from before) as b full outer join (select {all}, true as __there from after) as a on {} \
         where {}",
        given.join(", "),
        same_key.join(" and "),
        differs.join(" or "),
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn query(
    rooms: &Rooms,
    tables: &IndexMap<String, TableRef>,
    sql: String,
    limit: Option<usize>,
) -> Result<Vec<Value>> {
    let request = QueryRequest { sql, params: Vec::new(), tables: tables.clone(), limit };
    let rows = rooms.queries.query(request).await.context("the tables cannot be compared")?;
    let rows = rows.collect().await.context("the tables cannot be compared")?;
    Ok(millrace_transform::rows::to_json(&rows))
}

/// With keys a changed row tells only what changed in it.
fn print(rows: &[Value], keys: &[String], printer: &Printer) {
    let cell = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let described: Vec<Value> = rows
        .iter()
        .map(|row| {
            let change = row["change"].as_str().unwrap_or_default();
            let fields = row.as_object().into_iter().flatten().filter(|(name, _)| *name != "change");
            if keys.is_empty() {
                let whole: serde_json::Map<String, Value> =
                    fields.map(|(name, value)| (name.clone(), value.clone())).collect();
                return json!({"change": change, "row": whole});
            }
            let key: serde_json::Map<String, Value> =
                keys.iter().map(|key| (key.clone(), row[key].clone())).collect();
            let mut columns = serde_json::Map::new();
            for (name, before) in row.as_object().into_iter().flatten() {
                let Some(column) = name.strip_suffix(" before") else { continue };
                let after = &row[format!("{column} after")];
                let shown = match change {
                    "added" => json!({"after": after}),
                    "removed" => json!({"before": before}),
                    _ if before == after => continue,
                    _ => json!({"before": before, "after": after}),
                };
                columns.insert(column.to_owned(), shown);
            }
            json!({"change": change, "key": key, "columns": columns})
        })
        .collect();
    printer.list(&described, &["CHANGE", "ROW", "COLUMNS"], |row| {
        let pairs = |value: &Value| {
            let pairs = value.as_object().into_iter().flatten();
            pairs.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(" ")
        };
        let changes = row["columns"].as_object().into_iter().flatten().map(|(name, change)| {
            match (change.get("before"), change.get("after")) {
                (Some(before), Some(after)) => format!("{name}: {} -> {}", cell(before), cell(after)),
                (Some(value), None) | (None, Some(value)) => format!("{name}: {}", cell(value)),
                (None, None) => name.clone(),
            }
        });
        let place = if row["key"].is_null() { &row["row"] } else { &row["key"] };
        vec![
            row["change"].as_str().unwrap_or_default().to_owned(),
            pairs(place),
            changes.collect::<Vec<_>>().join(", "),
        ]
    });
}
