//! `data:flights@3`, `models:/churn@champion`: how people name a version.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_metastore::assets::VersionSelector;

/// A name and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// Which version.
    pub selector: VersionSelector,
}

/// Why a text names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidReference {
    /// Why.
    pub reason: String,
}

impl Reference {
    /// Reads `name`, `name@3`, `name@latest`, `name@alias`, `name@2026-03-01T06:00:00Z` or `name/3`, after `data:`. A time means the
    /// version that was the newest then; a date without a time of day begins it in UTC, as in Delta's `timestamp as of`.
    ///
    /// # Errors
    /// If the name could not be one: see [`check_name`].
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let rest = text.strip_prefix("data:").unwrap_or(text);
        let (name, version) =
            rest.split_once('@').or_else(|| rest.rsplit_once('/')).unwrap_or((rest, LATEST));
        check_name(name)?;
        let selector = match as_of(version) {
            Some(time) => VersionSelector::AsOf(time.as_microsecond()),
            None => selector(version)?,
        };
        Ok(Self { name: name.to_owned(), selector })
    }

    /// As [`Self::parse`], after `model:` or `models:/`, for a model: a client of MLflow may have given it a name that no folder has.
    ///
    /// # Errors
    /// If the name could not be one: see [`check_model_name`].
    pub fn parse_model(text: &str) -> Result<Self, InvalidReference> {
        let prefix = ["models:/", "model:"].into_iter().find_map(|prefix| text.strip_prefix(prefix));
        let rest = prefix.unwrap_or(text);
        let (name, version) =
            rest.rsplit_once('@').or_else(|| rest.rsplit_once('/')).unwrap_or((rest, LATEST));
        check_model_name(name)?;
        Ok(Self { name: name.to_owned(), selector: selector(version)? })
    }
}

const LATEST: &str = "latest";
/// Characters of a model's name.
const LONGEST_MODEL_NAME: usize = 256;

fn selector(version: &str) -> Result<VersionSelector, InvalidReference> {
    match (version, version.parse::<i64>()) {
        (LATEST, _) => Ok(VersionSelector::Latest),
        (_, Ok(number)) => Ok(VersionSelector::Number(number)),
        ("", _) => Err(InvalidReference { reason: "a version or an alias follows the `@`".to_owned() }),
        (alias, _) => Ok(VersionSelector::Alias(alias.to_owned())),
    }
}

/// The time that a text says: RFC 3339, or a date.
fn as_of(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    // A date has two hyphens after four digits; jiff would take `20260301` too, which is a version.
    let date = (text.len() == 10 && text.as_bytes().get(4) == Some(&b'-')).then_some(text)?;
    let date = date.parse::<Date>().ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|start| start.timestamp())
}

/// As [`check_alias`], for an alias of a dataset: it is no version and no date, since those are looked for first.
///
/// # Errors
/// Why it is none.
pub fn check_dataset_alias(alias: &str) -> Result<(), InvalidReference> {
    check_alias(alias)?;
    let reason = if alias.parse::<i64>().is_ok() {
        "it would be taken for a version"
    } else if as_of(alias).is_some() {
        "it would be taken for a time"
    } else {
        return Ok(());
    };
    Err(InvalidReference { reason: reason.to_owned() })
}

/// Bytes of a tag's key and of its value, as MLflow has them for models.
const LONGEST_TAG: (usize, usize) = (250, 5_000);

/// Whether a dataset can have this tag.
///
/// # Errors
/// Why not.
pub fn check_tag(key: &str, value: &str) -> Result<(), InvalidReference> {
    let reason = if key.trim().is_empty() {
        "its key is empty"
    } else if key.contains(['\0', '\n']) || value.contains('\0') {
        "it has signs that no tag may have"
    } else if key.len() > LONGEST_TAG.0 {
        "its key is longer than 250 bytes"
    } else if value.len() > LONGEST_TAG.1 {
        "its value is longer than 5000 bytes"
    } else {
        return Ok(());
    };
    Err(InvalidReference { reason: reason.to_owned() })
}

