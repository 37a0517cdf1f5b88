//! How the text of a cell becomes a value.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::{Parser as _, string_to_datetime};
use arrow::datatypes::TimestampMicrosecondType;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

use super::{ColumnSpec, ColumnType, Culture};

/// The form of a column's values.
#[derive(Debug, Clone)]
pub(crate) struct CellFormat {
    pub(crate) kind: ColumnType,
    time: Option<TimeFormat>,
    numerals: Option<Numerals>,
    nulls: Vec<Vec<u8>>,
}

/// A value of a fixed width; texts and bytes are appended where they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar {
    Boolean(bool),
    Int64(i64),
    Float64(f64),
    Int128(i128),
    Int32(i32),
}

impl CellFormat {
    /// The usual form of a type.
    pub(crate) fn plain(kind: ColumnType) -> Self {
        Self { kind, time: None, numerals: None, nulls: Vec::new() }
    }

    /// The form that a spec tells.
    ///
    /// # Errors
    /// In words, if the format is not one for times.
    pub(crate) fn of(spec: &ColumnSpec) -> Result<Self, String> {
        let ColumnSpec::Long(long) = spec else { return Ok(Self::plain(spec.kind())) };
        let time = long.format.as_deref().map(|format| TimeFormat::new(format, long.kind)).transpose()?;
        let nulls = long.null_values.iter().map(|text| text.clone().into_bytes()).collect();
        Ok(Self { kind: long.kind, time, numerals: Numerals::of(long.culture), nulls })
    }

    /// With texts that mean null in every column.
    pub(crate) fn with_nulls(mut self, nulls: &[String]) -> Self {
        self.nulls.extend(nulls.iter().map(|text| text.clone().into_bytes()));
        self
    }

    /// Whether values are written as they usually are.
    pub(super) fn is_plain(&self) -> bool {
        self.time.is_none() && self.numerals.is_none()
    }

    /// Whether a text means null in this column alone.
    pub(crate) fn is_null(&self, text: &[u8]) -> bool {
        self.nulls.iter().any(|null| null == text)
    }

    /// Whether a text is one of the type's. Only for types of a fixed width.
    pub(super) fn reads(&self, text: &[u8]) -> bool {
        self.scalar(text).is_some()
    }

    /// Reads a value of a fixed width; `None` if the text is not of this type.
    pub(super) fn scalar(&self, text: &[u8]) -> Option<Scalar> {
        let text = text.trim_ascii();
        if let Some(format) = &self.time {
            return format.parse(std::str::from_utf8(text).ok()?, self.kind);
        }
        let plain;
        let text = match &self.numerals {
            Some(numerals) => {
                plain = numerals.plain(text)?;
                plain.as_bytes()
            }
            None => text,
        };
        match self.kind {
            ColumnType::Boolean => boolean(text).map(Scalar::Boolean),
            ColumnType::Integer => integer(text).map(Scalar::Int64),
            ColumnType::Number => number(text).map(Scalar::Float64),
            ColumnType::Decimal { precision, scale } => decimal(text, precision, scale).map(Scalar::Int128),
            ColumnType::Date => date(text).map(Scalar::Int32),
            ColumnType::Datetime | ColumnType::Timestamp => {
                instant(std::str::from_utf8(text).ok()?).map(Scalar::Int64)
            }
            ColumnType::String | ColumnType::Binary => None,
        }
    }
}

/// Microseconds since 1970. Arrow's parser has room for the years of nanoseconds alone, 1677 to 2262.
fn instant(text: &str) -> Option<i64> {
    TimestampMicrosecondType::parse(text).or_else(|| {
        let utc: Tz = "+00:00".parse().ok()?;
        Some(string_to_datetime(&utc, text).ok()?.timestamp_micros())
    })
}

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"TRUE" | b"True" | b"t" | b"yes" => Some(true),
        b"false" | b"FALSE" | b"False" | b"f" | b"no" => Some(false),
        _ => None,
    }
}

/// Digits with a sign, without `str::parse`'s checks of each digit as long as nothing can overflow.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Digits at most that a float holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
/// Powers of ten that are exact floats too.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A number. The quotient of two exact floats is rounded once, so for few digits it is what the exact algorithm gives (Clinger, "How to Read
/// Floating Point Numbers Accurately", 1990); all others are left to that.
#[allow(clippy::cast_precision_loss, reason = "fifteen digits have room")]
pub(super) fn number(text: &[u8]) -> Option<f64> {
    let exact = || std::str::from_utf8(text).ok()?.parse().ok();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let (mut value, mut seen, mut after_point) = (0_u64, 0_usize, None);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if *byte != b'.' || after_point.is_some() {
                return exact();
            }
            after_point = Some(0);
            continue;
        }
        if seen == EXACT_DIGITS {
            return exact();
        }
        value = value * 10 + u64::from(digit);
        seen += 1;
        if let Some(count) = &mut after_point {
            *count += 1;
        }
    }
    if seen == 0 {
        return exact();
    }
    let value = value as f64 / POWERS.get(after_point.unwrap_or(0))?;
    Some(if negative { -value } else { value })
}

