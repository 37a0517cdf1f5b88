//! Filling columns from the database, and keeping them as it is.

use std::collections::BTreeMap;

use crate::{Metastore, MetastoreError, Row, Session, Value};

use super::super::document::{Entry, Measure, visit};
use super::super::packing::Unreadable;
use super::column::{Column, Numbers, Texts};
use super::top::tie_of;
use super::{Basics, ColumnId, Kept, Lifecycle, State};

/// Runs that are read at once.
const PAGE: i64 = 20_000;

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

/// Which runs are read.
#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    ChangedAfter(i64),
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
        match seen {
            None => {
                index.write().start(used);
                self.load(Which::All, true, used).await?;
            }
            Some(seen) => {
                if clock > seen {
                    let kept: Vec<ColumnId> = index.read().columns.keys().copied().collect();
                    self.load(Which::ChangedAfter(seen), true, &kept).await?;
                    // After what changed: a run that was read above may be gone by now.
                    self.take_gone(seen).await?;
                }
                let missing: Vec<ColumnId> = {
                    let state = index.read();
                    used.iter().filter(|id| !state.columns.contains_key(id)).copied().collect()
                };
                if !missing.is_empty() {
                    let filled = self.load(Which::All, false, &missing).await;
                    if filled.is_err() {
                        index.write().columns.retain(|id, _| !missing.contains(id));
                    }
                    filled?;
                }
            }
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

    async fn load(&self, which: Which, basics: bool, columns: &[ColumnId]) -> Result<(), MetastoreError> {
        let index = self.index();
        let mut after = (0, 0);
        if let Which::ChangedAfter(seen) = which {
            after = (seen, i64::MAX);
        }
        loop {
            let (read, wanted) = (Reading::of(basics, columns), columns.to_vec());
            let rows = self.read(move |session| Box::pin(page(session, which, after, read))).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.int("changed")?, last.int("number")?);
            let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == PAGE;
            let index = index.clone();
            let take = move || -> Result<(), MetastoreError> {
                let changes = rows.iter().map(|row| change(row, basics, &wanted));
                let changes = changes.collect::<Result<Vec<_>, _>>()?;
                index.write().take(changes, &wanted);
                Ok(())
            };
            let taken = tokio::task::spawn_blocking(take).await;
            taken.map_err(|_| MetastoreError::stale("filling a column panicked"))??;
            if !full {
                return Ok(());
            }
        }
    }
}

/// The last change, and the last one whose runs that went with it are forgotten.
async fn clock(session: &mut Session) -> Result<(i64, i64), MetastoreError> {
    let sql = "SELECT changed, trimmed FROM tracked_clock WHERE id = 1";
    let row = session.fetch_optional(sql, &[]).await?;
    let row = row.ok_or_else(|| MetastoreError::stale("the clock of changes is gone"))?;
    Ok((row.int("changed")?, row.int("trimmed")?))
}

/// Which columns of the table are needed.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    basics: bool,
    document: bool,
    name: bool,
    status: bool,
    user: bool,
    parent: bool,
}

impl Reading {
    fn of(basics: bool, columns: &[ColumnId]) -> Self {
        let mut reading = Self { basics, ..Self::default() };
        for id in columns {
            match id {
                ColumnId::Metric(..) | ColumnId::Param(_) | ColumnId::Tag(_) => reading.document = true,
                ColumnId::Name => reading.name = true,
                ColumnId::Status => reading.status = true,
                ColumnId::User => reading.user = true,
                ColumnId::Parent => reading.parent = true,
            }
        }
        reading
    }

    fn select(self) -> String {
        let parts = [
            (self.basics, ", id, experiment_id, lifecycle, started_at, ended_at"),
            (self.document, ", document"),
            (self.name, ", name"),
            (self.status, ", status"),
            (self.user, ", user_id"),
            (self.parent, ", parent_id"),
        ];
        let parts: String = parts.into_iter().filter(|(wanted, _)| *wanted).map(|(_, part)| part).collect();
        format!("SELECT number, changed{parts} FROM tracked_run")
    }
}

async fn page(
    session: &mut Session,
    which: Which,
    (changed, number): (i64, i64),
    reading: Reading,
) -> Result<Vec<Row>, MetastoreError> {
    let select = reading.select();
    let (sql, args): (String, Vec<Value<'_>>) = match which {
        Which::All => {
            (format!("{select} WHERE number > $1 ORDER BY number LIMIT {PAGE}"), vec![number.into()])
        }
        Which::ChangedAfter(_) => (
            format!(
                "{select} WHERE changed >= $1 AND (changed > $1 OR number > $2) ORDER BY changed, number LIMIT {PAGE}"
            ),
            vec![changed.into(), number.into()],
        ),
    };
    session.fetch_all(&sql, &args).await
}

fn change(row: &Row, basics: bool, columns: &[ColumnId]) -> Result<Change, MetastoreError> {
    let number = usize::try_from(row.int("number")?).unwrap_or_default();
    let basics = if basics { Some(basics_of(row)?) } else { None };
    let mut cells = vec![Cell::Missing; columns.len()];
    let mut in_document: BTreeMap<(u8, u32), Vec<(usize, Measure)>> = BTreeMap::new();
    for (at, (id, cell)) in columns.iter().zip(&mut cells).enumerate() {
        match id {
            ColumnId::Metric(key, measure) => in_document.entry((0, *key)).or_default().push((at, *measure)),
            ColumnId::Param(key) => in_document.entry((1, *key)).or_default().push((at, Measure::Latest)),
            ColumnId::Tag(key) => in_document.entry((2, *key)).or_default().push((at, Measure::Latest)),
            ColumnId::Name => *cell = Cell::Text(row.text("name")?),
            ColumnId::Status => *cell = Cell::Text(row.text("status")?),
            ColumnId::User => *cell = Cell::Text(row.text("user_id")?),
            ColumnId::Parent => *cell = row.opt_text("parent_id")?.map_or(Cell::Missing, Cell::Text),
        }
    }
    if !in_document.is_empty() {
        read_document(&row.bytes("document")?, &in_document, &mut cells)?;
    }
    Ok(Change { row: number, basics, cells })
}

fn read_document(
    bytes: &[u8],
    wanted: &BTreeMap<(u8, u32), Vec<(usize, Measure)>>,
    cells: &mut [Cell],
) -> Result<(), Unreadable> {
    visit(bytes, |entry| {
        let id = match &entry {
            Entry::Metric(key, _) => (0, *key),
            Entry::Param(key, _) => (1, *key),
            Entry::Tag(key, _) => (2, *key),
        };
        for (at, measure) in wanted.get(&id).into_iter().flatten() {
            if let Some(cell) = cells.get_mut(*at) {
                *cell = match &entry {
                    Entry::Metric(_, metric) => Cell::Number(metric.measure(*measure)),
                    Entry::Param(_, text) | Entry::Tag(_, text) => Cell::Text((*text).to_owned()),
                };
            }
        }
    })
}

fn basics_of(row: &Row) -> Result<BasicsOf, MetastoreError> {
    Ok(BasicsOf {
        lifecycle: if row.text("lifecycle")? == "active" { Lifecycle::Active } else { Lifecycle::Deleted },
        experiment: row.int("experiment_id")?,
        started: row.int("started_at")?,
        ended: row.opt_int("ended_at")?,
        tie: tie_of(&row.text("id")?),
    })
}

impl State {
    /// Begins anew, with these columns empty.
    fn start(&mut self, columns: &[ColumnId]) {
        self.basics = Basics::default();
        self.columns.clear();
        for id in columns {
            self.column(*id);
        }
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
