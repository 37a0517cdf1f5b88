//! When schedules fire: pure functions of a rule, a zone and an instant. All instants are UTC; a zone only says how they were written.

mod calendar;
mod recurrence;
mod series;

use std::str::FromStr as _;
use std::sync::Arc;

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

pub use calendar::{Calendar, Calendars, Days, MonthDay, schema as calendar_schema};
pub use recurrence::{RecurrenceRule, resolve};
pub use series::{Interval, WindowSeries};

use crate::problem::Problem;
use crate::triggers::{MISSED_FOR, Missed, Overlap, Trigger};

/// Firings of one trigger that are made up for after a downtime, at most.
pub const MOST_MISSED: usize = 1_000;
/// How late a firing may be and still not count as missed.
pub const PUNCTUAL: SignedDuration = SignedDuration::from_secs(60);
/// Days in a row that a calendar may leave out before a schedule counts as one that never fires: forty years.
const MOST_DAYS_OFF: usize = 15_000;

/// The instants at which a trigger fires.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: TimeZone,
    calendar: Option<Arc<Calendar>>,
    /// How much later than its instant a firing begins.
    pub jitter: SignedDuration,
    /// What is owed for the past.
    pub missed: Missed,
    /// How far back.
    pub missed_for: SignedDuration,
    /// What a firing does while an earlier run goes on.
    pub overlap: Overlap,
    /// The rule as text: firings under another text are not owed.
    pub text: String,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(Box<croner::Cron>),
    Recurrence(Box<RecurrenceRule>),
}

/// One of the next instants, as an editor shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The instant.
    pub at: Timestamp,
    /// The same in the trigger's zone, for example `2026-03-29T03:00:00+02:00`.
    pub local: String,
    /// What a change of the clock has to do with it.
    pub clock_change: Option<String>,
}

impl Schedule {
    /// The schedule of a trigger, if its kind has one. `id` is the trigger's, `pipeline/trigger`.
    ///
    /// # Errors
    /// If an expression, a zone or a calendar is not there.
    pub fn of(
        id: &str,
        trigger: &Trigger,
        default_zone: &str,
        calendars: &Calendars,
    ) -> Option<Result<Self, Box<Problem>>> {
        let (timezone, calendar) = match trigger {
            Trigger::Cron(cron) => (&cron.timezone, &cron.calendar),
            Trigger::Recurrence(recurrence) => (&recurrence.timezone, &recurrence.calendar),
            _ => return None,
        };
        let zone_name = timezone.as_deref().unwrap_or(default_zone);
        Some(find_zone(zone_name).and_then(|zone| {
            let calendar = calendar.as_ref().map(|name| find_calendar(name, calendars)).transpose()?;
            Self::new(id, trigger, zone_name, zone, calendar)
        }))
    }

    fn new(
        id: &str,
        trigger: &Trigger,
        zone_name: &str,
        zone: TimeZone,
        calendar: Option<Arc<Calendar>>,
    ) -> Result<Self, Box<Problem>> {
        let (rule, text, policy) = match trigger {
            Trigger::Cron(cron) => {
                let parsed = croner::Cron::from_str(&cron.cron).map_err(|error| {
                    let message = format!("`{}` is not a cron expression: {error}", cron.cron);
                    Box::new(Problem::error("bad-cron", message))
                })?;
                let policy = (cron.missed, cron.missed_for, cron.overlap, cron.jitter);
                (Rule::Cron(Box::new(parsed)), cron.cron.clone(), policy)
            }
            Trigger::Recurrence(every) => {
                let policy = (every.missed, every.missed_for, every.overlap, every.jitter);
                (
                    Rule::Recurrence(Box::new(RecurrenceRule::new(every, &zone))),
                    recurrence_text(every),
                    policy,
                )
            }
            other => {
                let message = format!("`{}` has no instants", other.word());
                return Err(Box::new(Problem::error("no-schedule", message)));
            }
        };
        let (missed, missed_for, overlap, jitter) = policy;
        let missed_for = missed_for.unwrap_or(MISSED_FOR);
        let most = jitter.map_or(0, |jitter| jitter.ms);
        Ok(Self {
            rule,
            zone,
            calendar,
            jitter: SignedDuration::from_millis(jitter_ms(id, most)),
            missed,
            missed_for: SignedDuration::from_millis(i64::try_from(missed_for.ms).unwrap_or(i64::MAX)),
            overlap,
            text: format!("{text} {zone_name}"),
        })
    }

    /// The instants strictly after `start`, soonest first.
    pub fn after(&self, start: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let mut here = start;
        std::iter::from_fn(move || {
            here = self.next(here)?;
            Some(here)
        })
    }

    /// The first instant strictly after `start` on a day that the calendar allows.
    pub fn next(&self, start: Timestamp) -> Option<Timestamp> {
        let mut here = start;
        for _ in 0..MOST_DAYS_OFF {
            let at = match &self.rule {
                Rule::Cron(cron) => {
                    // Whole seconds: a fraction of one would come back in every instant.
                    let second = Timestamp::from_second(here.as_second()).ok()?;
                    cron.find_next_occurrence(&second.to_zoned(self.zone.clone()), false).ok()?.timestamp()
                }
                Rule::Recurrence(rule) => rule.next(here)?,
            };
            let Some(calendar) = &self.calendar else { return Some(at) };
            let date = at.to_zoned(self.zone.clone()).date();
            if calendar.allows(date) {
                return Some(at);
            }
            let tomorrow = date.tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?;
            here = tomorrow.timestamp() - 1.second();
        }
        None
    }

