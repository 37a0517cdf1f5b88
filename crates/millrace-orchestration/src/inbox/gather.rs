//! Which events that passed their filter begin a run now, and together with which others. A pure function of rows and a time.

use std::collections::HashSet;

use indexmap::IndexMap;
use millrace_metastore::inbox::HeldEvent;
use millrace_spec::triggers::event::Shared;

/// What begins now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Ids of the events of each run, oldest first.
    pub(super) runs: Vec<Vec<String>>,
    /// When it is worth looking again, microseconds, if something waits for a time.
    pub(super) next_at: Option<i64>,
    /// Whether something waits for a run of its key to end.
    pub(super) waits_for_runs: bool,
}

/// Gathers events by their key, each key for itself. `busy`: keys with a run that goes on.
pub(super) fn gather(shared: &Shared, held: &[HeldEvent], busy: &HashSet<String>, now: i64) -> Gathered {
    let mut groups: IndexMap<Option<&str>, Vec<&HeldEvent>> = IndexMap::new();
    for event in held {
        groups.entry(event.order_key.as_deref()).or_default().push(event);
    }
    let mut gathered = Gathered::default();
    for (key, events) in groups {
        if key.is_some_and(|key| busy.contains(key)) {
            gathered.waits_for_runs = true;
            continue;
        }
        let mut rest = events.as_slice();
        while let Some(due) = due(shared, rest) {
            if due.at > now {
                gathered.next_at = Some(gathered.next_at.map_or(due.at, |at| at.min(due.at)));
                break;
            }
            let (run, later) = rest.split_at(due.count.min(rest.len()));
            gathered.runs.push(run.iter().map(|event| event.id.clone()).collect());
            rest = later;
            if key.is_some() {
                // The next of the key has to wait for this run.
                gathered.waits_for_runs |= !rest.is_empty();
                break;
            }
        }
    }
    gathered
}

struct Due {
    /// When the first run of these events begins.
    at: i64,
    /// Of how many of them.
    count: usize,
}

fn due(shared: &Shared, events: &[&HeldEvent]) -> Option<Due> {
    let (first, last) = (events.first()?, events.last()?);
    Some(match (shared.batch, shared.debounce) {
        (Some(batch), _) => {
            let size = usize::try_from(batch.size).unwrap_or(usize::MAX).max(1);
            let at = if events.len() >= size { i64::MIN } else { first.received_at + batch.within.micros() };
            Due { at, count: size }
        }
        (None, Some(quiet)) => Due { at: last.received_at + quiet.micros(), count: events.len() },
        (None, None) => Due { at: i64::MIN, count: 1 },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn held(events: &[(&str, Option<&str>, i64)]) -> Vec<HeldEvent> {
        let event = |&(id, key, seconds): &(&str, Option<&str>, i64)| HeldEvent {
            id: id.to_owned(),
            order_key: key.map(str::to_owned),
            received_at: seconds * 1_000_000,
        };
        events.iter().map(event).collect()
    }

    fn check(
        shared: serde_json::Value,
        events: &[(&str, Option<&str>, i64)],
        busy: &[&str],
        now: i64,
    ) -> String {
        let shared: Shared = serde_json::from_value(shared).unwrap();
        let busy = busy.iter().map(|&key| key.to_owned()).collect();
        let gathered = gather(&shared, &held(events), &busy, now * 1_000_000);
        let runs: Vec<String> = gathered.runs.iter().map(|run| run.join("+")).collect();
        let next = gathered.next_at.map_or(String::new(), |at| format!(" next {}", at / 1_000_000));
        format!("{}{next}{}", runs.join(" "), if gathered.waits_for_runs { " waits" } else { "" })
    }

    #[test]
    fn each_event_of_a_key_waits_for_the_run_before() {
        let events = [("1", Some("a"), 1), ("2", Some("b"), 1), ("3", Some("a"), 2), ("4", Some("c"), 2)];
        assert_eq!(check(json!({"order_by": "x"}), &events, &["c"], 9), "1 2 waits");
        assert_eq!(check(json!({"order_by": "x"}), &events, &["a", "b"], 9), "4 waits");
    }

    #[test]
    fn a_batch_begins_when_it_is_full_or_old() {
        let batch = json!({"batch": {"size": 2, "within": "10s"}});
        let events = [("1", None, 1), ("2", None, 2), ("3", None, 3)];
        assert_eq!(check(batch.clone(), &events, &[], 4), "1+2 next 13");
        assert_eq!(check(batch, &events, &[], 13), "1+2 3");
    }

    #[test]
    fn a_debounced_run_begins_after_the_last_event() {
        let debounce = json!({"debounce": "5s", "order_by": "x"});
        let events = [("1", Some("a"), 1), ("2", Some("b"), 2), ("3", Some("a"), 4)];
        assert_eq!(check(debounce.clone(), &events, &[], 6), " next 7");
        assert_eq!(check(debounce.clone(), &events, &[], 7), "2 next 9");
        assert_eq!(check(debounce, &events, &[], 9), "1+3 2");
    }
}
