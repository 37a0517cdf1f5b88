//! Filling columns from the database, and keeping them as it is.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _};

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::super::document::{Entry, Measure, visit};
use super::super::last_change;
use super::super::packing::Unreadable;
use super::column::{Column, Numbers, Texts};
use super::top::tie_of;
use super::{Basics, ColumnId, Kept, Lifecycle, State};

/// Runs that are read at once. Tests have few and are to read them in several parts too.
const PAGE: i64 = if cfg!(feature = "testing") { 32 } else { 5_000 };
/// Parts that are read at once while columns are filled: each has a connection, and others read beside.
const AT_ONCE: usize = 3;

/// What is read of a run.
struct Change {
    row: usize,
    basics: Option<BasicsOf>,
    cells: Vec<Cell>,
}

struct BasicsOf {
    lifecycle: Lifecycle,
    experiment: i64,
    started: i64,
    ended: Option<i64>,
    tie: u64,
}

#[derive(Clone)]
enum Cell {
    Missing,
    Number(f64),
    Text(String),
}

impl Metastore {
    /// Takes in what changed since the last search, and fills columns that are not there yet.
    ///
    /// # Errors
    /// If the database fails or a document is damaged.
    pub(super) async fn bring_up_to_date(&self, used: &[ColumnId]) -> Result<(), MetastoreError> {
        let index = self.index();
        let _one_at_a_time = index.loading.lock().await;
        // Read before anything else: what changes meanwhile is taken in by the next search, perhaps for the second time.
        let (clock, trimmed) = self.read(|session| Box::pin(clock(session))).await?;
        // Who comes after what is gone was forgotten begins anew.
        let seen = index.read().seen.filter(|seen| *seen >= trimmed);
        if let Some(seen) = seen.filter(|seen| clock > *seen) {
            let kept: Vec<ColumnId> = index.read().columns.keys().copied().collect();
            self.take_changed(seen, kept).await?;
            // After what changed: a run that was read above may be gone by now.
            self.take_gone(seen).await?;
        }
        let missing: Vec<ColumnId> = {
            let state = index.read();
            let is_missing = |id: &&ColumnId| seen.is_none() || !state.columns.contains_key(id);
            used.iter().filter(is_missing).copied().collect()
        };
        if seen.is_none() || !missing.is_empty() {
            // Beside the others, which whoever waits too long may leave at any moment: none is ever there half-filled.
            let filled = self.fill(seen.is_none(), missing).await?;
            index.write().adopt(filled, seen.is_none());
        }
        let mut state = index.write();
        state.seen = Some(clock);
        for id in used {
            if let Some(Kept { column: Column::Texts(texts), .. }) = state.columns.get_mut(id) {
                texts.rank();
            }
        }
        Ok(())
    }

    /// Takes out the runs that are gone for good.
    async fn take_gone(&self, seen: i64) -> Result<(), MetastoreError> {
        let gone = self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT run FROM tracked_gone WHERE changed > $1";
                let rows = session.fetch_all(sql, &[seen.into()]).await?;
                rows.iter().map(|row| row.int("run")).collect::<Result<Vec<_>, _>>()
            })
        });
        let gone = gone.await?;
        self.index().write().basics.remove(&gone);
        Ok(())
    }

    /// Reads the runs that changed since, into the columns that are there.
    async fn take_changed(&self, seen: i64, columns: Vec<ColumnId>) -> Result<(), MetastoreError> {
        let reading = Arc::new(Reading::of(true, columns));
        let mut after = (seen, i64::MAX);
        loop {
            let (select, (changed, number)) = (reading.select(), after);
            let rows = self.read(move |session| {
                Box::pin(async move {
                    let sql = format!(
                        "{select} WHERE changed >= $1 AND (changed > $1 OR number > $2) ORDER BY changed, number LIMIT {PAGE}"
                    );
                    session.fetch_all(&sql, &[changed.into(), number.into()]).await
                })
            });
            let rows = rows.await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.int("changed")?, last.int("number")?);
            let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == PAGE;
            let (index, reading) = (self.index(), reading.clone());
            let take = move || -> Result<(), MetastoreError> {
                let changes = rows.iter().map(|row| reading.change(row)).collect::<Result<Vec<_>, _>>()?;
                index.write().take(changes, &reading.columns);
                Ok(())
            };
            let taken = tokio::task::spawn_blocking(take).await;
            taken.map_err(|_| MetastoreError::stale("filling a column panicked"))??;
            if !full {
                return Ok(());
            }
        }
    }

    /// Columns over all runs that there are now.
    async fn fill(&self, basics: bool, columns: Vec<ColumnId>) -> Result<State, MetastoreError> {
        let sql = "SELECT COALESCE(MAX(number), 0) AS last FROM tracked_run";
        let last = self.read(move |session| Box::pin(async move { session.fetch_optional(sql, &[]).await }));
        let last = last.await?.map_or(Ok(0), |row| row.int("last"))?;
        let reading = Arc::new(Reading::of(basics, columns));
        let mut empty = State::default();
        for id in &reading.columns {
            empty.column(*id);
        }
        let filled = Arc::new(Mutex::new(empty));
        let mut parts = Vec::new();
        let mut first = 0;
        while first < last {
            parts.push(first);
            first += PAGE;
        }
        let parts = futures::stream::iter(parts).map(|first| self.fill_part(first, &reading, &filled));
        parts.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        let mut filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *filled))
    }

    /// Fills columns over the runs after a number.
    async fn fill_part(
        &self,
        first: i64,
        reading: &Arc<Reading>,
        filled: &Arc<Mutex<State>>,
    ) -> Result<(), MetastoreError> {
        let sql = format!("{} WHERE number > $1 AND number <= $2", reading.select());
        let rows = self.read(move |session| {
            Box::pin(async move {
                let args: [Value<'_>; 2] = [first.into(), (first + PAGE).into()];
                session.fetch_all(&sql, &args).await
            })
        });
        let (rows, reading, filled) = (rows.await?, reading.clone(), filled.clone());
        let take = move || -> Result<(), MetastoreError> {
            let changes = rows.iter().map(|row| reading.change(row)).collect::<Result<Vec<_>, _>>()?;
            drop(rows);
            filled.lock().unwrap_or_else(PoisonError::into_inner).take(changes, &reading.columns);
            Ok(())
        };
        let taken = tokio::task::spawn_blocking(take).await;
        taken.map_err(|_| MetastoreError::stale("filling a column panicked"))?
    }
}

