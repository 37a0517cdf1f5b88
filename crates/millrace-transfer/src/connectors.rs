//! The registry of connectors: what `millrace explain` prints about each.

use millrace_contract::{KindDoc, KindFamily};

use crate::copy::DeltaTable;
use crate::database::mysql::MysqlConnection;
use crate::database::postgres::PostgresConnection;
use crate::database::sqlite::SqliteConnectionSettings;
use crate::format::Format;
use crate::iceberg::IcebergTable;
use crate::origin;
use crate::store::KINDS;

/// Every connector. A new one: a source or a sink beside the others, and a line here; a new format has its line in [`Format`], a new store in
/// [`KINDS`], a new system that gives rows in [`origin::KINDS`].
pub fn connectors() -> Vec<KindDoc> {
    let mut docs: Vec<KindDoc> = Format::ALL.iter().map(|format| format.of().doc()).collect();
    docs.extend(KINDS.iter().map(|kind| kind.doc()));
    docs.extend([
        KindDoc::of::<PostgresConnection>(
            KindFamily::Connector,
            "postgres",
            "copy: {from: \"shop:public.orders\", to: \"data:orders\"}\n",
        ),
        KindDoc::of::<MysqlConnection>(
            KindFamily::Connector,
            "mysql",
            "copy: {from: \"shop:orders\", to: \"data:orders\"}\n",
        ),
        KindDoc::of::<SqliteConnectionSettings>(
            KindFamily::Connector,
            "sqlite",
            "copy: {from: \"data:orders\", to: \"local:orders\"}\n",
        ),
    ]);
    docs.push(KindDoc::of::<DeltaTable>(
        KindFamily::Connector,
        "delta",
        "copy: {from: \"delta:s3://lake/orders@12\", to: \"delta:lake/orders\", write: {upsert: [id]}}\n",
    ));
    docs.push(KindDoc::of::<IcebergTable>(
        KindFamily::Connector,
        "iceberg",
        "copy: {from: \"iceberg:s3://lake/orders\", where: \"day >= '2026-03-01'\", to: \"data:orders\"}\n",
    ));
    docs.extend(origin::KINDS.iter().map(|kind| kind.doc()));
    docs
}
