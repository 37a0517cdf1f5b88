//! Names and identifiers, one type each, so that a step's name cannot be passed where a run's is wanted.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that may stand in an expression: `[a-z][a-z0-9_]*`, at most 64 characters.
///
/// A hyphen is not allowed since `a-b` in an expression is a subtraction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters")]
pub struct InvalidName {
    /// The refused text.
    pub name: String,
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"))] String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName { name: text.to_owned() }) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A pipeline's name, the `pipeline:` key of its file.
    PipelineName
);
name_type!(
    /// A step's name, its key in `steps:`.
    StepId
);
name_type!(
    /// A secret's name, `NAME` in `${{ secrets.NAME }}`.
    SecretName
);

/// A step of a run, or one item of a step with `foreach` or `matrix`: written `train` and `train[3]`, items from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepKey {
    /// The step.
    pub step: StepId,
    /// Which item of it.
    pub item: Option<u32>,
}

impl StepKey {
    /// An item of a step.
    pub fn item(step: StepId, item: u32) -> Self {
        Self { step, item: Some(item) }
    }
}

impl From<StepId> for StepKey {
    fn from(step: StepId) -> Self {
        Self { step, item: None }
    }
}
impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "{}[{item}]", self.step),
            None => self.step.fmt(f),
        }
    }
}
impl FromStr for StepKey {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName { name: text.to_owned() };
        let Some((step, item)) = text.strip_suffix(']').and_then(|open| open.split_once('[')) else {
            return Ok(text.parse::<StepId>()?.into());
        };
        // One way to write each key: no sign, no leading zero.
        let number: u32 = item.parse().map_err(|_| invalid())?;
        if number.to_string() != item {
            return Err(invalid());
        }
        Ok(Self::item(step.parse()?, number))
    }
}
impl TryFrom<String> for StepKey {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}
impl From<StepKey> for String {
    fn from(key: StepKey) -> String {
        key.to_string()
    }
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps the sixteen bytes of a UUID (version 7 for ids that we make).
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }
        impl fmt::Display for $name {
            /// 32 lower-case hex digits, as MLflow writes run ids.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
                let invalid = || InvalidId { id: text.to_owned() };
                if digits.len() != 32 {
                    return Err(invalid());
                }
                let mut bytes = [0_u8; 16];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
                }
                Ok(Self(bytes))
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

/// Text that should have been an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{id}` is not an id: 32 hex digits are expected")]
pub struct InvalidId {
    /// The refused text.
    pub id: String,
}

uuid_type!(
    /// One execution of a pipeline. Also the id of the MLflow run that mirrors it.
    PipelineRunId
);
uuid_type!(
    /// A run of an experiment, MLflow's `run_id`.
    TrackingRunId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_parse_inside_an_expression() {
        assert!("late_flights2".parse::<StepId>().is_ok());
        for bad in ["", "Late", "late-flights", "2late", "a.b", &"a".repeat(65)] {
            assert!(bad.parse::<StepId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn items_of_steps_are_written_with_their_number() {
        for text in ["train", "train[0]", "train[31]"] {
            assert_eq!(text.parse::<StepKey>().unwrap().to_string(), text);
        }
        for bad in ["train[", "train[]", "train[-1]", "train[01]", "Train[1]", "[1]", "train[1]x"] {
            assert!(bad.parse::<StepKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_round_trip_as_text() {
        let id = PipelineRunId::from_bytes([0x01, 0x8f, 0, 0xff, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(id.to_string(), "018f00ff0405060708090a0b0c0d0e0f");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("018f".parse::<PipelineRunId>().is_err());
    }
}
