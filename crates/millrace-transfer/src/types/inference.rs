//! Which type suits all texts of a column.

use super::{CellFormat, ColumnType};

/// From the narrowest to the widest that inference tries.
const NARROW_FIRST: [ColumnType; 5] =
    [ColumnType::Boolean, ColumnType::Integer, ColumnType::Number, ColumnType::Date, ColumnType::Datetime];

/// Narrows the type of one column as its cells go by.
#[derive(Debug, Clone)]
pub(crate) struct Inference {
    left: Vec<ColumnType>,
    seen: bool,
}

impl Inference {
    pub(crate) fn new() -> Self {
        Self { left: NARROW_FIRST.to_vec(), seen: false }
    }

    pub(crate) fn see(&mut self, text: &str) {
        self.seen = true;
        self.left.retain(|kind| suits(*kind, text));
    }

    /// The narrowest type that suits every cell; text if there were none.
    pub(crate) fn column_type(&self) -> ColumnType {
        if !self.seen { ColumnType::String } else { self.left.first().copied().unwrap_or(ColumnType::String) }
    }
}

/// Whether inference may take a text for this type. Stricter than reading it: `007` is a code, `nan` and `t` are words.
fn suits(kind: ColumnType, text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let padded = digits.len() > 1
        && digits.starts_with('0')
        && !digits.starts_with("0.")
        && !digits.contains(['-', ':']);
    let reads = || CellFormat::plain(kind).reads(text.as_bytes());
    match kind {
        ColumnType::Boolean => matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE"),
        ColumnType::Integer => !padded && reads(),
        ColumnType::Number => {
            !padded && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && reads()
        }
        ColumnType::Datetime => text.len() >= 10 && text.contains('-') && reads(),
        _ => reads(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cells: &[&str], expected: ColumnType) {
        let mut inference = Inference::new();
        cells.iter().for_each(|cell| inference.see(cell));
        assert_eq!(inference.column_type(), expected, "{cells:?}");
    }

    #[test]
    fn the_narrowest_type_that_suits_all() {
        check(&["1", "-2"], ColumnType::Integer);
        check(&["1", "2.5"], ColumnType::Number);
        check(&["1", "9223372036854775808"], ColumnType::Number);
        check(&["1", "x"], ColumnType::String);
        check(&["007", "008"], ColumnType::String);
        check(&["0", "0.5"], ColumnType::Number);
        check(&["nan"], ColumnType::String);
        check(&["true", "False"], ColumnType::Boolean);
        check(&["2026-03-01"], ColumnType::Date);
        check(&["2026-03-01", "2026-03-01T06:00:00"], ColumnType::Datetime);
        check(&["2026-02-30"], ColumnType::String);
        check(&[], ColumnType::String);
    }
}
