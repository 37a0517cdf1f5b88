//! The files behind a flow's inputs, as Spark reads them.

use arrow::datatypes::{DataType, Schema};
use indexmap::IndexMap;
use millrace_contract::{QueryError, RemoteView, TableRef};

use super::casts::{Unfit, cast};
use super::types::{is_text, word};
use super::{Untranslated, quoted};
use crate::engine::DataFusionEngine;

/// How an input is read over there.
pub(crate) struct InputView {
    /// The files; `None` if there are none.
    pub(crate) view: Option<RemoteView>,
    /// What is selected of it, if its columns are not yet what they are here.
    pub(crate) select: Option<String>,
}

/// The view that an input becomes, of that name. `schema` is what the local engine reads. For a run, a version of a table of Delta's is named by
/// its files, so that the other engine need not know Delta; a script to keep names the table.
///
/// # Errors
/// If the table cannot be opened, or has a column of a type that Spark does not have.
pub(crate) async fn input_view(
    engine: &DataFusionEngine,
    name: &str,
    table: &TableRef,
    schema: &Schema,
    is_run: bool,
) -> Result<Result<InputView, Untranslated>, QueryError> {
    let files = match table {
        TableRef::Delta { uri, version } if is_run => {
            crate::delta::plain_addresses(engine, uri, *version).await?
        }
        _ => None,
    };
    Ok(view(name, table, schema, files))
}

/// The same, knowing the files of a table of Delta's that is nothing but those.
fn view(
    name: &str,
    table: &TableRef,
    schema: &Schema,
    files: Option<Vec<String>>,
) -> Result<InputView, Untranslated> {
    let one = |uri: &str| vec![uri.to_owned()];
    let (format, paths, options) = match (table, files) {
        // A version of which nothing is left but its columns.
        (TableRef::Delta { .. }, Some(files)) if files.is_empty() => {
            return Ok(InputView { view: None, select: Some(no_rows(schema)?) });
        }
        (TableRef::Delta { .. }, Some(files)) => ("parquet", files, Vec::new()),
        (TableRef::Delta { uri, version }, None) => {
            ("delta", one(uri), vec![("versionAsOf", version.to_string())])
        }
        (TableRef::Parquet { uri }, _) => ("parquet", one(uri), Vec::new()),
        (TableRef::Json { uri }, _) => {
            if uri.ends_with(".json") {
                return Err(Untranslated::new(format!(
                    "`{uri}` may be one document, which Spark does not read"
                ))
                .hinted("name files of an object a line `.jsonl`"));
            }
            ("json", one(uri), vec![("mode", "FAILFAST".to_owned())])
        }
        (TableRef::Csv { uri }, _) => {
            let options = [
                ("header", "true"),
                ("quote", "\""),
                ("escape", "\""),
                ("multiLine", "true"),
                ("mode", "FAILFAST"),
            ];
            ("csv", one(uri), options.map(|(key, value)| (key, value.to_owned())).to_vec())
        }
    };
    let declared = match format {
        // As text: what the local engine takes for a number decides, not the reader over there.
        "csv" => Some(columns(schema, |_| Ok("string".to_owned()))?),
        "json" => Some(columns(schema, word)?),
        // Older files lack the columns that were added since.
        "parquet" if matches!(table, TableRef::Delta { .. }) => Some(columns(schema, word)?),
        _ => None,
    };
    let select = match format {
        "csv" => Some(from_text(name, schema)?),
        _ => as_here(name, schema)?,
    };
    let options: IndexMap<String, String> =
        options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(InputView {
        view: Some(RemoteView { name: name.to_owned(), format, paths, schema: declared, options }),
        select,
    })
}

fn columns(schema: &Schema, word: impl Fn(&DataType) -> super::Translated) -> super::Translated {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let of_column = |error: Untranslated| error.of_column(field.name());
        Ok(format!("{} {}", quoted(field.name()), word(field.data_type()).map_err(of_column)?))
    };
    Ok(schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// Columns of text as what they are here; an empty cell is no value.
fn from_text(name: &str, schema: &Schema) -> super::Translated {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let column = quoted(field.name());
        let kind = field.data_type();
        let value = format!("nullif({column}, '')");
        Ok(if is_text(kind) {
            format!("{value} as {column}")
        } else if matches!(kind, DataType::Timestamp(_, None) | DataType::Date32) {
            format!("{} as {column}", cast(&value, &DataType::Utf8, kind, Unfit::Fails)?)
        } else {
            format!(
                "cast({value} as {}) as {column}",
                word(kind).map_err(|error| error.of_column(field.name()))?
            )
        })
    };
    let list = schema.fields().iter().map(column).collect::<Result<Vec<_>, Untranslated>>()?;
    Ok(format!("select {}\nfrom {name}", list.join(", ")))
}

/// The columns, cast where a file may have them in a type that Spark reads as another one.
fn as_here(name: &str, schema: &Schema) -> Result<Option<String>, Untranslated> {
    let mut differ = false;
    let list = schema
        .fields()
        .iter()
        .map(|field| {
            let column = quoted(field.name());
            let there = word(field.data_type()).map_err(|error| error.of_column(field.name()))?;
            Ok(
                if matches!(field.data_type(), DataType::UInt64 | DataType::Timestamp(..) | DataType::Date64)
                {
                    differ = true;
                    format!("cast({column} as {there}) as {column}")
                } else {
                    column
                },
            )
        })
        .collect::<Result<Vec<_>, Untranslated>>()?;
    Ok(differ.then(|| format!("select {}\nfrom {name}", list.join(", "))))
}

fn no_rows(schema: &Schema) -> super::Translated {
    let list = schema
        .fields()
        .iter()
        .map(|field| Ok(format!("cast(null as {}) as {}", word(field.data_type())?, quoted(field.name()))))
        .collect::<Result<Vec<_>, Untranslated>>()?;
    Ok(format!("select {}\nwhere false", list.join(", ")))
}
