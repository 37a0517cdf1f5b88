//! Documents of runs that were logged to lately, as the last transaction of this process left them.

use std::collections::HashMap;

use super::log::Open;

/// Documents that are kept, bytes as they are stored; in memory they take a few times as much.
const MOST_BYTES: usize = 8 << 20;

/// Runs by id. They may be out of date: who writes what follows from them makes it a condition that they are not.
#[derive(Default)]
pub(super) struct Remembered {
    runs: HashMap<String, Open>,
    bytes: usize,
}

impl Remembered {
    /// Takes runs out; `None`, and nothing is taken, if one is not there. What is not put back is forgotten.
    pub(super) fn take<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<HashMap<String, Open>> {
        if !ids.clone().all(|id| self.runs.contains_key(id)) {
            return None;
        }
        let mut taken = HashMap::new();
        for id in ids {
            if let Some((id, run)) = self.runs.remove_entry(id) {
                self.bytes = self.bytes.saturating_sub(run.size);
                taken.insert(id, run);
            }
        }
        Some(taken)
    }

    /// Keeps runs that a transaction just wrote; `changed_at` is the number of their change.
    pub(super) fn keep(&mut self, runs: HashMap<String, Open>, changed_at: i64) {
        let size: usize = runs.values().map(|run| run.size).sum();
        if self.bytes + size > MOST_BYTES {
            self.runs.clear();
            self.bytes = 0;
        }
        if size > MOST_BYTES {
            return;
        }
        self.runs.extend(runs.into_iter().map(|(id, mut run)| {
            run.settle(changed_at);
            (id, run)
        }));
        self.bytes = self.runs.values().map(|run| run.size).sum();
    }
}
