//! Durations as people write them: `30s`, `1h30m`, `250ms`, `7d`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a schema says of a duration; [`crate::validate`] explains what does not fit it.
pub const PATTERN: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// A duration as it stands in a file; milliseconds inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub u64);

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = parse_ms(&text).map(Self);
        parsed.ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is not a duration")))
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN})
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Milliseconds of a duration, or `None` if the text is not one.
///
/// A number and a unit (`ms`, `s`, `m`, `h`, `d`), one or more, without blanks; days are 24 hours.
pub fn parse_ms(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_length);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_and_nonsense_is_none() {
        assert_eq!(parse_ms("1h30m"), Some(5_400_000));
        assert_eq!(parse_ms("250ms"), Some(250));
        assert_eq!(parse_ms("7d"), Some(604_800_000));
        for bad in ["", "5", "h", "5 m", "1y", "-1s", "99999999999999999999s", "1.5h"] {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }
}
