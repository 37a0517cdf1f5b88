//! Rules for keys and values, and names for runs that have none.

use super::error::MlflowError;

/// Longest key of a metric, parameter or tag, in characters.
const LONGEST_KEY: usize = 250;
/// A parameter's value is cut here, a tag's there.
const LONGEST_PARAM: usize = 6_000;
const LONGEST_TAG: usize = 8_000;

/// Checks the key of a metric, parameter or tag: a relative path of word signs, spaces, `.`, `-`, `:` and `/`.
pub(super) fn check_key(place: &str, key: &str) -> Result<(), MlflowError> {
    let invalid = |why: &str| {
        Err(MlflowError::invalid(format!("Invalid value \"{key}\" for parameter '{place}' supplied: {why}")))
    };
    if key.chars().count() > LONGEST_KEY {
        return invalid(&format!("Names may have {LONGEST_KEY} characters at most."));
    }
    let fits = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '/' | '.' | '-' | ' ' | ':');
    if key.is_empty() || !key.chars().all(fits) {
        return invalid(
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colons (:) and slashes (/).",
        );
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return invalid("Names must be relative paths that name nothing twice.");
    }
    Ok(())
}

/// A parameter's value, cut at MLflow's limit.
pub(super) fn param_value(value: String) -> String {
    cut(value, LONGEST_PARAM)
}

/// A tag's value, cut at MLflow's limit.
pub(super) fn tag_value(value: String) -> String {
    cut(value, LONGEST_TAG)
}

fn cut(mut value: String, longest: usize) -> String {
    if let Some((end, _)) = value.char_indices().nth(longest) {
        value.truncate(end);
    }
    value
}

const ADJECTIVES: [&str; 16] = [
    "amber", "bold", "calm", "clever", "eager", "gentle", "grand", "keen", "lively", "merry", "nimble",
    "proud", "quick", "rare", "sunny", "wise",
];
const NOUNS: [&str; 16] = [
    "badger", "crane", "dove", "eel", "finch", "goose", "hare", "ibis", "jay", "lark", "mole", "newt",
    "otter", "perch", "robin", "wren",
];

/// A name such as `keen-otter-417`, from the random end of an id.
pub(super) fn random_name(id: &str) -> String {
    let tail = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
    let number = u32::from_str_radix(tail, 16).unwrap_or_default();
    let pick = |words: &[&'static str; 16], shift: u32| {
        words.get((number >> shift) as usize % words.len()).copied().unwrap_or_default()
    };
    format!("{}-{}-{}", pick(&ADJECTIVES, 0), pick(&NOUNS, 4), (number >> 8) % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_relative_paths() {
        for key in ["a", "val/loss", "a b.c-d:e", "größe", "a..b"] {
            assert!(check_key("key", key).is_ok(), "{key}");
        }
        let long = "a".repeat(251);
        for key in ["", "/a", "a//b", "../a", "a/..", "a/", ".", "a\"b", "a'b", "a\n", long.as_str()] {
            assert!(check_key("key", key).is_err(), "{key}");
        }
    }

    #[test]
    fn values_are_cut_between_characters() {
        assert_eq!(param_value("ü".repeat(7_000)).chars().count(), 6_000);
    }
}