/// The last change, and the last one whose runs that went with it are forgotten.
async fn clock(session: &mut Session) -> Result<(i64, i64), MetastoreError> {
    let last = last_change(session);
    let sql = format!("SELECT {last} AS changed, trimmed FROM tracked_clock WHERE id = 1");
    let row = session.fetch_optional(&sql, &[]).await?;
    let row = row.ok_or_else(|| MetastoreError::stale("the clock of changes is gone"))?;
    Ok((row.int("changed")?, row.int("trimmed")?))
}

/// What is read of the table, and where it stands in a row. A million rows are read by places, not by names.
#[derive(Debug, Default)]
struct Reading {
    columns: Vec<ColumnId>,
    /// What is wanted of documents, sorted: its family and key, the column, what of a metric.
    wanted: Vec<((u8, u32), usize, Measure)>,
    /// Place of the first of the basics.
    basics: Option<usize>,
    document: Option<usize>,
    name: Option<usize>,
    status: Option<usize>,
    user: Option<usize>,
    parent: Option<usize>,
}

/// The number of the run and that of its last change.
const FIRST: &str = "SELECT number, changed";

impl Reading {
    fn of(basics: bool, columns: Vec<ColumnId>) -> Self {
        let mut wanted = Vec::new();
        let (mut name, mut status, mut user, mut parent) = (false, false, false, false);
        for (at, id) in columns.iter().enumerate() {
            match id {
                ColumnId::Metric(key, measure) => wanted.push(((0, *key), at, *measure)),
                ColumnId::Param(key) => wanted.push(((1, *key), at, Measure::Latest)),
                ColumnId::Tag(key) => wanted.push(((2, *key), at, Measure::Latest)),
                ColumnId::Name => name = true,
                ColumnId::Status => status = true,
                ColumnId::User => user = true,
                ColumnId::Parent => parent = true,
            }
        }
        wanted.sort_unstable_by_key(|(id, at, _)| (*id, *at));
        let document = !wanted.is_empty();
        let mut next = 2;
        let mut place = |wanted: bool, columns: usize| {
            let here = wanted.then_some(next);
            next += if wanted { columns } else { 0 };
            here
        };
        Self {
            basics: place(basics, 5),
            document: place(document, 1),
            name: place(name, 1),
            status: place(status, 1),
            user: place(user, 1),
            parent: place(parent, 1),
            columns,
            wanted,
        }
    }

    fn select(&self) -> String {
        let parts = [
            (self.basics, ", id, experiment_id, lifecycle, started_at, ended_at"),
            (self.document, ", document"),
            (self.name, ", name"),
            (self.status, ", status"),
            (self.user, ", user_id"),
            (self.parent, ", parent_id"),
        ];
        let parts: String =
            parts.into_iter().filter(|(place, _)| place.is_some()).map(|(_, part)| part).collect();
        format!("{FIRST}{parts} FROM tracked_run")
    }

