//! Tables of PostgreSQL: everything in one transaction, by COPY.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use millrace_contract::BatchStream;
use tokio_postgres::{Client, Transaction};

use crate::config::Write;
use crate::error::CopyError;
use crate::source::postgres::{message, quoted, quoted_table};

/// The table that rows are copied to before they replace or join others; it ends with the transaction.
const STAGED: &str = "pg_temp.millrace_staged";

/// Writes all rows and returns how many there were. The table is created if it is not there.
pub(crate) async fn write_postgres(
    mut client: Client,
    table: &str,
    write: &Write,
    rows: BatchStream,
) -> Result<u64, CopyError> {
    let schema = rows.schema.clone();
    let failed = |error: tokio_postgres::Error| write_error(table, &error);
    let target = quoted_table(table);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(&create_table(&target, &schema, write)).await.map_err(failed)?;
    let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    let list = names.join(", ");
    let count = if matches!(write, Write::Append) {
        copy_in(&transaction, &target, &list, table, rows).await?
    } else {
        // Copied aside first, so that the table is locked only while the rows change places.
        let stage = format!(
            "create temporary table millrace_staged on commit drop as select {list} from {target} limit 0"
        );
        transaction.batch_execute(&stage).await.map_err(failed)?;
        let count = copy_in(&transaction, STAGED, &list, table, rows).await?;
        transaction.batch_execute(&merge(&target, &names, write)).await.map_err(failed)?;
        count
    };
    transaction.commit().await.map_err(failed)?;
    Ok(count)
}

fn write_error(table: &str, error: &tokio_postgres::Error) -> CopyError {
    CopyError::Write {
        what: table.to_owned(),
        message: message(error),
        transient: error.as_db_error().is_none(),
    }
}

fn create_table(target: &str, schema: &SchemaRef, write: &Write) -> String {
    let column = |field: &arrow::datatypes::FieldRef| {
        format!("{} {}", quoted(field.name()), sql_type(field.data_type()))
    };
    let mut columns: Vec<String> = schema.fields().iter().map(column).collect();
    if let Write::Upsert(keys) = write {
        let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
        columns.push(format!("primary key ({})", keys.join(", ")));
    }
    format!("create table if not exists {target} ({})", columns.join(", "))
}

fn sql_type(kind: &DataType) -> &'static str {
    match kind {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        _ => "text",
    }
}

fn merge(target: &str, names: &[String], write: &Write) -> String {
    let list = names.join(", ");
    let insert = format!("insert into {target} ({list}) select {list} from {STAGED}");
    let Write::Upsert(keys) = write else {
        return format!("truncate {target}; {insert}");
    };
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    let others: Vec<String> = names
        .iter()
        .filter(|name| !keys.contains(name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let action =
        if others.is_empty() { "nothing".to_owned() } else { format!("update set {}", others.join(", ")) };
    format!("{insert} on conflict ({}) do {action}", keys.join(", "))
}

async fn copy_in(
    transaction: &Transaction<'_>,
    target: &str,
    list: &str,
    table: &str,
    mut rows: BatchStream,
) -> Result<u64, CopyError> {
    let failed = |error: tokio_postgres::Error| write_error(table, &error);
    let sink = transaction
        .copy_in::<_, Bytes>(&format!("copy {target} ({list}) from stdin"))
        .await
        .map_err(failed)?;
    let mut sink = Box::pin(sink);
    while let Some(batch) = rows.batches.next().await {
        // A sink that is dropped unfinished makes the server forget the rows.
        let batch = batch.map_err(|error| CopyError::read("the source", &error))?;
        let text = copy_text(&batch).map_err(|error| CopyError::write(table, &error))?;
        sink.send(Bytes::from(text)).await.map_err(failed)?;
    }
    sink.as_mut().finish().await.map_err(failed)
}

/// Rows in the text format of COPY: tabs between cells, `\N` for null, a backslash before what would be taken for structure.
fn copy_text(batch: &RecordBatch) -> Result<String, arrow::error::ArrowError> {
    let options = FormatOptions::default();
    let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let (mut text, mut cell) = (String::new(), String::new());
    for row in 0..batch.num_rows() {
        for (index, (column, formatter)) in batch.columns().iter().zip(&formatters).enumerate() {
            if index > 0 {
                text.push('\t');
            }
            if column.is_null(row) {
                text.push_str("\\N");
                continue;
            }
            cell.clear();
            write!(cell, "{}", formatter.value(row))
                .map_err(|error| arrow::error::ArrowError::CastError(error.to_string()))?;
            for character in cell.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '\t' => text.push_str("\\t"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    other => text.push(other),
                }
            }
        }
        text.push('\n');
    }
    Ok(text)
}
