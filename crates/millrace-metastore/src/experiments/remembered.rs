//! Documents of runs that were logged to lately, as the last transaction of this process left them.

use std::collections::HashMap;

use super::log::Open;

/// Bytes of memory for half of what is kept.
const MOST_BYTES: usize = 8 << 20;

/// Runs by id. They may be out of date: who writes what follows from them makes it a condition that they are not.
///
/// When the younger half is full, the older one is forgotten: a run that is logged to meanwhile is young again.
#[derive(Default)]
pub(super) struct Remembered {
    young: Runs,
    old: Runs,
}

#[derive(Default)]
struct Runs {
    by_id: HashMap<String, Open>,
    bytes: usize,
}

impl Runs {
    fn take(&mut self, id: &str) -> Option<(String, Open)> {
        let taken = self.by_id.remove_entry(id)?;
        self.bytes = self.bytes.saturating_sub(taken.1.size);
        Some(taken)
    }

    fn put(&mut self, id: String, mut run: Open) {
        run.size = id.len() + run.memory();
        self.bytes += run.size;
        if let Some(before) = self.by_id.insert(id, run) {
            self.bytes = self.bytes.saturating_sub(before.size);
        }
    }
}

impl Remembered {
    /// Takes runs out; `None`, and nothing is taken, if one is not there. What is not put back is forgotten.
    pub(super) fn take<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<HashMap<String, Open>> {
        let is_known = |id| self.young.by_id.contains_key(id) || self.old.by_id.contains_key(id);
        if !ids.clone().all(is_known) {
            return None;
        }
        // An id may be named twice.
        Some(ids.filter_map(|id| self.young.take(id).or_else(|| self.old.take(id))).collect())
    }

    /// Keeps runs that a transaction just wrote.
    pub(super) fn keep(&mut self, runs: HashMap<String, Open>) {
        runs.into_iter().for_each(|(id, mut run)| {
            run.settle();
            self.old.take(&id);
            self.young.put(id, run);
        });
        if self.young.bytes > MOST_BYTES {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Bytes of memory of all that is kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Document, Point};
    use super::*;

    fn run(metrics: u32) -> Open {
        let mut document = Document::default();
        for key in 0..metrics {
            document.log(key, Point { step: 1, time: 1, number: 0.5 });
        }
        Open::read(1, true, document)
    }

    #[test]
    fn what_grows_is_counted_as_it_is() {
        let mut remembered = Remembered::default();
        // A run is small when it is begun, and is logged to while it is remembered.
        for number in 0..2_000 {
            let id = format!("run-{number}");
            remembered.keep([(id.clone(), run(0))].into());
            let mut taken = remembered.take(std::iter::once(id.as_str())).unwrap();
            taken.insert(id, run(1_000));
            remembered.keep(taken);
            assert!(remembered.bytes() <= 2 * MOST_BYTES + (1 << 20), "{}", remembered.bytes());
        }
        assert!(remembered.bytes() > MOST_BYTES);
        let last = std::iter::once("run-1999");
        assert!(remembered.take(last.clone()).is_some());
        assert!(remembered.take(last).is_none(), "it was taken out");
        assert!(remembered.take(std::iter::once("run-0")).is_none(), "it is forgotten");
    }

    #[test]
    fn nothing_is_taken_unless_all_are_there() {
        let mut remembered = Remembered::default();
        remembered.keep([("a".to_owned(), run(1))].into());
        assert!(remembered.take(["a", "b"].into_iter()).is_none());
        assert_eq!(remembered.take(["a", "a"].into_iter()).unwrap().len(), 1);
        assert_eq!(remembered.bytes(), 0);
    }
}
