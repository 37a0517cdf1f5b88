//! Searching runs: filters and orders over columns in memory, a page of documents from the database.
//!
//! No database answers "the 100 best by one metric of those where another one is above a bound" among a million runs without reading them
//! all. So a search keeps what it compares in memory, 8 bytes a run and metric, 4 a parameter: built when it is first asked for, brought
//! up to date by what changed since (`tracked_clock`), dropped when room is short. The database stays the truth; whatever process wrote to
//! it is seen. The plain list of an experiment's newest runs needs none of this: there is an index for it.

mod column;
mod evaluate;
mod group;
mod load;
mod plan;
mod rows;
mod top;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Metastore, MetastoreError, Session, Value};

use self::column::Column;
use super::document::Measure;
use super::query::{Attribute, Cursor, Field, Key, Order, Query, View};
use super::{Keys, Refusal, SELECT_RUN, TrackedRunRow, placeholders, run_rows};

pub use group::{RunGroup, Spread};

/// Bytes of columns that are kept for later searches.
const ROOM: usize = 512 * 1024 * 1024;
/// Rows in one statement.
const CHUNK: usize = 500;

/// Runs that a search found.
#[derive(Debug, Clone, Default)]
pub struct FoundRuns {
    /// A page of them.
    pub rows: Vec<TrackedRunRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// How many there are in all, if that was asked for.
    pub total: Option<u64>,
}

/// Columns of all runs.
#[derive(Debug, Default)]
pub(crate) struct RunIndex {
    state: RwLock<State>,
    /// One search at a time brings the columns up to date; the others find them so.
    loading: tokio::sync::Mutex<()>,
}

/// Which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum ColumnId {
    Metric(u32, Measure),
    Param(u32),
    Tag(u32),
    Name,
    Status,
    User,
    Parent,
}

/// What every search needs of a run, by its number; a number without a run has no lifecycle.
#[derive(Debug, Default)]
struct Basics {
    lifecycle: Vec<Lifecycle>,
    experiment: Vec<i64>,
    /// Microseconds since 1970.
    started: Vec<i64>,
    /// Microseconds since 1970.
    ended: Vec<Option<i64>>,
    /// The beginning of the run's id as a number, by which ties are decided as by the id.
    tie: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Lifecycle {
    #[default]
    Absent,
    Active,
    Deleted,
}

#[derive(Debug, Default)]
struct State {
    /// The last change that was taken in; `None` before the first load.
    seen: Option<i64>,
    basics: Basics,
    columns: HashMap<ColumnId, Kept>,
    searches: u64,
}

#[derive(Debug)]
struct Kept {
    column: Column,
    /// The search that used it last.
    used: u64,
}

impl RunIndex {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metastore {
    /// Runs by a filter, in an order, and where the next page begins. `count`: whether to say how many there are in all.
    ///
    /// # Errors
    /// [`Refusal::ForeignToken`] if the cursor is not of this query; if the database fails.
    pub async fn search_runs(&self, query: Query, count: bool) -> Result<FoundRuns, MetastoreError> {
        if !query.everywhere && query.experiments.is_empty() {
            return Ok(FoundRuns { total: count.then_some(0), ..FoundRuns::default() });
        }
        match Newest::of(&query) {
            Some(newest) => self.newest_runs(newest, query.limit, count).await,
            None => self.search_columns(query, count).await,
        }
    }

    async fn newest_runs(
        &self,
        newest: Newest,
        limit: i64,
        count: bool,
    ) -> Result<FoundRuns, MetastoreError> {
        let keys = self.keys();
        let limit = limit.max(1);
        self.read(move |session| {
            Box::pin(async move {
                let mut args: Vec<Value<'_>> = vec![newest.experiment.into(), newest.lifecycle.into()];
                let mut beyond = "";
                if let Some((started, id)) = &newest.after {
                    args.extend([(*started).into(), id.into()]);
                    // The first comparison is for the index, the second one for the truth.
                    beyond = " AND this.started_at <= $3 AND (this.started_at < $3 OR this.id > $4)";
                }
                let sql = format!(
                    "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id \
                     WHERE this.experiment_id = $1 AND this.lifecycle = $2{beyond} ORDER BY this.started_at DESC, this.id LIMIT {}",
                    limit.saturating_add(1)
                );
                let rows = session.fetch_all(&sql, &args).await?;
                let mut rows = run_rows(session, &keys, &rows).await?;
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = rows.len() > limit;
                rows.truncate(limit);
                let next = rows.last().filter(|_| more).map(|row| newest.cursor(row));
                let total = if count { Some(newest.count(session).await?) } else { None };
                Ok(FoundRuns { rows, next, total })
            })
        })
        .await
    }

    async fn search_columns(&self, query: Query, count: bool) -> Result<FoundRuns, MetastoreError> {
        let keys = self.keys();
        let planned = self
            .read({
                let (keys, query) = (keys.clone(), query.clone());
                move |session| Box::pin(async move { plan::plan(session, &keys, &query).await })
            })
            .await?;
        let limit = usize::try_from(query.limit.max(1)).unwrap_or(1);
        let after = query.after;
        let find =
            move |state: &State, plan: &plan::Plan| top::find(state, plan, after.as_deref(), limit, count);
        let found = self.over_columns(Arc::new(planned), find).await?.ok_or(Refusal::ForeignToken)?;
        let numbers = found.rows;
        let rows =
            self.read(move |session| Box::pin(async move { page(session, &keys, &numbers).await })).await?;
        let next = match (found.next, rows.last()) {
            (Some(mut cursor), Some(Some(last))) => {
                cursor.push(Key::Text(last.id.clone()));
                Some(cursor)
            }
            // The last one is gone for good since a moment ago; what follows begins anew with the next search.
            _ => None,
        };
        Ok(FoundRuns { rows: rows.into_iter().flatten().collect(), next, total: found.total })
    }

