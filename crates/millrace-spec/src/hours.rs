//! Hours of a week in a time zone, as people write them: `days: mon-fri`, `from: "09:00"`, `until: "17:00"`.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Days: `mon-fri`, or a list of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    #[serde(default)]
    pub days: Days,
    /// Beginning, `"09:00"`. A time that the clocks leave out counts as one that is as much later as they jump.
    pub from: String,
    /// End, `"17:00"`; one that is not after the beginning is of the next day.
    pub until: String,
    /// IANA zone, `Europe/Berlin`; the workspace's if absent.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Dates on which the hours do not begin: `"2026-12-25"`.
    #[serde(default)]
    pub closed: Vec<String>,
}

/// Days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Days {
    /// From one to another, `mon-fri`, or one.
    Range(String),
    /// Each by its word.
    List(Vec<String>),
}

impl Default for Days {
    fn default() -> Self {
        Self::Range("mon-fri".to_owned())
    }
}

/// What is wrong with hours, and in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidHours {
    /// `days`, `from`, `until`, `timezone` or `closed`.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Whether it is within the hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenState {
    /// Until this instant.
    Open(Timestamp),
    /// From this instant on; `None` if not within a year.
    Closed(Option<Timestamp>),
}

/// Hours that were read.
#[derive(Debug, Clone)]
pub struct OpeningHours {
    days: [bool; 7],
    from: Time,
    until: Time,
    zone: TimeZone,
    closed: Vec<Date>,
}

const WORDS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    /// Reads them; `zone` is the workspace's.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn read(&self, zone: &str) -> Result<OpeningHours, InvalidHours> {
        let zone = self.timezone.as_deref().unwrap_or(zone);
        let zone = TimeZone::get(zone).map_err(|_| InvalidHours {
            field: "timezone",
            message: format!("there is no time zone `{zone}`"),
        })?;
        let time = |field: &'static str, text: &str| {
            let full =
                text.split_once(':').is_some_and(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
            let read = text.parse::<Time>().ok().filter(|_| full);
            read.ok_or_else(|| InvalidHours {
                field,
                message: format!("`{text}` is not a time of day such as \"09:00\""),
            })
        };
        let date = |text: &String| {
            let message = format!("`{text}` is not a date such as \"2026-12-25\"");
            text.parse::<Date>().map_err(|_| InvalidHours { field: "closed", message })
        };
        Ok(OpeningHours {
            days: self.days.read()?,
            from: time("from", &self.from)?,
            until: time("until", &self.until)?,
            zone,
            closed: self.closed.iter().map(date).collect::<Result<_, _>>()?,
        })
    }

    /// For people: `mon-fri 09:00 to 17:00 (Europe/Berlin)`.
    pub fn words(&self) -> String {
        let days = match &self.days {
            Days::Range(range) => range.clone(),
            Days::List(list) => list.join(", "),
        };
        let zone = self.timezone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
        format!("{days} {} to {}{zone}", self.from, self.until)
    }
}

impl Days {
    fn read(&self) -> Result<[bool; 7], InvalidHours> {
        let place = |word: &str| {
            let message = format!("`{word}` is not a day: use {}", WORDS.join(", "));
            WORDS.iter().position(|known| *known == word).ok_or(InvalidHours { field: "days", message })
        };
        let mut days = [false; 7];
        match self {
            Self::List(list) => {
                for word in list {
                    days[place(word)?] = true;
                }
            }
            Self::Range(range) => {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (mut day, last) = (place(first.trim())?, place(last.trim())?);
                days[day] = true;
                while day != last {
                    day = (day + 1) % 7;
                    days[day] = true;
                }
            }
        }
        if days.contains(&true) {
            return Ok(days);
        }
        Err(InvalidHours { field: "days", message: "no day at all".to_owned() })
    }
}

impl OpeningHours {
    /// Whether `now` is within them.
    pub fn at(&self, now: Timestamp) -> OpenState {
        let today = now.to_zoned(self.zone.clone()).date();
        // Hours over midnight began yesterday; a year ahead has every weekday and passes every list of closed dates that ends.
        let days = (-1..=366).filter_map(|offset| today.checked_add(offset.days()).ok());
        for day in days.filter(|day| self.begins_on(*day)) {
            let Some((start, end)) = self.span(day) else { continue };
            if now < start {
                return OpenState::Closed(Some(start));
            }
            if now < end {
                return OpenState::Open(end);
            }
        }
        OpenState::Closed(None)
    }

