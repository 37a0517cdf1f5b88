use std::collections::HashSet;

use indexmap::IndexMap;

/// A name as it may stand in an expression here: `[a-z][a-z0-9_]*`, at most 64 characters.
pub(crate) fn name_of(text: &str) -> String {
    let mut name = String::new();
    let mut before_is_lower = false;
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            if letter.is_ascii_uppercase() && before_is_lower {
                name.push('_');
            }
            before_is_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
            name.push(letter.to_ascii_lowercase());
        } else {
            before_is_lower = false;
            if !name.ends_with('_') && !name.is_empty() {
                name.push('_');
            }
        }
    }
    let name = name.trim_end_matches('_');
    let name = if name.starts_with(|first: char| first.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        format!("n{name}")
    };
    name.chars().take(64).collect()
}

/// Names of a section, each given once.
#[derive(Default)]
pub(crate) struct Names {
    given: IndexMap<String, String>,
    taken: HashSet<String>,
}

impl Names {
    /// The name here of what is called `text` there; the same each time.
    pub(crate) fn give(&mut self, text: &str) -> String {
        if let Some(name) = self.given.get(text) {
            return name.clone();
        }
        let wanted = name_of(text);
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{}_{number}", wanted.chars().take(60).collect::<String>());
            number += 1;
        }
        self.given.insert(text.to_owned(), name.clone());
        name
    }

    /// The name of what was named before.
    pub(crate) fn find(&self, text: &str) -> Option<&str> {
        self.given.get(text).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_stand_in_an_expression_and_are_unique() {
        let mut names = Names::default();
        for (text, expected) in [
            ("train-job", "train_job"),
            ("Train Job", "train_job_2"),
            ("copyBlobToSQL", "copy_blob_to_sql"),
            ("2026", "n2026"),
            ("Größe", "gr_e"),
            ("train-job", "train_job"),
        ] {
            assert_eq!(names.give(text), expected, "{text}");
        }
    }
}