    /// Works on the columns of a plan, brought up to date.
    async fn over_columns<T: Send + 'static>(
        &self,
        planned: Arc<plan::Plan>,
        work: impl Fn(&State, &plan::Plan) -> T + Send + Sync + 'static,
    ) -> Result<T, MetastoreError> {
        let (index, used, work) = (self.index(), planned.columns(), Arc::new(work));
        let done = loop {
            self.bring_up_to_date(&used).await?;
            let (index, planned, work) = (index.clone(), planned.clone(), work.clone());
            // Some milliseconds of arithmetic over every run.
            let done = tokio::task::spawn_blocking(move || {
                let state = index.read();
                let whole = planned.columns().iter().all(|id| state.columns.contains_key(id));
                whole.then(|| work(&state, &planned))
            });
            // Another search may have dropped a column to make room for its own.
            if let Some(done) = done.await.map_err(|_| MetastoreError::stale("a search panicked"))? {
                break done;
            }
        };
        index.write().make_room(&used);
        Ok(done)
    }
}

/// A search that is the list of one experiment's newest runs.
struct Newest {
    experiment: i64,
    lifecycle: &'static str,
    after: Option<(i64, String)>,
    /// Whether the order was asked for, so that its key stands in the cursor.
    ordered: bool,
}

impl Newest {
    fn of(query: &Query) -> Option<Self> {
        let newest = Order { field: Field::Attribute(Attribute::StartTime), ascending: false };
        let ordered = match query.order.as_slice() {
            [] => false,
            [order] if *order == newest => true,
            _ => return None,
        };
        let lifecycle = match query.view {
            View::Active => "active",
            View::Deleted => "deleted",
            View::All => return None,
        };
        let ([experiment], false, true) =
            (query.experiments.as_slice(), query.everywhere, query.filter.is_empty())
        else {
            return None;
        };
        let after = match query.after.as_deref() {
            None => None,
            Some([.., Key::Int(started), Key::Text(id)]) => Some((*started, id.clone())),
            Some(_) => return None,
        };
        // A cursor of another length is refused where all cursors are read.
        let expected = if ordered { 4 } else { 2 };
        let fits = query.after.as_ref().is_none_or(|cursor| cursor.len() == expected);
        fits.then_some(Self { experiment: *experiment, lifecycle, after, ordered })
    }

    /// Reads the index alone.
    async fn count(&self, session: &mut Session) -> Result<u64, MetastoreError> {
        let sql = "SELECT COUNT(*) AS total FROM tracked_run WHERE experiment_id = $1 AND lifecycle = $2";
        let row = session.fetch_optional(sql, &[self.experiment.into(), self.lifecycle.into()]).await?;
        Ok(row.map_or(Ok(0), |row| row.int("total"))?.unsigned_abs())
    }

    fn cursor(&self, row: &TrackedRunRow) -> Cursor {
        let tie = [Key::Int(row.started_at), Key::Text(row.id.clone())];
        let order = [Key::Int(0), Key::Int(row.started_at / 1_000)];
        order.into_iter().filter(|_| self.ordered).chain(tie).collect()
    }
}

/// Runs by their numbers, in this order; `None` for one that is not there any more.
async fn page(
    session: &mut Session,
    keys: &Arc<Keys>,
    numbers: &[i64],
) -> Result<Vec<Option<TrackedRunRow>>, MetastoreError> {
    let mut found: HashMap<i64, TrackedRunRow> = HashMap::with_capacity(numbers.len());
    for numbers in numbers.chunks(CHUNK) {
        let sql = format!(
            "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id WHERE this.number IN ({})",
            placeholders(1, numbers.len())
        );
        let args: Vec<Value<'_>> = numbers.iter().map(|number| (*number).into()).collect();
        let rows = session.fetch_all(&sql, &args).await?;
        let runs = run_rows(session, keys, &rows).await?;
        for (row, run) in rows.iter().zip(runs) {
            found.insert(row.int("number")?, run);
        }
    }
    Ok(numbers.iter().map(|number| found.remove(number)).collect())
}

impl State {
    /// Drops columns that were used longest ago, but none of these, until the rest has room.
    fn make_room(&mut self, used: &[ColumnId]) {
        self.searches += 1;
        for id in used {
            if let Some(kept) = self.columns.get_mut(id) {
                kept.used = self.searches;
            }
        }
        let mut size: usize = self.columns.values().map(|kept| kept.column.size()).sum();
        while size > ROOM {
            let others = self.columns.iter().filter(|(id, _)| !used.contains(id));
            let Some(oldest) = others.min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id) else { return };
            if let Some(kept) = self.columns.remove(&oldest) {
                size -= kept.column.size();
            }
        }
    }
}
