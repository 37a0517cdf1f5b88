//! The intervals of a window trigger: window k is `[start + k sizes, start + (k + 1) sizes)`.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::period::Period;
use crate::triggers::Window;

/// Average month of the Gregorian calendar, milliseconds: to find a window near an instant.
const MEAN_MONTH_MS: i64 = 2_629_746_000;

/// A window's time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// Its first instant.
    pub start: Timestamp,
    /// The instant after its last.
    pub end: Timestamp,
}

impl Interval {
    /// Whether the two have an instant in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// All windows of one size.
#[derive(Debug, Clone)]
pub struct WindowSeries {
    anchor: Zoned,
    size: Period,
    until: Option<Timestamp>,
}

impl WindowSeries {
    /// The windows of a trigger in its zone. `None` if `from` and `offset` lead beyond the calendar.
    pub fn new(window: &Window, zone: TimeZone) -> Option<Self> {
        let from = window.from.starts(&zone)?.to_zoned(zone.clone());
        let anchor = window.offset.unwrap_or(Period::ZERO).after(&from, 1)?;
        Some(Self {
            anchor,
            size: window.window,
            until: window.until.as_ref().and_then(|until| until.ends(&zone)),
        })
    }

    /// Window `k`, from 0. `None` after `until`, and where the calendar ends.
    pub fn at(&self, k: i64) -> Option<Interval> {
        let interval = self.interval(k)?;
        (k >= 0 && self.until.is_none_or(|until| interval.start <= until)).then_some(interval)
    }

    /// Number of the window that an instant is in; negative before the first.
    pub fn index_of(&self, instant: Timestamp) -> i64 {
        let size = i64::from(self.size.months) * MEAN_MONTH_MS
            + i64::from(self.size.days) * 86_400_000
            + self.size.ms;
        let passed = instant.duration_since(self.anchor.timestamp()).as_millis();
        let mut k = i64::try_from(passed.div_euclid(i128::from(size.max(1)))).unwrap_or(0);
        while self.interval(k).is_some_and(|window| window.start > instant) {
            k -= 1;
        }
        while self.interval(k).is_some_and(|window| window.end <= instant) {
            k += 1;
        }
        k
    }

    /// The first window that begins at `instant` or later.
    pub fn first_from(&self, instant: Timestamp) -> i64 {
        let k = self.index_of(instant);
        let begins_before = self.interval(k).is_some_and(|window| window.start < instant);
        (if begins_before { k + 1 } else { k }).max(0)
    }

    /// The windows that have an instant in common with an interval, oldest first; at most `most`.
    pub fn overlapping(&self, interval: Interval, most: usize) -> Vec<Interval> {
        let first = self.index_of(interval.start).max(0);
        (first..)
            .map_while(|k| self.at(k))
            .take_while(|window| window.start < interval.end)
            .filter(|window| window.overlaps(interval))
            .take(most)
            .collect()
    }

    /// The newest window that is over.
    pub fn last_complete(&self, now: Timestamp) -> Option<Interval> {
        let mut k = self.index_of(now) - 1;
        if let Some(until) = self.until {
            k = k.min(self.index_of(until));
        }
        self.at(k).filter(|window| window.end <= now)
    }

    /// The zone that its boundaries are in.
    pub fn zone(&self) -> &TimeZone {
        self.anchor.time_zone()
    }

    /// A period from an instant, in the zone of the series.
    pub fn moved(&self, instant: Timestamp, period: Period) -> Option<Timestamp> {
        Some(period.after(&instant.to_zoned(self.anchor.time_zone().clone()), 1)?.timestamp())
    }

    /// An instant as expressions see it, for example `2026-03-29T00:00:00+01:00`.
    pub fn written(&self, instant: Timestamp) -> String {
        instant.to_zoned(self.anchor.time_zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// What the boundaries depend on: with another text, another series begins.
    pub fn text(&self) -> String {
        let zone = self.anchor.time_zone().iana_name().unwrap_or("UTC");
        format!("{} {} {zone}", self.size, self.anchor.timestamp())
    }

    fn interval(&self, k: i64) -> Option<Interval> {
        let start = self.size.after(&self.anchor, k)?.timestamp();
        let end = self.size.after(&self.anchor, k.checked_add(1)?)?.timestamp();
        Some(Interval { start, end })
    }
}
