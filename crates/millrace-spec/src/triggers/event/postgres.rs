use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventKind, EventSpec};
use crate::problem::Problem;

/// What a PostgreSQL server is told by `NOTIFY`, each notification to one run.
///
/// `event.data` is the payload, read as JSON, else as text; `event.message` has the `subject` (the channel). PostgreSQL keeps no notification
/// for who is not listening: what is told while this server, or its connection, is down is gone. With `table` and `cursor` nothing is
/// lost: rows of the table are the events, `event.data` is a row, and a notification only says that it is time to look. Rows are read
/// in the order of `cursor`, a column that only grows; a row whose transaction commits after one with a greater value was read is
/// passed over, so writers of one table take turns, or the value is given at commit.
///
/// `connection` names one of connections.yaml: `shop: {postgres: {url: "postgres://reader@host/shop", password: "${{ secrets.shop }}"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresChannel {
    /// Name of the channel of `NOTIFY`.
    pub postgres: String,
    /// Name of the connection.
    pub connection: String,
    /// Table whose new rows are the events, `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Column of the table that grows with each row: a number or a time. What is there when the trigger is written starts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl EventKind for PostgresChannel {
    const WORD: &'static str = "postgres";
    const EXAMPLE: &'static str =
        "{postgres: orders_changed, connection: shop, table: public.outbox, cursor: id}";

    fn into_spec(self) -> EventSpec {
        EventSpec::Postgres(self)
    }

    fn mistakes(&self) -> Vec<(&'static str, Problem)> {
        match (&self.table, &self.cursor) {
            (Some(_), None) => {
                let problem =
                    Problem::error("no-cursor", "`table` without `cursor`: new rows cannot be told");
                vec![("table", problem.hint("name the column that grows with each row: `cursor: id`"))]
            }
            (None, Some(_)) => {
                let problem =
                    Problem::error("no-table", "`cursor` is a column of `table`, which is not given");
                vec![("cursor", problem.hint("name the table: `table: public.outbox`"))]
            }
            _ => Vec::new(),
        }
    }
}