/// What MLflow takes for the name of a registered model: no `/` and no `:`, not blank, no path that leads up.
///
/// # Errors
/// Why it is none.
pub fn check_model_name(name: &str) -> Result<(), InvalidReference> {
    let reason = if name.trim().is_empty() {
        "it is empty"
    } else if name.contains(['/', ':']) {
        "names cannot contain '/' or ':'"
    } else if name == "." || name.starts_with("..") {
        "it is a path that leads elsewhere"
    } else if name.chars().count() > LONGEST_MODEL_NAME {
        "it is longer than 256 characters"
    } else {
        return Ok(());
    };
    Err(InvalidReference { reason: reason.to_owned() })
}

/// What MLflow takes for an alias: letters, digits, `_` and `-`; not `latest`, nor `v` and a number.
///
/// # Errors
/// Why it is none.
pub fn check_alias(alias: &str) -> Result<(), InvalidReference> {
    let version = alias.strip_prefix(['v', 'V']);
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let reason = if alias.is_empty() {
        "it is empty"
    } else if alias.chars().count() > 255 {
        "it is longer than 255 characters"
    } else if !alias.chars().all(allowed) {
        "only letters, digits, `_` and `-` are allowed"
    } else if alias.eq_ignore_ascii_case(LATEST) {
        "it always means the newest version"
    } else if version.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) {
        "it would be taken for a version"
    } else {
        return Ok(());
    };
    Err(InvalidReference { reason: reason.to_owned() })
}

/// A name becomes a folder, so: letters, digits, `_`, `-` and `.`, not first a dot, at most 200 characters.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidReference> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 200 {
        "it is longer than 200 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if !name.chars().all(allowed) {
        "only letters, digits, `_`, `-` and `.` are allowed"
    } else {
        return Ok(());
    };
    Err(InvalidReference { reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_version_is_read() {
        let read = |text: &str| Reference::parse(text).map(|reference| (reference.name, reference.selector));
        assert_eq!(read("data:flights"), Ok(("flights".to_owned(), VersionSelector::Latest)));
        assert_eq!(read("data:flights@3"), Ok(("flights".to_owned(), VersionSelector::Number(3))));
        let at = |micros: i64| VersionSelector::AsOf(micros);
        assert_eq!(read("flights@1970-01-01T00:00:01Z"), Ok(("flights".to_owned(), at(1_000_000))));
        assert_eq!(read("flights@1970-01-02"), Ok(("flights".to_owned(), at(86_400_000_000))));
        assert_eq!(read("flights@19700102").unwrap().1, VersionSelector::Number(19_700_102));
        for bad in ["data:", "data:../x", "data:a/b/c@1", "data:.x", "data:a@"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let read =
            |text: &str| Reference::parse_model(text).map(|reference| (reference.name, reference.selector));
        let champion = VersionSelector::Alias("champion".to_owned());
        assert_eq!(read("models:/churn@champion"), Ok(("churn".to_owned(), champion)));
        assert_eq!(read("models:/churn/2"), Ok(("churn".to_owned(), VersionSelector::Number(2))));
        assert_eq!(read("model:My model"), Ok(("My model".to_owned(), VersionSelector::Latest)));
        for bad in ["model:", "../x", "a/b/c@1", "..", "a@", "a:b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn aliases_are_no_versions() {
        for alias in ["champion", "a-b_c", "größte", "v", "v1a", "7"] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
        for alias in ["3", "2026-03-01"] {
            assert!(check_dataset_alias(alias).is_err(), "{alias}");
        }
        assert!(check_dataset_alias("2026-03-quarter").is_ok());
        for alias in ["", "a b", "a.b", "latest", "Latest", "v1", "V20", "a/b"] {
            assert!(check_alias(alias).is_err(), "{alias}");
        }
    }
}
