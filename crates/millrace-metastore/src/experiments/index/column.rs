//! Columns of runs in memory: a value for each run, found by the run's number.

use std::collections::HashMap;
use std::sync::Arc;

/// A number that is not there: one of the many bit patterns that are "not a number", which no metric has.
const MISSING: u64 = 0x7ff8_0000_0000_dead;

/// A column.
#[derive(Debug)]
pub(super) enum Column {
    Numbers(Numbers),
    Texts(Texts),
}

/// Numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    values: Vec<f64>,
}

impl Numbers {
    pub(super) fn set(&mut self, row: usize, number: Option<f64>) {
        if row >= self.values.len() {
            if number.is_none() {
                return;
            }
            self.values.resize(row + 1, f64::from_bits(MISSING));
        }
        if let Some(value) = self.values.get_mut(row) {
            *value = number.unwrap_or(f64::from_bits(MISSING));
        }
    }

    /// The numbers of 64 rows at most, from a row on; what lies beyond is missing.
    pub(super) fn from(&self, row: usize) -> &[f64] {
        let end = self.values.len().min(row + 64);
        self.values.get(row..end).unwrap_or_default()
    }

    pub(super) fn get(&self, row: usize) -> Option<f64> {
        self.values.get(row).copied().filter(|value| !is_missing(*value))
    }
}

/// Whether there is no number.
pub(super) fn is_missing(number: f64) -> bool {
    number.to_bits() == MISSING
}

/// Texts, each distinct one kept once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// 0 is missing; otherwise the place in `distinct` plus one.
    codes: Vec<u32>,
    distinct: Vec<Arc<str>>,
    places: HashMap<Arc<str>, u32>,
    text_bytes: usize,
    /// Rank of each distinct text among all; dropped when one is added.
    ranks: Option<Arc<Vec<u32>>>,
}

impl Texts {
    pub(super) fn set(&mut self, row: usize, text: Option<&str>) {
        let code = text.map_or(0, |text| self.code(text));
        if row >= self.codes.len() {
            if code == 0 {
                return;
            }
            self.codes.resize(row + 1, 0);
        }
        if let Some(known) = self.codes.get_mut(row) {
            *known = code;
        }
    }

    fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.places.get(text) {
            return *code;
        }
        let text: Arc<str> = text.into();
        self.text_bytes += text.len() + 64;
        self.distinct.push(text.clone());
        // Rows are fewer than 2^32, so distinct texts are too.
        let code = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
        self.places.insert(text, code);
        self.ranks = None;
        code
    }

    /// 0 if the row has none.
    pub(super) fn code_at(&self, row: usize) -> u32 {
        self.codes.get(row).copied().unwrap_or(0)
    }

    pub(super) fn text(&self, code: u32) -> Option<&str> {
        self.distinct.get((code as usize).checked_sub(1)?).map(AsRef::as_ref)
    }

    /// What a test says of each distinct text, by code; of none, `missing`.
    pub(super) fn tested(&self, missing: bool, test: impl Fn(&str) -> bool) -> Vec<bool> {
        std::iter::once(missing).chain(self.distinct.iter().map(|text| test(text))).collect()
    }

    /// The rank of each distinct text by its bytes, by code; made by [`Texts::rank`].
    pub(super) fn ranks(&self) -> Option<&Arc<Vec<u32>>> {
        self.ranks.as_ref()
    }

    /// Ranks the distinct texts, if they are not.
    pub(super) fn rank(&mut self) {
        if self.ranks.is_some() {
            return;
        }
        let mut order: Vec<u32> = (1..).take(self.distinct.len()).collect();
        order.sort_unstable_by(|a, b| self.text(*a).cmp(&self.text(*b)));
        let mut ranks = vec![0; self.distinct.len() + 1];
        for (rank, code) in (0..).zip(order) {
            if let Some(place) = ranks.get_mut(code as usize) {
                *place = rank;
            }
        }
        self.ranks = Some(Arc::new(ranks));
    }

    /// How many distinct texts are smaller, and whether this one is among them all.
    pub(super) fn place_of(&self, text: &str) -> (u64, bool) {
        let smaller = self.distinct.iter().filter(|other| other.as_ref() < text).count();
        (smaller as u64, self.places.contains_key(text))
    }
}

impl Column {
    /// Bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.values.capacity() * 8,
            Self::Texts(texts) => texts.codes.capacity() * 4 + texts.text_bytes + texts.distinct.len() * 4,
        }
    }
}