    fn change(&self, row: &Row) -> Result<Change, MetastoreError> {
        let number = usize::try_from(row.int_at(0)?.unwrap_or_default()).unwrap_or_default();
        let basics = self.basics.map(|place| basics_of(row, place)).transpose()?;
        let mut cells = vec![Cell::Missing; self.columns.len()];
        for (id, cell) in self.columns.iter().zip(&mut cells) {
            let place = match id {
                ColumnId::Name => self.name,
                ColumnId::Status => self.status,
                ColumnId::User => self.user,
                ColumnId::Parent => self.parent,
                ColumnId::Metric(..) | ColumnId::Param(_) | ColumnId::Tag(_) => None,
            };
            if let Some(place) = place {
                *cell = row.text_at(place)?.map_or(Cell::Missing, |text| Cell::Text(text.to_owned()));
            }
        }
        if let Some(place) = self.document {
            self.read_document(row.bytes_at(place)?.unwrap_or_default(), &mut cells)?;
        }
        Ok(Change { row: number, basics, cells })
    }

    fn read_document(&self, bytes: &[u8], cells: &mut [Cell]) -> Result<(), Unreadable> {
        visit(bytes, |entry| {
            let id = match &entry {
                Entry::Metric(key, _) => (0, *key),
                Entry::Param(key, _) => (1, *key),
                Entry::Tag(key, _) => (2, *key),
            };
            let from = self.wanted.partition_point(|(wanted, ..)| *wanted < id);
            let same = self.wanted.iter().skip(from).take_while(|(wanted, ..)| *wanted == id);
            for (_, at, measure) in same {
                if let Some(cell) = cells.get_mut(*at) {
                    *cell = match &entry {
                        Entry::Metric(_, metric) => Cell::Number(metric.measure(*measure)),
                        Entry::Param(_, text) | Entry::Tag(_, text) => Cell::Text((*text).to_owned()),
                    };
                }
            }
        })
    }
}

/// From this place on: id, experiment, lifecycle, start, end.
fn basics_of(row: &Row, place: usize) -> Result<BasicsOf, MetastoreError> {
    let is_active = row.text_at(place + 2)? == Some("active");
    Ok(BasicsOf {
        lifecycle: if is_active { Lifecycle::Active } else { Lifecycle::Deleted },
        experiment: row.int_at(place + 1)?.unwrap_or(i64::MIN),
        started: row.int_at(place + 3)?.unwrap_or_default(),
        ended: row.int_at(place + 4)?,
        tie: tie_of(row.text_at(place)?.unwrap_or_default()),
    })
}

impl State {
    /// Takes in columns that were filled beside; `anew`: with what all columns need, in place of everything.
    fn adopt(&mut self, filled: Self, anew: bool) {
        if anew {
            self.basics = filled.basics;
            self.columns.clear();
        }
        let used = self.searches;
        self.columns.extend(filled.columns.into_iter().map(|(id, kept)| (id, Kept { used, ..kept })));
    }

    fn column(&mut self, id: ColumnId) -> &mut Column {
        let used = self.searches;
        let empty = || match id {
            ColumnId::Metric(..) => Column::Numbers(Numbers::default()),
            _ => Column::Texts(Texts::default()),
        };
        &mut self.columns.entry(id).or_insert_with(|| Kept { column: empty(), used }).column
    }

    fn take(&mut self, changes: Vec<Change>, columns: &[ColumnId]) {
        for change in &changes {
            if let Some(basics) = &change.basics {
                self.basics.set(change.row, basics);
            }
        }
        for (at, id) in columns.iter().enumerate() {
            let column = self.column(*id);
            for change in &changes {
                match (&mut *column, change.cells.get(at)) {
                    (Column::Numbers(numbers), Some(Cell::Number(number))) => {
                        numbers.set(change.row, Some(*number));
                    }
                    (Column::Numbers(numbers), _) => numbers.set(change.row, None),
                    (Column::Texts(texts), Some(Cell::Text(text))) => texts.set(change.row, Some(text)),
                    (Column::Texts(texts), _) => texts.set(change.row, None),
                }
            }
        }
    }
}

impl Basics {
    /// Makes these runs absent; no search looks at their columns any more, and their numbers never come again.
    fn remove(&mut self, runs: &[i64]) {
        for run in runs {
            let place = usize::try_from(*run).ok().and_then(|row| self.lifecycle.get_mut(row));
            if let Some(lifecycle) = place {
                *lifecycle = Lifecycle::Absent;
            }
        }
    }

    fn set(&mut self, row: usize, basics: &BasicsOf) {
        if row >= self.lifecycle.len() {
            let length = row + 1;
            self.lifecycle.resize(length, Lifecycle::Absent);
            self.experiment.resize(length, i64::MIN);
            self.started.resize(length, 0);
            self.ended.resize(length, None);
            self.tie.resize(length, 0);
        }
        let places = (
            self.lifecycle.get_mut(row),
            self.experiment.get_mut(row),
            self.started.get_mut(row),
            self.ended.get_mut(row),
            self.tie.get_mut(row),
        );
        if let (Some(lifecycle), Some(experiment), Some(started), Some(ended), Some(tie)) = places {
            *lifecycle = basics.lifecycle;
            *experiment = basics.experiment;
            *started = basics.started;
            *ended = basics.ended;
            *tie = basics.tie;
        }
    }
}
