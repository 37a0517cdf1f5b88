//! What a `sync` step says.

use std::num::{NonZeroU64, NonZeroUsize};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_spec::duration::{Elapsed, parse_ms};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

/// Copies files as they are, of any format or none: from a folder here or on another machine to a folder here or on another machine.
///
/// Files that are the same in both places are left alone, so it may run again at any time and goes on where it was. A file appears whole or
/// not at all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// A folder, a file, or a glob: a path relative to the workspace, `connection:path`, the URL of files that a connection leads to
    /// (`s3://`, `az://`, `gs://`, `sftp://`), or the `https://` URL of one file. `connection:/` is everything.
    pub from: Value,
    /// The folder that the files get into: a path relative to the workspace, `connection:path` or such a URL; with `hierarchy: merge`, the file.
    pub to: String,
    /// Globs of files to take, by their paths below `from`; one without `/` means names in any folder. All if absent.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of files to leave alone, in both places.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Only files that changed since: an instant, a day, or a duration before now, `7d`.
    #[serde(default)]
    pub modified_since: Option<Moment>,
    /// Only files that changed before.
    #[serde(default)]
    pub modified_before: Option<Moment>,
    /// What becomes of folders.
    #[serde(default)]
    pub hierarchy: Hierarchy,
    /// How files that are the same in both places are told.
    #[serde(default)]
    pub compare: Compare,
    /// Whether files are removed that the source does not have. Nothing is removed if a file could not be copied.
    #[serde(default)]
    pub delete: bool,
    /// Whether a source without files is none that is lost: then nothing is copied, and `delete` removes everything.
    #[serde(default)]
    pub allow_empty: bool,
    /// How what was written is compared with what was read.
    #[serde(default)]
    pub verify: VerifyFiles,
    /// Only says what would be copied and removed, in the manifest.
    #[serde(default)]
    pub dry_run: bool,
    /// Files on their way at the same time; 8 between folders here and buckets, else 4 if absent.
    #[serde(default)]
    pub parallelism: Option<NonZeroUsize>,
    /// How often files that could not be copied are tried again after the others, if that may help.
    #[serde(default = "two")]
    pub retries: u32,
    /// Bytes a second at most, all files together.
    #[serde(default)]
    pub max_bytes_per_s: Option<NonZeroU64>,
}

fn two() -> u32 {
    2
}

/// What becomes of folders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hierarchy {
    /// A file has the same path below both.
    #[default]
    Keep,
    /// All files get into one folder. Two of one name fail the step.
    Flatten,
    /// All files become one, in the order of their paths.
    Merge,
}

/// How files that are the same are told. What differs in size is never the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// By size and time: the same time where the sink keeps it (folders here, SFTP), else one that is not before the source's. Within the same
    /// second, by content.
    #[default]
    Time,
    /// By size alone.
    Size,
    /// By content: a digest that the store tells, else both are read.
    Digest,
    /// Not at all: everything is copied.
    None,
}

/// How what was written is compared with what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifyFiles {
    /// By the digest that the store tells of it; S3 does, others do not.
    #[default]
    Digest,
    /// Where the store tells none, it is read again.
    Read,
    /// Not at all.
    None,
}

/// A point in time, or one so long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Moment {
    /// `2026-03-01T06:00:00Z`, or the beginning of a day in UTC.
    At(Timestamp),
    /// `7d`.
    Ago(Elapsed),
}

impl Moment {
    /// The instant that it means at another one.
    pub(crate) fn seen_at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Ago(elapsed) => {
                let ago = jiff::SignedDuration::from_millis(i64::try_from(elapsed.ms).unwrap_or(i64::MAX));
                now.checked_sub(ago).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(ms) = parse_ms(&text) {
            return Ok(Self::Ago(Elapsed::from_ms(ms)));
        }
        let day = text.parse::<Date>().ok().filter(|_| !text.contains('T'));
        let day = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
        let instant = day.or_else(|| text.parse().ok());
        instant.map(Self::At).ok_or_else(|| {
            format!("`{text}` is neither an instant such as `2026-03-01T00:00:00Z`, a day, nor a duration such as `7d`")
        })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["2026-03-01T00:00:00Z", "2026-03-01", "7d"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let check = |text: &str| {
            Moment::try_from(text.to_owned())
                .map(|moment| moment.seen_at(now).to_string())
                .unwrap_or_default()
        };
        assert_eq!(check("7d"), "2026-03-03T12:00:00Z");
        assert_eq!(check("2026-03-01"), "2026-03-01T00:00:00Z");
        assert_eq!(check("2026-03-01T06:00:00+01:00"), "2026-03-01T05:00:00Z");
        assert_eq!(check("yesterday"), "");
    }
}
