//! Which columns are meant.

use arrow::datatypes::{DataType, SchemaRef};
use millrace_spec::suggest;
use regex::Regex;

use super::config::SourceColumn;
use crate::config::CopyConfig;
use crate::error::CopyError;

/// The columns that stay, in the sink's order, with their names there.
pub(super) fn chosen(
    source: &SchemaRef,
    visible: &[usize],
    shape: &CopyConfig,
) -> Result<Vec<(usize, String)>, CopyError> {
    let name_of = |index: usize| source.field(index).name().as_str();
    let mut kept: Vec<usize> = visible.to_vec();
    if !shape.select.is_empty() {
        kept.clear();
        for pattern in &shape.select {
            let found = matching(source, visible, pattern, "select")?;
            kept.extend(found.into_iter().filter(|index| !kept.contains(index)).collect::<Vec<_>>());
        }
    }
    for pattern in &shape.drop {
        let dropped = matching(source, visible, pattern, "drop")?;
        kept.retain(|index| !dropped.contains(index));
    }
    let mut patterns = Vec::new();
    for (from, to) in &shape.rename {
        match from.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(pattern) => {
                let regex = Regex::new(pattern).map_err(|error| {
                    CopyError::config(
                        format!("`{from}` is not a regular expression: {error}"),
                        "rename: {\"/^customer_(.*)$/\": $1}",
                    )
                })?;
                patterns.push((regex, to));
            }
            None if kept.iter().any(|index| name_of(*index) == from) => {}
            None => return Err(unknown(source, visible, from, "to rename")),
        }
    }
    let mut names: Vec<(usize, String)> = Vec::with_capacity(kept.len());
    for index in kept {
        let old = name_of(index);
        let pattern = || patterns.iter().find(|(regex, _)| regex.is_match(old));
        let name = match (shape.rename.get(old), pattern()) {
            (Some(new), _) => new.clone(),
            (None, Some((regex, to))) => regex.replace(old, to.as_str()).into_owned(),
            (None, None) => old.to_owned(),
        };
        if names.iter().any(|(_, other)| *other == name) {
            return Err(CopyError::config(
                format!("two columns would be named `{name}`"),
                format!("rename: {{{old}: another_name}}"),
            ));
        }
        names.push((index, name));
    }
    Ok(names)
}

/// The columns that a name or glob means; at least one.
fn matching(
    source: &SchemaRef,
    visible: &[usize],
    pattern: &str,
    word: &str,
) -> Result<Vec<usize>, CopyError> {
    let glob = format!("^{}$", regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", "."));
    let glob =
        Regex::new(&glob).map_err(|error| CopyError::config(error.to_string(), "select: [\"price*\"]"))?;
    let found: Vec<usize> =
        visible.iter().copied().filter(|index| glob.is_match(source.field(*index).name())).collect();
    if found.is_empty() {
        return Err(unknown(source, visible, pattern, &format!("to {word}")));
    }
    Ok(found)
}

/// The column and the fields below it.
pub(super) fn find(
    source: &SchemaRef,
    visible: &[usize],
    wanted: &SourceColumn,
) -> Result<(usize, Vec<usize>), CopyError> {
    let name = match wanted {
        SourceColumn::Number(number) => {
            let found = number.checked_sub(1).and_then(|index| visible.get(index));
            return found.map(|index| (*index, Vec::new())).ok_or_else(|| {
                CopyError::config(
                    format!("there is no column {number}; the source has {}", visible.len()),
                    "columns are counted from 1",
                )
            });
        }
        SourceColumn::Name(name) => name,
    };
    let Some(path) = name.strip_prefix("$.") else {
        let found = visible.iter().find(|index| source.field(**index).name() == name);
        return found
            .map(|index| (*index, Vec::new()))
            .ok_or_else(|| unknown(source, visible, name, "to map"));
    };
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let index = visible
        .iter()
        .copied()
        .find(|index| source.field(*index).name() == first)
        .ok_or_else(|| unknown(source, visible, first, "to map"))?;
    let mut kind = source.field(index).data_type();
    let mut steps = Vec::new();
    for part in parts {
        let DataType::Struct(fields) = kind else {
            let reason = match kind {
                DataType::List(_) | DataType::LargeList(_) => "is a list; `unnest` it first",
                _ => "has no fields",
            };
            return Err(CopyError::config(
                format!("`{name}` leads nowhere: what `{part}` should be in {reason}"),
                "mapping: {city: $.address.city}",
            ));
        };
        let Some((step, field)) = fields.find(part) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            let near = suggest::nearest(part, &known);
            let hint = near.map_or_else(
                || format!("its fields are: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(CopyError::config(
                format!("`{name}` leads nowhere: there is no field `{part}`"),
                hint,
            ));
        };
        steps.push(step);
        kind = field.data_type();
    }
    Ok((index, steps))
}

pub(super) fn unknown(source: &SchemaRef, visible: &[usize], name: &str, purpose: &str) -> CopyError {
    let known: Vec<&str> = visible.iter().map(|index| source.field(*index).name().as_str()).collect();
    let hint = match suggest::nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the columns are: {}", known.join(", ")),
    };
    CopyError::config(format!("there is no column `{name}` {purpose}"), hint)
}
