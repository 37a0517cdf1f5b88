//! The registry of connectors: what `millrace explain` prints about each.

use millrace_contract::{KindDoc, KindFamily};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::format::Format;
use crate::s3::S3Connection;
use crate::source::postgres::PostgresConnection;

/// Reads files from web servers.
#[derive(Debug, Deserialize, JsonSchema)]
struct Http {}

/// Every connector. A new one: a source or a sink beside the others, and a line here; a new format has its line in [`Format`].
pub fn connectors() -> Vec<KindDoc> {
    let mut docs: Vec<KindDoc> = Format::ALL.iter().map(|format| format.of().doc()).collect();
    docs.extend([
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
    ]);
    docs
}
