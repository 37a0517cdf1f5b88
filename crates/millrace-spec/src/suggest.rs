//! "Did you mean": the nearest of the names that would have been right.

/// The known name most like `wrong`, if one is like it at all: at most a third of its letters differ.
pub fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .filter(|(distance, name)| {
            *distance > 0 && *distance <= name.chars().count().max(wrong.chars().count()).div_ceil(3)
        })
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        assert_eq!(nearest("tabel", &["url", "table"]), Some("table"));
        assert_eq!(nearest("frobnicate", &["url", "table"]), None);
        assert_eq!(nearest("table", &["table"]), None);
    }
}