/// Exactly the digits that fit; more digits after the point are no value of this type.
fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let mut value = 0_i128;
    let mut after_point: Option<i8> = None;
    let mut any = false;
    for byte in digits {
        if *byte == b'.' && after_point.is_none() {
            after_point = Some(0);
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        any = true;
        if let Some(count) = &mut after_point {
            if *count == scale {
                // Nothing is lost with a nought.
                if digit == 0 {
                    continue;
                }
                return None;
            }
            *count += 1;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    if !any {
        return None;
    }
    let missing = u32::try_from(scale - after_point.unwrap_or(0)).ok()?;
    value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    let most = 10_i128.checked_pow(u32::from(precision))?;
    (value < most).then_some(if negative { -value } else { value })
}

/// `2026-03-01` as days since 1970.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let digits = [*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2].map(|byte| byte.wrapping_sub(b'0'));
    if digits.iter().any(|digit| *digit > 9) {
        return None;
    }
    let [y1, y2, y3, y4, m1, m2, d1, d2] = digits.map(i32::from);
    let (year, month, day) = (y1 * 1000 + y2 * 100 + y3 * 10 + y4, m1 * 10 + m2, d1 * 10 + d2);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > longest {
        return None;
    }
    Some(days(year, month, day))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A format of `strftime`.
#[derive(Debug, Clone)]
struct TimeFormat(String);

impl TimeFormat {
    fn new(format: &str, kind: ColumnType) -> Result<Self, String> {
        if !matches!(kind, ColumnType::Date | ColumnType::Datetime | ColumnType::Timestamp) {
            return Err(format!("`format` is for dates and times; a column of the type {kind} has none"));
        }
        // What a format prints of a time it must be able to read.
        let probe = jiff::civil::datetime(2026, 3, 1, 14, 5, 6, 0);
        let probe = probe.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
        let text = jiff::fmt::strtime::format(format, &probe)
            .map_err(|error| format!("`{format}` is not a format of times: {error}"))?;
        let found = Self(format.to_owned());
        match found.parse(&text, kind) {
            Some(_) => Ok(found),
            None => Err(format!(
                "`{format}` does not tell a whole {kind}; `%d.%m.%Y` tells a date, with ` %H:%M:%S` a datetime"
            )),
        }
    }

    fn parse(&self, text: &str, kind: ColumnType) -> Option<Scalar> {
        let time = BrokenDownTime::parse(&self.0, text).ok()?;
        let day = || {
            let date = time.to_date().ok()?;
            Some(days(i32::from(date.year()), i32::from(date.month()), i32::from(date.day())))
        };
        if kind == ColumnType::Date {
            return day().map(Scalar::Int32);
        }
        let civil = match time.to_datetime() {
            Ok(civil) => civil,
            Err(_) => time.to_date().ok()?.at(0, 0, 0, 0),
        };
        let offset = time.offset().unwrap_or(Offset::UTC);
        let instant = offset.to_timestamp(civil).ok()?;
        Some(Scalar::Int64(instant.as_microsecond()))
    }
}

/// What stands between digits.
#[derive(Debug, Clone)]
struct Numerals {
    point: char,
    groups: &'static [char],
}

impl Numerals {
    fn of(culture: Culture) -> Option<Self> {
        let (point, groups): (char, &'static [char]) = match culture {
            Culture::Plain => return None,
            Culture::En => ('.', &[',']),
            Culture::De => (',', &['.']),
            Culture::Fr => (',', &[' ', '\u{a0}', '\u{202f}']),
            Culture::Ch => ('.', &['\'', '’']),
        };
        Some(Self { point, groups })
    }

    /// The number with a point and without groups. Groups have three digits; `1,23` is no English number.
    fn plain(&self, text: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, rest) = match text.split_once(self.point) {
            Some((whole, rest)) => (whole, Some(rest)),
            None => (text, None),
        };
        let mut groups = whole.split(|letter| self.groups.contains(&letter));
        let mut plain = groups.next()?.to_owned();
        let first_digits = plain.trim_start_matches(['-', '+']).len();
        for group in groups {
            if group.len() != 3 || first_digits == 0 || first_digits > 3 {
                return None;
            }
            plain.push_str(group);
        }
        if let Some(rest) = rest {
            if rest.contains(self.groups) {
                return None;
            }
            plain.push('.');
            plain.push_str(rest);
        }
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LongColumnSpec;
    use super::*;

    fn read(kind: &str, text: &str) -> Option<Scalar> {
        CellFormat::plain(kind.parse().unwrap()).scalar(text.as_bytes())
    }

    fn read_long(kind: &str, format: Option<&str>, culture: Culture, text: &str) -> Option<Scalar> {
        let format = format.map(str::to_owned);
        let kind = kind.parse().unwrap();
        let long = LongColumnSpec {
            kind,
            format,
            culture,
            null_values: Vec::new(),
            truncate: false,
            optional: false,
        };
        CellFormat::of(&ColumnSpec::Long(long)).unwrap().scalar(text.as_bytes())
    }

    #[test]
    fn numbers() {
        assert_eq!(read("integer", " -42 "), Some(Scalar::Int64(-42)));
        assert_eq!(read("integer", "9223372036854775807"), Some(Scalar::Int64(i64::MAX)));
        assert_eq!(read("integer", "-9223372036854775808"), Some(Scalar::Int64(i64::MIN)));
        for text in ["9223372036854775808", "", "-", "1.0", "1e3", "0x1", "１"] {
            assert_eq!(read("integer", text), None, "{text}");
        }
        assert_eq!(read("number", "1e-3"), Some(Scalar::Float64(0.001)));
        assert_eq!(read("number", "1,5"), None);
        for text in [".5", "5.", "-0", "+7", "1e400", "NaN", "123456789012345.6", "0.000000000000001"] {
            let said = number(text.as_bytes()).map(f64::to_bits);
            assert_eq!(said, text.parse::<f64>().ok().map(f64::to_bits), "{text}");
        }
        assert_eq!([".", "-", "", "1.2.3", "--1"].map(|text| number(text.as_bytes())), [None; 5]);
    }

    proptest::proptest! {
        /// The short way is the exact one.
        #[test]
        fn numbers_are_exact(text in "-?[0-9]{0,17}(\\.[0-9]{0,17})?") {
            let exact = text.parse::<f64>().ok().map(f64::to_bits);
            proptest::prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), exact);
        }
    }

    #[test]
    fn decimals_lose_nothing() {
        assert_eq!(read("decimal(5,2)", "12.3"), Some(Scalar::Int128(1230)));
        assert_eq!(read("decimal(5,2)", "-.5"), Some(Scalar::Int128(-50)));
        assert_eq!(read("decimal(5,2)", "12.300"), Some(Scalar::Int128(1230)));
        assert_eq!(read("decimal(5,2)", "999.99"), Some(Scalar::Int128(99_999)));
        for text in ["1000", "12.345", ".", "", "1.2.3", "1e2"] {
            assert_eq!(read("decimal(5,2)", text), None, "{text}");
        }
        let long = "9".repeat(38);
        assert_eq!(read("decimal(38,0)", &long), Some(Scalar::Int128(10_i128.pow(38) - 1)));
        assert_eq!(read("decimal(38,0)", &format!("1{}", "0".repeat(38))), None);
    }

    #[test]
    fn days_and_times() {
        assert_eq!(read("date", "1970-01-01"), Some(Scalar::Int32(0)));
        assert_eq!(read("date", "2000-02-29"), Some(Scalar::Int32(11_016)));
        assert_eq!(read("date", "0001-01-01"), Some(Scalar::Int32(-719_162)));
        for text in ["1900-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026-04-31"] {
            assert_eq!(read("date", text), None, "{text}");
        }
        assert_eq!(read("datetime", "1970-01-01 00:00:01.5"), Some(Scalar::Int64(1_500_000)));
        assert_eq!(read("timestamp", "1970-01-01T01:00:00+01:00"), Some(Scalar::Int64(0)));
        assert_eq!(read("datetime", "0001-01-01T00:00:00"), Some(Scalar::Int64(-62_135_596_800_000_000)));
        let last = Some(Scalar::Int64(253_402_300_799_999_999));
        assert_eq!(read("timestamp", "9999-12-31 23:59:59.999999Z"), last);
    }

    #[test]
    fn forms_of_other_countries() {
        let de = |text| read_long("decimal(9,2)", None, Culture::De, text);
        assert_eq!(de("1.234,5"), Some(Scalar::Int128(123_450)));
        assert_eq!(de("-1234,50"), Some(Scalar::Int128(-123_450)));
        assert_eq!(de("1.23"), None);
        assert_eq!(de("1234.567,00"), None);
        assert_eq!(
            read_long("number", None, Culture::Fr, "12\u{202f}345,5"),
            Some(Scalar::Float64(12_345.5))
        );
        assert_eq!(read_long("integer", None, Culture::Ch, "1'234"), Some(Scalar::Int64(1234)));
        assert_eq!(read_long("date", Some("%d.%m.%Y"), Culture::Plain, "01.01.1970"), Some(Scalar::Int32(0)));
        let minutes = |text| read_long("datetime", Some("%d/%m/%y %H:%M"), Culture::Plain, text);
        assert_eq!(minutes("02/01/70 00:01"), Some(Scalar::Int64(86_460_000_000)));
        assert_eq!(minutes("2/1/70"), None);
        let zoned = read_long("timestamp", Some("%Y%m%dT%H%M%S%z"), Culture::Plain, "19700101T010000+0100");
        assert_eq!(zoned, Some(Scalar::Int64(0)));
        assert!(TimeFormat::new("%H:%M", ColumnType::Date).is_err());
        assert!(TimeFormat::new("%d.%m.%Y", ColumnType::Integer).is_err());
        assert!(TimeFormat::new("%", ColumnType::Date).is_err());
    }
}
