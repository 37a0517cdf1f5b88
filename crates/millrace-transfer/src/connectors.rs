//! The registry of connectors: what `millrace explain` prints about each.

use indexmap::IndexMap;
use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::columns::ColumnType;
use crate::s3::S3Connection;
use crate::source::postgres::PostgresConnection;

/// Reads and writes text files with a delimiter, also compressed with gzip or zstd.
///
/// Types are inferred from the first 10,000 rows unless `columns:` declares them. A bad row fails the copy, or is set aside with
/// `on_error: reject`.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the fields are there for their documentation; the step's config holds them")]
struct Csv {
    /// One ASCII character, or `tab`.
    delimiter: Option<String>,
    /// Whether the first row names the columns.
    header: Option<bool>,
    /// Types of columns by name.
    columns: Option<IndexMap<String, ColumnType>>,
    /// Texts that mean null, beside the empty one.
    null_values: Option<Vec<String>>,
}

/// Reads and writes files with one JSON object a line, also compressed with gzip or zstd.
#[derive(Debug, Deserialize, JsonSchema)]
struct Jsonl {}

/// Reads and writes Apache Parquet files.
#[derive(Debug, Deserialize, JsonSchema)]
struct Parquet {}

/// Reads files from web servers.
#[derive(Debug, Deserialize, JsonSchema)]
struct Http {}

/// Every connector. A new one: a source or a sink beside the others, and a line here.
pub fn connectors() -> Vec<KindDoc> {
    vec![
        KindDoc::of::<Csv>(
            KindFamily::Connector,
            "csv",
            "copy: {from: \"raw/*.csv.gz\", to: \"data:flights\"}\n",
        ),
        KindDoc::of::<Jsonl>(
            KindFamily::Connector,
            "jsonl",
            "copy: {from: raw/events.jsonl, to: \"data:events\"}\n",
        ),
        KindDoc::of::<Parquet>(
            KindFamily::Connector,
            "parquet",
            "copy: {from: \"data:flights\", to: out/flights.parquet}\n",
        ),
        KindDoc::of::<Http>(
            KindFamily::Connector,
            "http",
            "copy: {from: \"https://example.org/rows.csv\", to: \"data:rows\"}\n",
        ),
        KindDoc::of::<S3Connection>(
            KindFamily::Connector,
            "s3",
            "copy: {from: \"lake:raw/*.csv.zst\", to: \"data:flights\"}\n",
        ),
        KindDoc::of::<PostgresConnection>(
            KindFamily::Connector,
            "postgres",
            "copy: {from: \"shop:public.orders\", to: \"data:orders\"}\n",
        ),
    ]
}
