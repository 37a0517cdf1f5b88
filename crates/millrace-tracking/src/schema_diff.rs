//! What changed in the columns between two versions of a dataset.

use serde::Serialize;
use serde_json::Value;

/// A column as a stored schema says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Arrow type as text.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether nulls may occur.
    pub nullable: bool,
}

/// What became of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its type is another one.
    Type,
    /// Nulls may occur now, or no longer.
    Nullability,
    /// It stands at another place.
    Moved,
}

impl Change {
    /// The word of JSON and of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Type => "type",
            Self::Nullability => "nullability",
            Self::Moved => "moved",
        }
    }
}

/// One change of one column; a column may have several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnChange {
    /// Name.
    pub column: String,
    /// What happened.
    pub change: Change,
    /// How it was; absent for a new one.
    pub before: Option<Column>,
    /// How it is; absent for one that is gone.
    pub after: Option<Column>,
    /// Whether who reads the old version can fail on the new one: a column is gone, has another type, or has nulls now.
    pub breaking: bool,
}

/// The columns of a stored schema, `[{"name", "type", "nullable"}]`.
pub fn columns(schema: &Value) -> Vec<Column> {
    let text =
        |field: &Value, key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let column = |field: &Value| Column {
        name: text(field, "name"),
        data_type: text(field, "type"),
        nullable: field.get("nullable").and_then(Value::as_bool).unwrap_or(true),
    };
    schema.as_array().map(|fields| fields.iter().map(column).collect()).unwrap_or_default()
}

/// The changes from `before` to `after`, in the order of the new columns, then what is gone in the order of the old ones.
///
/// A column is told by its name: one with a new name is one that is gone and one that is new. Of columns that both have, those that
/// stand in another order among themselves are moved.
pub fn diff(before: &[Column], after: &[Column]) -> Vec<ColumnChange> {
    let mut changes = Vec::new();
    let find = |among: &[Column], name: &str| among.iter().find(|column| column.name == name).cloned();
    let kept = |all: &[Column], other: &[Column]| -> Vec<String> {
        all.iter()
            .filter(|column| find(other, &column.name).is_some())
            .map(|column| column.name.clone())
            .collect()
    };
    let (old_order, new_order) = (kept(before, after), kept(after, before));
    for column in after {
        let Some(old) = find(before, &column.name) else {
            changes.push(change(Change::Added, None, Some(column)));
            continue;
        };
        if old.data_type != column.data_type {
            changes.push(change(Change::Type, Some(&old), Some(column)));
        }
        if old.nullable != column.nullable {
            changes.push(change(Change::Nullability, Some(&old), Some(column)));
        }
        let place = |order: &[String]| order.iter().position(|name| *name == column.name);
        if place(&old_order) != place(&new_order) {
            changes.push(change(Change::Moved, Some(&old), Some(column)));
        }
    }
    for column in before.iter().filter(|column| find(after, &column.name).is_none()) {
        changes.push(change(Change::Removed, Some(column), None));
    }
    changes
}

fn change(change: Change, before: Option<&Column>, after: Option<&Column>) -> ColumnChange {
    let breaking = match change {
        Change::Removed | Change::Type => true,
        Change::Nullability => after.is_some_and(|column| column.nullable),
        Change::Added | Change::Moved => false,
    };
    let column = after.or(before).map(|column| column.name.clone()).unwrap_or_default();
    ColumnChange { column, change, before: before.cloned(), after: after.cloned(), breaking }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a: Int64, b: Utf8?`, where the sign means that nulls may occur.
    fn schema(text: &str) -> Vec<Column> {
        let column = |part: &str| {
            let (name, kind) = part.split_once(':').unwrap();
            Column {
                name: name.trim().to_owned(),
                data_type: kind.trim().trim_end_matches('?').to_owned(),
                nullable: kind.ends_with('?'),
            }
        };
        text.split(',').map(column).collect()
    }

    fn check(before: &str, after: &str, expected: &[(&str, Change, bool)]) {
        let found = diff(&schema(before), &schema(after));
        let found: Vec<_> =
            found.iter().map(|change| (change.column.as_str(), change.change, change.breaking)).collect();
        assert_eq!(found, expected, "{before} -> {after}");
    }

    #[test]
    fn every_change_is_told_with_what_it_breaks() {
        check("a: Int64, b: Utf8?", "a: Int64, b: Utf8?", &[]);
        check("a: Int64", "a: Int64, b: Utf8?", &[("b", Change::Added, false)]);
        check("a: Int64, b: Utf8", "b: Utf8", &[("a", Change::Removed, true)]);
        check("a: Int64", "a: Utf8?", &[("a", Change::Type, true), ("a", Change::Nullability, true)]);
        check("a: Int64?", "a: Int64", &[("a", Change::Nullability, false)]);
        check(
            "a: Int64, b: Utf8, c: Utf8",
            "c: Utf8, a: Int64, b: Utf8",
            &[("c", Change::Moved, false), ("a", Change::Moved, false), ("b", Change::Moved, false)],
        );
    }
}
