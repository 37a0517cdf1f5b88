//! ODBC: databases by their drivers. What it takes to be built in links unixODBC, so it is behind the feature `odbc`.

#[cfg(feature = "odbc")]
#[path = "odbc/driver.rs"]
mod driver;

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Origin;
use super::settings::{Hidden, Kind, Settings};

/// The kind of connection `odbc`.
pub(super) const KIND: Kind = Kind::of::<OdbcConnection>(
    "copy: {from: \"erp:(select * from SALES.ORDERS where DAY > '2026-01-01')\", to: \"data:orders\"}\n",
);

/// Bytes of a text that is read, if its column does not say how long it may be.
#[cfg(feature = "odbc")]
const LONGEST_TEXT: usize = 64 * 1024;

/// Reads and writes tables through an ODBC driver: Db2, Oracle, SQL Server, Teradata, HANA, Impala and whatever else has one.
///
/// In connections.yaml: `erp: {odbc: {connection: "Driver={IBM DB2 ODBC DRIVER};Hostname=erp;Database=PROD;Uid=reader", password: "${{ secrets.erp }}"}}`;
/// the driver is one that unixODBC knows (`odbcinst -q -d`). `erp:SALES.ORDERS` is a table, `erp:(select …)` a query in the database's own SQL; `where`
/// chooses rows here. A table that is there is written with `write: append` or `overwrite`, in one transaction and once for a step, which a table
/// `millrace_odbc_loads` remembers; `pre_sql` may make the table. Millrace has this in builds with the feature `odbc`, which need unixODBC to run:
/// `cargo build --release --features odbc`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "odbc"), allow(dead_code, reason = "a build without drivers says that it has none"))]
pub(crate) struct OdbcConnection {
    /// The connection string, without the password: `Driver={…};Server=…`, or `DSN=…`.
    connection: String,
    /// The password, usually `${{ secrets.… }}`; it is added as `Pwd`.
    #[serde(default)]
    password: Option<Hidden>,
    /// Bytes of a text or of binary data that is read, where the driver does not say how long one may be: 64 KiB if absent. A longer value fails
    /// the copy.
    #[serde(default)]
    longest_value: Option<std::num::NonZeroUsize>,
}

impl Settings for OdbcConnection {
    const WORD: &'static str = "odbc";
    const EXAMPLE: &'static str = "{connection: \"Driver={SQLite3};Database=data/shop.db\"}";
    const TAKES_ROWS: bool = true;

    #[cfg(not(feature = "odbc"))]
    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        Err("this build of Millrace has no ODBC; make one with `cargo build --release --features odbc`"
            .to_owned())
    }

    #[cfg(feature = "odbc")]
    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        if !self.connection.contains('=') {
            return Err(
                "`connection` is a connection string such as `Driver={SQLite3};Database=…`".to_owned()
            );
        }
        let password = self.password.map(|password| password.0);
        // In braces anything may stand; a brace that closes is doubled.
        let opened = password.as_ref().map(|word| format!(";Pwd={{{}}}", word.replace('}', "}}")));
        let connection = format!("{}{}", self.connection.trim_end_matches(';'), opened.unwrap_or_default());
        let longest = self.longest_value.map_or(LONGEST_TEXT, std::num::NonZeroUsize::get);
        Ok(Box::new(driver::Odbc { connection, longest, secrets: password.into_iter().collect() }))
    }
}
