//! By when a run is to be over, and who is told how it went.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `deadline:`: by when a run is to be over. One of `within_ms` and `by` is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Longest time from the run's creation, milliseconds.
    #[serde(default)]
    pub within_ms: Option<u64>,
    /// A time of day, `HH:MM`: the first one after the run was due.
    #[serde(default)]
    pub by: Option<String>,
    /// Zone of `by`; the workspace's if absent.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Channels that are told, once, when it has passed and the run goes on.
    #[serde(default)]
    pub notify: Vec<String>,
    /// Whether a run that is late is cancelled; otherwise it is only shown as late.
    #[serde(default)]
    pub cancel: bool,
}

impl Deadline {
    /// By when a run is to be over that was made at `created_at` and due at `due_at`: the instant of its schedule, or when it was made.
    /// Microseconds since 1970; `zone` is the workspace's. `None` for a time or a zone that does not exist, which the check refuses.
    pub fn at(&self, created_at: i64, due_at: i64, zone: &str) -> Option<i64> {
        if let Some(within_ms) = self.within_ms {
            let within = i64::try_from(within_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            return Some(created_at.saturating_add(within));
        }
        let time = time_of_day(self.by.as_deref()?)?;
        let zone = TimeZone::get(self.timezone.as_deref().unwrap_or(zone)).ok()?;
        let due = Timestamp::from_microsecond(due_at).ok()?;
        let today = due.to_zoned(zone.clone()).date();
        // A time that the clocks leave out comes right after the gap, and one that comes twice counts the first time.
        let days = (0..=1).filter_map(|days| today.checked_add(days.days()).ok());
        let instants =
            days.filter_map(|day| zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok());
        instants.map(Timestamp::as_microsecond).find(|at| *at > due_at)
    }
}

/// Reads `06:00`.
pub fn time_of_day(text: &str) -> Option<Time> {
    let full = text.split_once(':').is_some_and(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
    text.parse().ok().filter(|_| full)
}

/// `notify:` of a pipeline: the channels that are told when a run is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunNotices {
    /// When it failed.
    #[serde(default)]
    pub on_failure: Vec<String>,
    /// When it succeeded.
    #[serde(default)]
    pub on_success: Vec<String>,
    /// When it was cancelled.
    #[serde(default)]
    pub on_cancel: Vec<String>,
    /// What they are told, `${{ }}` unresolved; what failed and why, if absent.
    #[serde(default)]
    pub message: Option<Value>,
}

impl RunNotices {
    /// Each key with its channels.
    pub fn lists(&self) -> [(&'static str, &[String]); 3] {
        [("on_failure", &self.on_failure), ("on_success", &self.on_success), ("on_cancel", &self.on_cancel)]
    }

    /// Who is told of a run that ended in a state, `failed`, `succeeded` or `cancelled`.
    pub fn channels(&self, state: &str) -> &[String] {
        match state {
            "failed" => &self.on_failure,
            "succeeded" => &self.on_success,
            "cancelled" => &self.on_cancel,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(time: &str, zone: &str) -> Deadline {
        Deadline { by: Some(time.to_owned()), timezone: Some(zone.to_owned()), ..Deadline::default() }
    }

    fn check(deadline: &Deadline, due: &str, expected: &str) {
        let due = due.parse::<Timestamp>().unwrap().as_microsecond();
        let at = deadline.at(due, due, "UTC").map(|at| Timestamp::from_microsecond(at).unwrap().to_string());
        assert_eq!(at.as_deref(), Some(expected));
    }

    #[test]
    fn a_time_of_day_is_the_next_one_of_its_zone() {
        let berlin = by("06:00", "Europe/Berlin");
        check(&berlin, "2026-01-10T04:59:59Z", "2026-01-10T05:00:00Z");
        // On the dot it is for the next day: a run that begins at the deadline cannot be over by then.
        check(&berlin, "2026-01-10T05:00:00Z", "2026-01-11T05:00:00Z");
        check(&berlin, "2026-12-31T22:00:00Z", "2027-01-01T05:00:00Z");
        // The night in which the clocks change: 02:30 is left out, or comes twice and counts the first time.
        let night = by("02:30", "Europe/Berlin");
        check(&night, "2026-03-28T23:00:00Z", "2026-03-29T01:30:00Z");
        check(&night, "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z");
        check(&by("02:15", "Australia/Lord_Howe"), "2026-10-03T12:00:00Z", "2026-10-03T15:45:00Z");
    }

    #[test]
    fn a_length_counts_from_the_creation_and_a_time_of_day_from_when_it_was_due() {
        let within = Deadline { within_ms: Some(90_000), ..Deadline::default() };
        assert_eq!(within.at(10_000_000, 0, "UTC"), Some(100_000_000));
        let by = Deadline { by: Some("00:01".to_owned()), ..Deadline::default() };
        assert_eq!(by.at(3_600_000_000, 0, "UTC"), Some(60_000_000), "late from its first moment");
        assert_eq!(Deadline { timezone: Some("Atlantis".to_owned()), ..by }.at(0, 0, "UTC"), None);
    }

    #[test]
    fn what_was_stored_before_there_were_times_of_day_reads_back() {
        let old: Deadline = serde_json::from_str(r#"{"within_ms": 50, "cancel": true}"#).unwrap();
        assert_eq!(old, Deadline { within_ms: Some(50), cancel: true, ..Deadline::default() });
    }
}