    /// When a run for an instant begins.
    pub fn begins(&self, instant: Timestamp) -> Timestamp {
        instant.checked_add(self.jitter).unwrap_or(instant)
    }

    /// The instants to be fired now, oldest first, when everything up to `since` is settled.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        let until = now.checked_sub(self.jitter).unwrap_or(now);
        let oldest = now.checked_sub(self.missed_for.max(PUNCTUAL)).unwrap_or(Timestamp::MIN);
        // Nothing older would be fired, so it need not be counted either.
        let start = since.max(oldest.checked_sub(1.second()).unwrap_or(oldest));
        let passed = self.after(start).take_while(|at| *at <= until);
        match self.missed {
            Missed::All => passed.take(MOST_MISSED).collect(),
            Missed::Last => self.newest(start, until).into_iter().collect(),
            Missed::None => passed.filter(|at| until.duration_since(*at) < PUNCTUAL).collect(),
        }
    }

    /// The last instant in `(start, until]`. A rule of seconds has 86,400 in a day: the tail is looked at first.
    fn newest(&self, start: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let whole = until.duration_since(start);
        let mut span = SignedDuration::from_secs(120);
        loop {
            let begin = if span >= whole { start } else { until.checked_sub(span).unwrap_or(start) };
            let last = self.after(begin).take_while(|at| *at <= until).last();
            if last.is_some() || begin <= start {
                return last;
            }
            span = span.checked_mul(8).unwrap_or(whole);
        }
    }

    /// The next `count` instants after `start`, as an editor shows them.
    pub fn preview(&self, start: Timestamp, count: usize) -> Vec<Preview> {
        let preview = |at: Timestamp| {
            let local = at.to_zoned(self.zone.clone());
            Preview {
                at,
                local: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
                clock_change: clock_change(at, &self.zone),
            }
        };
        self.after(start).take(count).map(preview).collect()
    }

    /// The rule in words.
    pub fn describe(&self) -> String {
        match &self.rule {
            Rule::Cron(cron) => cron.describe(),
            Rule::Recurrence(_) => {
                self.text.rsplit_once(' ').map_or(&*self.text, |(text, _)| text).to_owned()
            }
        }
    }
}

/// The zone of a name.
///
/// # Errors
/// If there is none.
pub fn find_zone(name: &str) -> Result<TimeZone, Box<Problem>> {
    TimeZone::get(name).map_err(|_| {
        Box::new(
            Problem::error("unknown-timezone", format!("there is no time zone `{name}`"))
                .hint("use an IANA name such as `Europe/Berlin`"),
        )
    })
}

fn find_calendar(name: &str, calendars: &Calendars) -> Result<Arc<Calendar>, Box<Problem>> {
    calendars.get(name).cloned().ok_or_else(|| {
        let problem = Problem::error("unknown-calendar", format!("there is no calendar `{name}`"));
        Box::new(problem.hint(format!("write `calendars/{name}.yaml`")))
    })
}

/// A part of `most` that is always the same for a trigger.
fn jitter_ms(id: &str, most: u64) -> i64 {
    let hash = blake3::hash(id.as_bytes());
    let number = hash.as_bytes().iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    i64::try_from(number.checked_rem(most).unwrap_or(0)).unwrap_or(0)
}

/// What a change of the clock has to do with an instant.
fn clock_change(at: Timestamp, zone: &TimeZone) -> Option<String> {
    let local = at.to_zoned(zone.clone());
    if let AmbiguousOffset::Fold { before, .. } = zone.to_ambiguous_timestamp(local.datetime()).offset() {
        let which = if local.offset() == before { "first" } else { "second" };
        return Some(format!(
            "the clock shows {} twice on this day; this is the {which} time",
            local.strftime("%H:%M")
        ));
    }
    let change = zone.preceding(at + 1.second()).next()?;
    let before = zone.preceding(at).next().map(|earlier| earlier.offset());
    let jumps = before.is_some_and(|before| before < change.offset());
    (change.timestamp() == at && jumps).then(|| {
        let gone =
            before.map(|before| before.to_datetime(at).strftime("%H:%M").to_string()).unwrap_or_default();
        format!("the clock goes from {gone} to {} at this moment", local.strftime("%H:%M"))
    })
}

/// A recurrence in words: also its identity, so it says everything that its instants depend on.
fn recurrence_text(every: &crate::triggers::Recurrence) -> String {
    let value = serde_json::to_value(every).unwrap_or_default();
    let part = |key: &str| {
        let words = match value.get(key)? {
            serde_json::Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
            other => word(other),
        };
        Some(words)
    };
    let mut text = format!("every {}", every.every);
    for (key, before) in [
        ("weekdays", "on"),
        ("month_days", "on day"),
        ("nth", "on"),
        ("at", "at"),
        ("from", "from"),
        ("until", "until"),
        ("calendar", "by the calendar"),
    ] {
        if let Some(words) = part(key) {
            text.push_str(&format!(" {before} {words}"));
        }
    }
    text
}

fn word(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(fields) => {
            let nth = |(day, n): (&String, &serde_json::Value)| match n.as_i64() {
                Some(-1) => format!("the last {day}"),
                Some(n) if n < 0 => format!("the {day} number {} from the end", -n),
                _ => format!("the {day} number {n}"),
            };
            fields.iter().map(nth).collect::<Vec<_>>().join(" and ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