    fn begins_on(&self, day: Date) -> bool {
        let weekday = day.weekday().since(Weekday::Monday);
        usize::try_from(weekday).is_ok_and(|index| self.days.get(index) == Some(&true))
            && !self.closed.contains(&day)
    }

    /// Beginning and end of the hours of a day.
    fn span(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let last = if self.until > self.from { day } else { day.tomorrow().ok()? };
        let instant =
            |day: Date, time: Time| self.zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok();
        let (start, end) = (instant(day, self.from)?, instant(last, self.until)?);
        // A day whose hours the clocks leave out has none.
        (end.duration_since(start) > SignedDuration::ZERO).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &str, from: &str, until: &str, zone: &str, closed: &[&str]) -> OpeningHours {
        let hours = Hours {
            days: Days::Range(days.to_owned()),
            from: from.to_owned(),
            until: until.to_owned(),
            timezone: Some(zone.to_owned()),
            closed: closed.iter().map(|date| (*date).to_owned()).collect(),
        };
        hours.read("UTC").unwrap()
    }

    #[track_caller]
    fn check(hours: &OpeningHours, now: &str, expected: &str) {
        let found = match hours.at(now.parse().unwrap()) {
            OpenState::Open(until) => format!("open until {until}"),
            OpenState::Closed(Some(from)) => format!("closed until {from}"),
            OpenState::Closed(None) => "closed".to_owned(),
        };
        assert_eq!(found, expected, "at {now}");
    }

    #[test]
    fn office_hours_follow_the_clocks() {
        let berlin = hours("mon-fri", "09:00", "17:00", "Europe/Berlin", &["2026-12-25"]);
        // Winter, then summer: the clocks go forward on 2026-03-29.
        check(&berlin, "2026-03-27T07:59:59Z", "closed until 2026-03-27T08:00:00Z");
        check(&berlin, "2026-03-27T08:00:00Z", "open until 2026-03-27T16:00:00Z");
        check(&berlin, "2026-03-27T16:00:00Z", "closed until 2026-03-30T07:00:00Z");
        check(&berlin, "2026-03-30T07:00:00Z", "open until 2026-03-30T15:00:00Z");
        // Christmas is a Friday.
        check(&berlin, "2026-12-24T17:00:00Z", "closed until 2026-12-28T08:00:00Z");
    }

    #[test]
    fn nights_cross_midnight_and_both_changes_of_the_clocks() {
        let night = hours("sat-sun", "22:00", "03:00", "Europe/Berlin", &[]);
        // On 2026-03-28 the night is an hour shorter, on 2026-10-24 an hour longer.
        check(&night, "2026-03-28T23:30:00Z", "open until 2026-03-29T01:00:00Z");
        check(&night, "2026-10-24T23:30:00Z", "open until 2026-10-25T02:00:00Z");
        check(&night, "2026-10-25T02:00:00Z", "closed until 2026-10-25T21:00:00Z");
        // 02:30 does not exist on 2026-03-29: the hours begin right after the gap, as much later as the clocks jump.
        let gap = hours("sun", "02:30", "04:00", "Europe/Berlin", &[]);
        check(&gap, "2026-03-29T00:00:00Z", "closed until 2026-03-29T01:30:00Z");
        // Half an hour of difference.
        let lord_howe = hours("mon-sun", "08:00", "09:00", "Australia/Lord_Howe", &[]);
        check(&lord_howe, "2026-04-04T20:59:00Z", "closed until 2026-04-04T21:30:00Z");
        check(&lord_howe, "2026-10-03T20:00:00Z", "closed until 2026-10-03T21:00:00Z");
    }

    #[test]
    fn wrong_hours_name_their_field() {
        let field = |days: &str, from: &str, zone: &str| {
            let hours = Hours {
                days: Days::Range(days.to_owned()),
                from: from.to_owned(),
                until: "17:00".to_owned(),
                timezone: Some(zone.to_owned()),
                closed: Vec::new(),
            };
            hours.read("UTC").unwrap_err().field
        };
        assert_eq!(field("mon-fry", "09:00", "UTC"), "days");
        assert_eq!(field("mon", "9", "UTC"), "from");
        assert_eq!(field("mon", "09:00", "Mars/Base"), "timezone");
    }
}
