//! What is expected of triggers that wait for events: that their source can be asked, and that events come as often as is said. A trigger
//! whose source is dead or has gone quiet does not announce itself.

use jiff::{SignedDuration, Timestamp};
use millrace_metastore::Metastore;
use millrace_metastore::schedules::TriggerStateRow;
use millrace_spec::duration::Elapsed;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::schedule::PUNCTUAL;
use millrace_spec::triggers::Trigger;

use super::status::describe_trigger;
use crate::error::OrchestrationError;
use crate::windows::instant;

/// How often such a trigger is looked at.
pub(super) const LOOK: SignedDuration = SignedDuration::from_secs(60);

/// A trigger that waits for events.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    pub(super) pipeline: String,
    pub(super) trigger: String,
    rule: String,
    is_polled: bool,
    every: Option<Elapsed>,
}

impl PlannedEvent {
    pub(super) fn of(pipeline: &Pipeline, name: &str, trigger: &Trigger, zone: &str) -> Option<Self> {
        let Trigger::Event(event) = trigger else { return None };
        let (is_polled, every) = (event.source.is_polled(), event.shared.expected_every);
        let every_words = every.map(|every| format!(", expected every {every}")).unwrap_or_default();
        Some(Self {
            pipeline: pipeline.name.to_string(),
            trigger: name.to_owned(),
            rule: describe_trigger(trigger, zone) + &every_words,
            is_polled,
            every,
        })
    }

    /// Whether time alone can change how it is.
    pub(super) fn is_expected(&self) -> bool {
        self.is_polled || self.every.is_some()
    }

    /// `pipeline/trigger`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.pipeline, self.trigger)
    }

    /// How the trigger is now; stored if that is new.
    pub(super) async fn look(
        &self,
        store: &Metastore,
        now: Timestamp,
    ) -> Result<TriggerStateRow, OrchestrationError> {
        let read = OrchestrationError::store;
        let key = || (self.pipeline.clone(), self.trigger.clone());
        let (pipeline, trigger) = key();
        let state = store.find_trigger_state(pipeline.clone(), trigger.clone()).await;
        let state = state.map_err(read("read the trigger's state"))?;
        if let Some(paused) = state.as_ref().filter(|state| state.paused) {
            return Ok(paused.clone());
        }
        let mut seen = Seen { since: now.as_microsecond(), failing: None };
        // A new or changed rule, and a pause that is over, owe nothing for the past.
        if let Some(state) = state.as_ref().filter(|state| state.rule == self.rule || state.rule.is_empty()) {
            seen.since = state.checked_until;
        }
        if self.every.is_some() {
            let newest = store.newest_event_at(pipeline.clone(), trigger.clone()).await;
            let newest = newest.map_err(read("look for the newest event"))?;
            seen.since = seen.since.max(newest.unwrap_or(i64::MIN));
        }
        if self.is_polled {
            let cursor = store.find_event_cursor(pipeline, trigger).await;
            let cursor = cursor.map_err(read("read how far sources were read"))?;
            seen.failing = cursor.and_then(|cursor| cursor.failing_since.zip(cursor.error));
        }
        let outlook = outlook(self.every, seen, now);
        let (pipeline, trigger) = key();
        let row = TriggerStateRow { pipeline, trigger, rule: self.rule.clone(), ..outlook };
        if state.as_ref() != Some(&row) {
            let stored = store.store_trigger_states(vec![row.clone()]).await;
            stored.map_err(read("store the trigger's state"))?;
        }
        Ok(row)
    }
}

struct Seen {
    /// When the newest event came, or since when one is waited for, microseconds.
    since: i64,
    /// Since when its source cannot be asked, and why.
    failing: Option<(i64, String)>,
}

/// The part of a trigger's state that follows from what was seen.
fn outlook(every: Option<Elapsed>, seen: Seen, now: Timestamp) -> TriggerStateRow {
    let next_at = every.map(|every| seen.since.saturating_add(every.micros()));
    let mut row = TriggerStateRow { checked_until: seen.since, next_at, ..TriggerStateRow::default() };
    if let Some((next, every)) = next_at.filter(|next| instant(*next) <= now).zip(every) {
        row.overdue_since = Some(next);
        row.note = Some(format!("no event came for {every}"));
    }
    if let Some((since, why)) =
        seen.failing.filter(|(since, _)| now.duration_since(instant(*since)) > PUNCTUAL)
    {
        row.overdue_since = Some(row.overdue_since.map_or(since, |overdue| overdue.min(since)));
        row.note = Some(why);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(every: Option<&str>, since: i64, failing: Option<i64>, now: i64) -> String {
        let seconds = |at: i64| at * 1_000_000;
        let every = every.map(|every| Elapsed::try_from(every.to_owned()).unwrap());
        let failing = failing.map(|at| (seconds(at), "refused".to_owned()));
        let row = outlook(every, Seen { since: seconds(since), failing }, instant(seconds(now)));
        let at = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at| (at / 1_000_000).to_string());
        format!(
            "next {}, overdue {}, {}",
            at(row.next_at),
            at(row.overdue_since),
            row.note.unwrap_or_default()
        )
    }

    #[test]
    fn an_event_is_expected_so_long_after_the_last() {
        assert_eq!(check(Some("1h"), 100, None, 3_699), "next 3700, overdue -, ");
        assert_eq!(check(Some("1h"), 100, None, 3_700), "next 3700, overdue 3700, no event came for 1h");
        assert_eq!(check(None, 100, None, 9_999_999), "next -, overdue -, ");
    }

    #[test]
    fn a_source_that_cannot_be_asked_for_longer_is_overdue_since_its_first_failure() {
        assert_eq!(check(None, 0, Some(100), 160), "next -, overdue -, ");
        assert_eq!(check(None, 0, Some(100), 161), "next -, overdue 100, refused");
        assert_eq!(check(Some("1m"), 20, Some(100), 161), "next 80, overdue 80, refused");
    }
}
