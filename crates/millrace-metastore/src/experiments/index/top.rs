//! The first rows of an order, without sorting them all.

use super::super::query::{Cursor, Key};
use super::State;
use super::column::{Column, Texts};
use super::evaluate::{matching, time_of};
use super::plan::{By, Holds, Plan, Sort};

/// What a search over columns found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Numbers of runs, in order.
    pub(super) rows: Vec<i64>,
    /// The sort keys of the last of them, without its id, if there are more.
    pub(super) next: Option<Cursor>,
    /// How many there are in all.
    pub(super) total: Option<u64>,
}

/// A sort key that compares as a number: first whether there is a value, "not a number" or nothing, then the value.
type Part = (u8, u64);

const THERE: u8 = 0;
const NAN: u8 = 1;
const MISSING: u8 = 2;

/// Finds the first rows after the cursor. `None` if the cursor is of another query.
pub(super) fn find(
    state: &State,
    plan: &Plan,
    after: Option<&[Key]>,
    limit: usize,
    count: bool,
) -> Option<Found> {
    let sorts = plan.sorts.iter().map(|sort| (column_of(state, sort.by), *sort)).collect();
    let order = Ordering { state, sorts };
    let after = match after {
        None => None,
        Some(cursor) => Some(order.position(cursor)?),
    };
    let rows = matching(state, plan);
    let mut best = Best { order: &order, rows: Vec::new(), limit: limit + 1, worst: None };
    for row in rows.iter() {
        if after.as_ref().is_none_or(|after| order.of(row).gt(after.iter().copied())) {
            best.take(row);
        }
    }
    let mut found = best.finish();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = match found.last() {
        Some(last) if more => Some(order.cursor(*last)),
        _ => None,
    };
    let rows_found = found.iter().filter_map(|row| i64::try_from(*row).ok()).collect();
    Some(Found { rows: rows_found, next, total: count.then(|| rows.count()) })
}

struct Ordering<'a> {
    state: &'a State,
    /// Each with its column, so that it is looked up once and not for each row.
    sorts: Vec<(Option<&'a Column>, Sort)>,
}

fn column_of(state: &State, by: By) -> Option<&Column> {
    match by {
        By::Numbers(id) | By::Texts(id) => state.columns.get(&id).map(|kept| &kept.column),
        By::Time(_) | By::Experiment | By::Id | By::Nothing(_) => None,
    }
}

impl Ordering<'_> {
    /// The sort keys of a row, then what ties are decided by: the later start, the smaller id.
    fn of(&self, row: usize) -> impl Iterator<Item = Part> + '_ {
        let sorts = self
            .sorts
            .iter()
            .map(move |(column, sort)| directed(self.part(*column, sort.by, row), sort.ascending));
        let basics = &self.state.basics;
        let started = basics.started.get(row).copied().unwrap_or_default();
        let tie = basics.tie.get(row).copied().unwrap_or_default();
        sorts.chain([(THERE, !int_key(started)), (THERE, tie)])
    }

    /// Whether the row is worse by its first sort key alone: most rows are.
    fn is_beyond(&self, row: usize, worst: &[Part]) -> bool {
        match (self.sorts.first(), worst.first()) {
            (Some((column, sort)), Some(worst)) => {
                directed(self.part(*column, sort.by, row), sort.ascending) > *worst
            }
            _ => false,
        }
    }

    fn part(&self, column: Option<&Column>, by: By, row: usize) -> Part {
        match by {
            By::Numbers(_) | By::Texts(_) => match column {
                Some(Column::Numbers(numbers)) => real_part(numbers.get(row)),
                Some(Column::Texts(texts)) => text_part(texts, row),
                None => (MISSING, 0),
            },
            By::Time(time) => time_of(self.state, time, row).map_or((MISSING, 0), |at| (THERE, int_key(at))),
            By::Experiment => {
                (THERE, int_key(self.state.basics.experiment.get(row).copied().unwrap_or_default()))
            }
            By::Id => (THERE, self.state.basics.tie.get(row).copied().unwrap_or_default()),
            By::Nothing(_) => (MISSING, 0),
        }
    }

    /// The sort keys of a row as a page token keeps them, without its id.
    fn cursor(&self, row: usize) -> Cursor {
        let mut cursor = Cursor::new();
        for (column, sort) in &self.sorts {
            let (rank, _) = self.part(*column, sort.by, row);
            cursor.push(Key::Int(rank.into()));
            cursor.push(self.value(*column, sort.by, row));
        }
        cursor.push(Key::Int(self.state.basics.started.get(row).copied().unwrap_or_default()));
        cursor
    }

    fn value(&self, column: Option<&Column>, by: By, row: usize) -> Key {
        match by {
            By::Numbers(_) | By::Texts(_) => match column {
                Some(Column::Numbers(numbers)) => {
                    Key::Real(numbers.get(row).filter(|number| !number.is_nan()).unwrap_or(0.0))
                }
                Some(Column::Texts(texts)) => {
                    Key::Text(texts.text(texts.code_at(row)).unwrap_or_default().to_owned())
                }
                None => Key::Real(0.0),
            },
            By::Time(time) => Key::Int(time_of(self.state, time, row).unwrap_or_default()),
            By::Experiment => Key::Int(self.state.basics.experiment.get(row).copied().unwrap_or_default()),
            // As text: a page token keeps signed numbers only.
            By::Id => Key::Text(self.state.basics.tie.get(row).copied().unwrap_or_default().to_string()),
            By::Nothing(Holds::Number) => Key::Real(0.0),
            By::Nothing(Holds::Text) => Key::Text(String::new()),
        }
    }

    /// What [`Ordering::of`] would give for the row that the cursor, with its id, is of.
    fn position(&self, cursor: &[Key]) -> Option<Vec<Part>> {
        let mut position = Vec::with_capacity(self.sorts.len() + 2);
        let mut keys = cursor.iter();
        for (column, sort) in &self.sorts {
            let Key::Int(rank) = keys.next()? else { return None };
            let rank = u8::try_from(*rank).ok()?;
            let value = key_of(*column, sort.by, keys.next()?)?;
            position.push(directed((rank, if rank == THERE { value } else { 0 }), sort.ascending));
        }
        let (Some(Key::Int(started)), Some(Key::Text(id)), None) = (keys.next(), keys.next(), keys.next())
        else {
            return None;
        };
        position.extend([(THERE, !int_key(*started)), (THERE, tie_of(id))]);
        Some(position)
    }
}

