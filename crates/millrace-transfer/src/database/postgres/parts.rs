//! How a read is divided: by ranges of a column, by a hash, or by the table's pages.

use tokio_postgres::types::Type;

use super::{Connected, failed, message};
use crate::database::ranges::{self, not_divided};
use crate::database::{Dialect, Division, Reading};
use crate::error::CopyError;

/// Pages of a part, 16 MB.
const PAGES: i64 = 2048;

/// The conditions of the parts, in the order in which their rows come; none if it is not worth while.
pub(super) async fn of(leader: &Connected, reading: &Reading, from: &str) -> Result<Vec<String>, CopyError> {
    let Some((division, parts)) = reading.division()? else { return pages(leader, reading).await };
    match division {
        Division::Column(column) => {
            ranges_of(leader, reading, from, &Dialect::Postgres.quoted(column), parts).await
        }
        Division::Hash(expression) => {
            let part = |part: usize| {
                format!("coalesce(abs(hashtextextended(({expression})::text, 0) % {parts}), 0) = {part}")
            };
            Ok((0..parts).map(part).collect())
        }
    }
}

/// Ranges of the pages of a large table, in the order in which they lie.
async fn pages(leader: &Connected, reading: &Reading) -> Result<Vec<String>, CopyError> {
    let table = reading.relation.trim();
    if table.starts_with('(') || reading.connections < 2 {
        return Ok(Vec::new());
    }
    // Before version 14 a range of pages is looked for in all of them; partitions and views have none of their own.
    let sql = "select pg_relation_size(oid) / current_setting('block_size')::int8 from pg_class \
               where oid = to_regclass($1) and relkind in ('r', 'm') and not relhassubclass \
               and current_setting('server_version_num')::int4 >= 140000";
    let quoted = Dialect::Postgres.table(table);
    let row = leader.client.query_opt(sql, &[&quoted]).await.map_err(|error| failed(table, &error))?;
    let size = row.and_then(|row| row.try_get::<_, i64>(0).ok()).unwrap_or(0);
    let starts: Vec<i64> = (0..size).step_by(PAGES as usize).collect();
    if starts.len() < 2 {
        return Ok(Vec::new());
    }
    let last = starts.last().copied();
    let part = |start: &i64| match Some(*start) == last {
        true => format!("ctid >= '({start},0)'"),
        false => format!("ctid >= '({start},0)' and ctid < '({},0)'", start + PAGES),
    };
    Ok(starts.iter().map(part).collect())
}

/// Ranges of equal width between the least and the greatest value.
async fn ranges_of(
    leader: &Connected,
    reading: &Reading,
    from: &str,
    column: &str,
    parts: usize,
) -> Result<Vec<String>, CopyError> {
    let described = leader.client.prepare(&format!("select {column} from {from}")).await;
    let described = described.map_err(|error| failed(&reading.relation, &error))?;
    let integer = matches!(
        described.columns().first().map(|column| column.type_().clone()),
        Some(Type::INT2 | Type::INT4 | Type::INT8)
    );
    // `numeric` so that the product has room; what is no integer is taken as it is.
    let (cast, round) = if integer { ("::numeric", "floor") } else { ("", "") };
    let sql = format!(
        "select quote_literal({round}(lo + (hi - lo) * part / {parts})::text) \
         from (select min(x){cast} as lo, max(x){cast} as hi from (select {column} as x from {from}) v) b, \
         generate_series(1, {parts} - 1) part"
    );
    let rows = leader.client.query(&sql, &[]).await;
    let rows = rows.map_err(|error| not_divided(&reading.relation, column, &message(&error)))?;
    let bounds: Vec<String> =
        rows.iter().filter_map(|row| row.try_get::<_, Option<String>>(0).ok()?).collect();
    Ok(ranges::conditions(column, &bounds))
}
