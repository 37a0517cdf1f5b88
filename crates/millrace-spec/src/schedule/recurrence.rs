//! The instants of a recurrence: cells (days, weeks, months) counted from the anchor, days within a cell, times within a day.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use crate::triggers::{Recurrence, Weekday};

/// Cells without an instant after which a rule counts as one that never fires: four centuries of months, the calendar's cycle.
const MOST_CELLS: i64 = 4_800;

/// A recurrence in a zone.
#[derive(Debug, Clone)]
pub struct RecurrenceRule {
    unit: Unit,
    zone: TimeZone,
    /// Nothing before it.
    from: Timestamp,
    /// Nothing after it.
    until: Option<Timestamp>,
    anchor: Date,
    times: Vec<Time>,
    weekdays: Vec<Weekday>,
    month_days: Vec<i8>,
    nth: Vec<(Weekday, i8)>,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Seconds.
    Elapsed(i64),
    Days(i64),
    Weeks(i64),
    Months(i64),
}

impl RecurrenceRule {
    /// The rule of a checked trigger.
    pub fn new(recurrence: &Recurrence, zone: &TimeZone) -> Self {
        let every = recurrence.every;
        let unit = match (every.months, every.days) {
            (months, _) if months > 0 => Unit::Months(months.into()),
            (_, days) if days > 0 && days % 7 == 0 => Unit::Weeks((days / 7).into()),
            (_, days) if days > 0 => Unit::Days(days.into()),
            _ => Unit::Elapsed((every.ms / 1_000).max(1)),
        };
        let default_day = if matches!(unit, Unit::Weeks(_)) { 3 } else { 1 };
        let default_date = Date::constant(2000, 1, default_day);
        let from = recurrence.from.as_ref().and_then(|from| from.starts(zone)).unwrap_or_else(|| {
            default_date.to_zoned(zone.clone()).map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
        });
        let local = from.to_zoned(zone.clone());
        let mut times: Vec<Time> = recurrence.at.iter().map(|time| time.0).collect();
        if times.is_empty() {
            times.push(local.time());
        }
        times.sort_unstable();
        Self {
            unit,
            zone: zone.clone(),
            from,
            until: recurrence.until.as_ref().and_then(|until| until.ends(zone)),
            anchor: local.date(),
            times,
            weekdays: recurrence.weekdays.clone(),
            month_days: recurrence.month_days.clone(),
            nth: recurrence.nth.iter().flat_map(|days| days.iter().map(|(day, n)| (*day, *n))).collect(),
        }
    }

    /// The first instant there is.
    pub fn first(&self) -> Option<Timestamp> {
        self.next(self.from - 1.second())
    }

    /// The first instant strictly after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = match self.unit {
            Unit::Elapsed(seconds) => self.next_elapsed(seconds, after),
            _ => self.next_civil(after),
        };
        next.filter(|at| self.until.is_none_or(|until| *at <= until))
    }

    fn next_elapsed(&self, seconds: i64, after: Timestamp) -> Option<Timestamp> {
        let mut after = after;
        for _ in 0..MOST_CELLS {
            let passed = after.duration_since(self.from).as_secs();
            let count = if after < self.from { 0 } else { passed / seconds + 1 };
            let at = self.from.checked_add(count.checked_mul(seconds)?.seconds()).ok()?;
            let date = at.to_zoned(self.zone.clone()).date();
            if self.on_weekday(date) {
                return Some(at);
            }
            let tomorrow = date.tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?;
            after = tomorrow.timestamp() - 1.second();
        }
        None
    }

    fn next_civil(&self, after: Timestamp) -> Option<Timestamp> {
        let here = after.max(self.from).to_zoned(self.zone.clone()).date();
        // One cell back, since a zone may move an instant over midnight.
        let first = (self.cell_of(here) - 1).max(0);
        for cell in first..first + MOST_CELLS {
            let mut instants: Vec<Timestamp> = Vec::new();
            for date in self.dates(cell)? {
                instants.extend(self.times.iter().filter_map(|time| resolve(date, *time, &self.zone)));
            }
            instants.sort_unstable();
            if let Some(at) = instants.into_iter().find(|at| *at > after && *at >= self.from) {
                return Some(at);
            }
        }
        None
    }

    /// Number of the cell that a date is in, from 0 at the anchor.
    fn cell_of(&self, date: Date) -> i64 {
        let days = |since: Date| i64::from(date.since(since).map_or(0, |span| span.get_days()));
        match self.unit {
            Unit::Elapsed(_) => 0,
            Unit::Days(count) => days(self.anchor).div_euclid(count),
            Unit::Weeks(count) => days(monday_of(self.anchor)).div_euclid(7 * count),
            Unit::Months(count) => (month_number(date) - month_number(self.anchor)).div_euclid(count),
        }
    }

    /// The dates of a cell, in order. `None` beyond the calendar.
    fn dates(&self, cell: i64) -> Option<Vec<Date>> {
        match self.unit {
            Unit::Elapsed(_) => None,
            Unit::Days(count) => {
                let date = self.anchor.checked_add(cell.checked_mul(count)?.days()).ok()?;
                Some(vec![date].into_iter().filter(|date| self.on_weekday(*date)).collect())
            }
            Unit::Weeks(count) => {
                let monday =
                    monday_of(self.anchor).checked_add((cell.checked_mul(count)? * 7).days()).ok()?;
                let week = (0..7).filter_map(|day| monday.checked_add(day.days()).ok());
                let wanted = |date: &Date| match self.weekdays.is_empty() {
                    true => date.weekday() == self.anchor.weekday(),
                    false => self.on_weekday(*date),
                };
                Some(week.filter(wanted).collect())
            }
            Unit::Months(count) => self.dates_of_month(month_number(self.anchor) + cell.checked_mul(count)?),
        }
    }

    fn dates_of_month(&self, month: i64) -> Option<Vec<Date>> {
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let first = Date::new(year, i8::try_from(month.rem_euclid(12) + 1).ok()?, 1).ok()?;
        let length = first.days_in_month();
        let all = (1..=length).filter_map(|day| Date::new(year, first.month(), day).ok());
        let by_rule = !self.month_days.is_empty() || !self.nth.is_empty();
        let wanted = |date: &Date| {
            if !by_rule {
                return match self.weekdays.is_empty() {
                    true => date.day() == self.anchor.day(),
                    false => self.on_weekday(*date),
                };
            }
            let counted = |day: i8| if day < 0 { length + 1 + day } else { day };
            let by_day = self.month_days.iter().any(|day| counted(*day) == date.day());
            let by_weekday = self.nth.iter().any(|(weekday, nth)| {
                let from_start = (date.day() - 1) / 7 + 1;
                let from_end = (length - date.day()) / 7 + 1;
                date.weekday() == weekday.civil() && (from_start == *nth || from_end == -nth)
            });
            (by_day || by_weekday) && self.on_weekday(*date)
        };
        Some(all.filter(wanted).collect())
    }

    fn on_weekday(&self, date: Date) -> bool {
        self.weekdays.is_empty() || self.weekdays.iter().any(|day| day.civil() == date.weekday())
    }
}

/// The instant of a local time: right after the gap if the clock leaves it out, the first if it comes twice.
pub fn resolve(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let local = date.to_datetime(time);
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let earlier = after.to_timestamp(local).ok()?;
            zone.following(earlier).next().map(|change| change.timestamp())
        }
    }
}

fn monday_of(date: Date) -> Date {
    let days = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(days.days()).unwrap_or(date)
}

fn month_number(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}
