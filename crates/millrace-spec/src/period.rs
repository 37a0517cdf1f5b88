//! Periods as people write them: elapsed (`15m`, `6h`) or civil (`1d`, `2w`, `1mo`, `1y`), which a zone makes 23 or 25 hours long.

use std::fmt;
use std::str::FromStr;

use jiff::{Span, Zoned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest period of each unit, so that a sum of them stays a date.
const MOST_MONTHS: i64 = 12 * 1_000;
const MOST_DAYS: i64 = 366 * 1_000;
const MOST_MS: i64 = 366 * 1_000 * 86_400_000;

/// A length of time: civil months and days, and elapsed milliseconds. May be negative where that has a meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    /// Civil months; a year is twelve.
    pub months: i32,
    /// Civil days; a week is seven.
    pub days: i32,
    /// Elapsed milliseconds.
    pub ms: i64,
}

/// Text that is not a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a period: write a number and a unit, for example `15m`, `6h`, `1d`, `2w`, `1mo`")]
pub struct InvalidPeriod {
    /// The refused text.
    pub text: String,
}

impl Period {
    /// No time at all.
    pub const ZERO: Self = Self { months: 0, days: 0, ms: 0 };

    /// Whether it is a length of civil time alone.
    pub fn is_civil(self) -> bool {
        self.ms == 0 && self != Self::ZERO
    }

    /// Whether it is a length of elapsed time alone.
    pub fn is_elapsed(self) -> bool {
        self.months == 0 && self.days == 0 && self.ms != 0
    }

    /// Whether it leads forward.
    pub fn is_positive(self) -> bool {
        self.sign() == Some(1)
    }

    /// Whether it leads back.
    pub fn is_negative(self) -> bool {
        self.sign() == Some(-1)
    }

    /// Its elapsed length if a day has 24 hours and a month 30 days, milliseconds: to compare, not to add.
    pub fn nominal_ms(self) -> i64 {
        (i64::from(self.months) * 30 + i64::from(self.days)) * 86_400_000 + self.ms
    }

    /// `start` and `count` times this. `None` beyond the calendar.
    ///
    /// Civil parts are added to the date and clock of `start`'s zone, all at once, so that the 31st comes back after a short month.
    pub fn after(self, start: &Zoned, count: i64) -> Option<Zoned> {
        let span = Span::new()
            .try_months(i64::from(self.months).checked_mul(count)?)
            .ok()?
            .try_days(i64::from(self.days).checked_mul(count)?)
            .ok()?
            .try_milliseconds(self.ms.checked_mul(count)?)
            .ok()?;
        start.checked_add(span).ok()
    }

    fn sign(self) -> Option<i64> {
        let parts = [i64::from(self.months), i64::from(self.days), self.ms];
        let mut signs = parts.iter().map(|part| part.signum()).filter(|sign| *sign != 0);
        let first = signs.next()?;
        signs.all(|sign| sign == first).then_some(first)
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = || InvalidPeriod { text: text.to_owned() };
        let (negative, mut rest) = match text.trim().strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let (mut months, mut days, mut ms) = (0_i64, 0_i64, 0_i64);
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, next) = tail.split_at(end);
            let number: i64 = number.parse().map_err(|_| invalid())?;
            let (sum, factor, most) = match unit {
                "y" => (&mut months, 12, MOST_MONTHS),
                "mo" => (&mut months, 1, MOST_MONTHS),
                "w" => (&mut days, 7, MOST_DAYS),
                "d" => (&mut days, 1, MOST_DAYS),
                "h" => (&mut ms, 3_600_000, MOST_MS),
                "m" => (&mut ms, 60_000, MOST_MS),
                "s" => (&mut ms, 1_000, MOST_MS),
                "ms" => (&mut ms, 1, MOST_MS),
                _ => return Err(invalid()),
            };
            *sum = number
                .checked_mul(factor)
                .and_then(|part| sum.checked_add(part))
                .filter(|total| *total <= most)
                .ok_or_else(invalid)?;
            rest = next;
        }
        let sign = if negative { -1 } else { 1 };
        let small = |number: i64| i32::try_from(number * sign).map_err(|_| invalid());
        Ok(Self { months: small(months)?, days: small(days)?, ms: ms * sign })
    }
}

impl fmt::Display for Period {
    /// The largest units that come out even: `1d`, `2w`, `1mo`, `90s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ZERO {
            return f.write_str("0s");
        }
        if self.is_negative() {
            f.write_str("-")?;
        }
        let parts: [(i64, &[(i64, &str)]); 3] = [
            (i64::from(self.months), &[(12, "y"), (1, "mo")]),
            (i64::from(self.days), &[(7, "w"), (1, "d")]),
            (self.ms, &[(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")]),
        ];
        for (amount, units) in parts {
            let amount = amount.abs();
            let even = units.iter().find(|(factor, _)| amount > 0 && amount % factor == 0);
            if let Some((factor, unit)) = even {
                write!(f, "{}{unit}", amount / factor)?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;

    fn try_from(text: String) -> Result<Self, InvalidPeriod> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^-?([0-9]+(ms|s|m|h|d|w|mo|y))+$", "examples": ["15m", "6h", "1d", "2w", "1mo"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_and_write_as_people_do() {
        for text in ["15m", "6h", "90s", "1d", "2w", "1mo", "1y", "-1d", "1mo2d", "250ms"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("7d".parse::<Period>().unwrap().to_string(), "1w");
        assert_eq!("1h30m".parse::<Period>().unwrap().to_string(), "90m");
        for bad in ["", "5", "d", "1.5h", "1x", "--1d", "99999999999y", "1d 2h"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_civil_day_is_as_long_as_the_zone_has_it() {
        let start: Zoned = "2026-03-28T00:00:00[Europe/Berlin]".parse().unwrap();
        let day: Period = "1d".parse().unwrap();
        let hours = |k| (&day.after(&start, k + 1).unwrap() - &day.after(&start, k).unwrap()).get_hours();
        assert_eq!([hours(0), hours(1), hours(2)], [24, 23, 24]);
        let month: Period = "1mo".parse().unwrap();
        let end: Zoned = "2026-01-31T00:00:00[UTC]".parse().unwrap();
        let days: Vec<i8> = (1..4).map(|k| month.after(&end, k).unwrap().day()).collect();
        assert_eq!(days, [28, 31, 30]);
    }
}