fn key_of(column: Option<&Column>, by: By, key: &Key) -> Option<u64> {
    match (by, key) {
        (By::Numbers(_) | By::Nothing(Holds::Number), Key::Real(number)) => Some(real_key(*number)),
        (By::Time(_) | By::Experiment, Key::Int(number)) => Some(int_key(*number)),
        (By::Id, Key::Text(number)) => number.parse().ok(),
        (By::Nothing(Holds::Text), Key::Text(_)) => Some(0),
        (By::Texts(_), Key::Text(text)) => match column {
            Some(Column::Texts(texts)) => {
                // A text that no run has any more lies before the one that follows it.
                let (smaller, known) = texts.place_of(text);
                Some(smaller * 2 + u64::from(known))
            }
            _ => Some(0),
        },
        _ => None,
    }
}

fn directed((rank, value): Part, ascending: bool) -> Part {
    (rank, if ascending || rank != THERE { value } else { !value })
}

fn real_part(number: Option<f64>) -> Part {
    match number {
        None => (MISSING, 0),
        Some(number) if number.is_nan() => (NAN, 0),
        Some(number) => (THERE, real_key(number)),
    }
}

fn text_part(texts: &Texts, row: usize) -> Part {
    let code = texts.code_at(row);
    let rank = texts.ranks().and_then(|ranks| ranks.get(code as usize)).copied().unwrap_or_default();
    if code == 0 { (MISSING, 0) } else { (THERE, u64::from(rank) * 2 + 1) }
}

/// A number whose order as an unsigned one is that of the signed one.
fn int_key(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// A number whose order as an unsigned one is that of the real one; zero has one sign.
fn real_key(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

/// The beginning of a run's id as a number: its first 16 hex digits, or its first 8 bytes.
pub(super) fn tie_of(id: &str) -> u64 {
    let digits = id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    digits.unwrap_or_else(|| {
        let mut first = [0; 8];
        first.iter_mut().zip(id.bytes()).for_each(|(place, byte)| *place = byte);
        u64::from_be_bytes(first)
    })
}

/// The best rows so far, twice as many as wanted at most; what is worse than the worst of them is passed over.
struct Best<'a> {
    order: &'a Ordering<'a>,
    rows: Vec<usize>,
    limit: usize,
    worst: Option<Vec<Part>>,
}

impl Best<'_> {
    fn take(&mut self, row: usize) {
        let order = self.order;
        let worse =
            |worst: &Vec<Part>| order.is_beyond(row, worst) || order.of(row).ge(worst.iter().copied());
        if self.worst.as_ref().is_some_and(worse) {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= self.limit.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    /// Keeps the wanted number.
    fn cut(&mut self) {
        if self.rows.len() <= self.limit {
            return;
        }
        let order = self.order;
        let at = self.limit - 1;
        let (_, worst, _) = self.rows.select_nth_unstable_by(at, |a, b| order.of(*a).cmp(order.of(*b)));
        self.worst = Some(order.of(*worst).collect());
        self.rows.truncate(self.limit);
    }

    fn finish(mut self) -> Vec<usize> {
        self.cut();
        let order = self.order;
        self.rows.sort_unstable_by(|a, b| order.of(*a).cmp(order.of(*b)));
        self.rows
    }
}
