//! The items of a step with `foreach` or `matrix`: ten thousand of them must not make each round cost ten thousand looks.
//!
//! Counts, the items that wait for a retry and the first one that never began are kept beside the items; every change goes through
//! [`Items::update`], which keeps them true.

use std::collections::{BTreeSet, HashMap};

use millrace_spec::mapping::ITEMS;
use serde_json::{Map, Value};

use crate::state::{StepRun, StepState};

/// Items of one step, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Items {
    values: Vec<Value>,
    runs: Vec<StepRun>,
    counts: HashMap<StepState, usize>,
    /// When each item that is to be tried again is due, microseconds since 1970.
    retries: BTreeSet<(i64, u32)>,
    /// No item before this one is pending.
    first_pending: u32,
}

impl Items {
    /// Items that have not begun.
    pub fn new(values: Vec<Value>) -> Self {
        let runs = vec![StepRun::pending(); values.len()];
        let counts = HashMap::from([(StepState::Pending, values.len())]);
        Self { values, runs, counts, retries: BTreeSet::new(), first_pending: 0 }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// One item.
    pub fn get(&self, item: u32) -> Option<&StepRun> {
        self.runs.get(item as usize)
    }

    /// What one item is done for.
    pub fn value(&self, item: u32) -> Option<&Value> {
        self.values.get(item as usize)
    }

    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The items with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &StepRun)> {
        self.runs.iter().zip(0_u32..).map(|(run, item)| (item, run))
    }

    /// How many are in a state.
    pub fn count(&self, state: StepState) -> usize {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// How many are in a state that fits.
    pub fn count_where(&self, fits: impl Fn(StepState) -> bool) -> usize {
        self.counts.iter().filter(|(state, _)| fits(**state)).map(|(_, count)| count).sum()
    }

    /// Changes an item; `None` if there is no such one.
    pub fn update<T>(&mut self, item: u32, change: impl FnOnce(&mut StepRun) -> T) -> Option<T> {
        let run = self.runs.get_mut(item as usize)?;
        let (before, due) = (run.state, run.retry_at);
        let answer = change(run);
        let (after, now_due) = (run.state, run.retry_at);
        if before == StepState::Retrying {
            self.retries.remove(&(due.unwrap_or_default(), item));
        }
        if after == StepState::Retrying {
            self.retries.insert((now_due.unwrap_or_default(), item));
        }
        if after == StepState::Pending {
            self.first_pending = self.first_pending.min(item);
        }
        if before != after {
            if let Some(count) = self.counts.get_mut(&before) {
                *count = count.saturating_sub(1);
            }
            *self.counts.entry(after).or_default() += 1;
        }
        Some(answer)
    }

    /// Items that may begin at `now`, at most so many: those that are due again first, then the next ones in order.
    pub fn ready(&self, now: i64, most: usize) -> Vec<u32> {
        let again = self.retries.iter().take_while(|(due, _)| *due <= now).map(|(_, item)| *item);
        let mut ready: Vec<u32> = again.take(most).collect();
        if self.count(StepState::Pending) > 0 {
            let new = self.iter().skip(self.first_pending as usize);
            let new = new.filter(|(_, run)| run.state == StepState::Pending).map(|(item, _)| item);
            ready.extend(new.take(most - ready.len()));
        }
        ready
    }

    /// When the next retry after `now` is due.
    pub fn next_retry(&self, now: i64) -> Option<i64> {
        self.retries.iter().map(|(due, _)| *due).find(|due| *due > now)
    }

    /// Moves on what [`Items::ready`] skips: called now and then, when many have begun.
    pub fn skip_begun(&mut self) {
        let begun = self.runs.iter().skip(self.first_pending as usize);
        let begun = begun.take_while(|run| run.state != StepState::Pending).count();
        self.first_pending += u32::try_from(begun).unwrap_or(0);
    }

    /// Ends every item that has not begun or waits for its retry. Answers those that had begun, whose rows must be told.
    pub fn close(&mut self, state: StepState) -> Vec<u32> {
        let mut begun = Vec::new();
        let open: Vec<u32> = self
            .iter()
            .filter(|(_, run)| matches!(run.state, StepState::Pending | StepState::Retrying))
            .map(|(item, _)| item)
            .collect();
        for item in open {
            self.update(item, |run| {
                if run.attempt > 0 {
                    begun.push(item);
                }
                run.state = state;
                run.retry_at = None;
            });
        }
        begun
    }

    /// What the items left: an output's values in the order of the items, `null` where an item left none; `items` has everything.
    pub fn gathered(&self, output: &str) -> Value {
        if output == ITEMS {
            return self.iter().map(|(item, run)| self.described(item, run)).collect();
        }
        let left =
            |run: &StepRun| run.outcome.as_ref().and_then(|outcome| outcome.outputs.get(output).cloned());
        self.runs.iter().map(|run| left(run).unwrap_or(Value::Null)).collect()
    }

    /// Names of the outputs that at least one item left.
    pub fn outputs(&self) -> BTreeSet<&str> {
        let outcomes = self.runs.iter().filter_map(|run| run.outcome.as_ref());
        outcomes.flat_map(|outcome| outcome.outputs.keys()).map(String::as_str).chain([ITEMS]).collect()
    }

    fn described(&self, item: u32, run: &StepRun) -> Value {
        let mut fields = Map::new();
        fields.insert("index".to_owned(), item.into());
        fields.insert("item".to_owned(), self.value(item).cloned().unwrap_or(Value::Null));
        fields.insert("state".to_owned(), run.state.as_str().into());
        if let Some(outcome) = &run.outcome {
            fields.extend(outcome.outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> impl Strategy<Value = StepState> {
        proptest::sample::select(StepState::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn what_is_kept_beside_the_items_stays_true(changes in proptest::collection::vec((0_u32..12, state(), 0_i64..9), 0..60)) {
            let mut items = Items::new(vec![Value::Null; 12]);
            for (item, state, due) in changes {
                items.update(item, |run| {
                    run.state = state;
                    run.retry_at = (state == StepState::Retrying).then_some(due);
                });
                items.skip_begun();
                for state in StepState::ALL {
                    let counted = items.iter().filter(|(_, run)| run.state == state).count();
                    prop_assert_eq!(items.count(state), counted, "{:?}", state);
                }
                let due = |run: &StepRun| run.state == StepState::Retrying && run.retry_at <= Some(4);
                let mut expected: Vec<u32> =
                    items.iter().filter(|(_, run)| due(run) || run.state == StepState::Pending).map(|(item, _)| item).collect();
                let mut ready = items.ready(4, 12);
                expected.sort_unstable();
                ready.sort_unstable();
                prop_assert_eq!(ready, expected);
                prop_assert!(items.ready(4, 3).len() <= 3);
            }
        }
    }

    #[test]
    fn what_items_left_is_gathered_in_their_order() {
        let mut items = Items::new(vec!["a".into(), "b".into()]);
        items.update(1, |run| {
            run.state = StepState::Succeeded;
            let outputs = [("rows".to_owned(), Value::from(7))].into_iter().collect();
            run.outcome = Some(millrace_contract::StepOutcome { outputs, ..Default::default() });
        });
        assert_eq!(items.gathered("rows"), serde_json::json!([null, 7]));
        assert_eq!(
            items.gathered("items"),
            serde_json::json!([
                {"index": 0, "item": "a", "state": "pending"},
                {"index": 1, "item": "b", "state": "succeeded", "rows": 7},
            ])
        );
    }
}
