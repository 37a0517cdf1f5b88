//! `data:flights@3`, `models:/churn@champion`: how people name a version.

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
    /// Reads `name`, `name@3`, `name@latest`, `name@alias` or `name/3`, after `data:`, `model:` or `models:/`.
    ///
    /// # Errors
    /// If the name could not be one: see [`check_name`].
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let rest = ["models:/", "model:", "data:"]
            .into_iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        let (name, version) = match rest.split_once('@').or_else(|| rest.rsplit_once('/')) {
            Some((name, version)) => (name, version),
            None => (rest, "latest"),
        };
        check_name(name)?;
        let selector = match (version, version.parse::<i64>()) {
            ("latest", _) => VersionSelector::Latest,
            (_, Ok(number)) => VersionSelector::Number(number),
            ("", _) => {
                return Err(InvalidReference { reason: "a version or an alias follows the `@`".to_owned() });
            }
            (alias, _) => VersionSelector::Alias(alias.to_owned()),
        };
        Ok(Self { name: name.to_owned(), selector })
    }
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
        assert_eq!(
            read("models:/churn@champion"),
            Ok(("churn".to_owned(), VersionSelector::Alias("champion".to_owned())))
        );
        assert_eq!(read("models:/churn/2"), Ok(("churn".to_owned(), VersionSelector::Number(2))));
        for bad in ["data:", "data:../x", "data:a/b/c@1", "data:.x", "data:a@"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
