//! Versions beside each other, one line for each thing that any of them has.

use indexmap::IndexMap;
use millrace_tracking::lineage::Tie;

use super::ModelSheet;
use crate::present::assets;
use crate::views::models::{ComparedRow, ModelComparison};

/// What a version has, by group and name.
type Lines = IndexMap<(&'static str, String), String>;

/// Puts versions beside each other.
pub fn compare(sheets: &[ModelSheet]) -> ModelComparison {
    let all: Vec<Lines> = sheets.iter().map(lines).collect();
    ModelComparison {
        versions: sheets.iter().map(|sheet| assets::model_summary(&sheet.version, sheets.len())).collect(),
        rows: beside(&all),
    }
}

/// Groups in this order, the names of a group as they come.
const GROUPS: [&str; 6] = ["facts", "metrics", "params", "data", "signature", "onnx"];

fn beside(all: &[Lines]) -> Vec<ComparedRow> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let mut names: Vec<&String> = Vec::new();
        for (of, name) in all.iter().flat_map(IndexMap::keys) {
            if *of == group && !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            let key = (group, name.clone());
            let values: Vec<Option<String>> = all.iter().map(|lines| lines.get(&key).cloned()).collect();
            let differs = values.windows(2).any(|pair| matches!(pair, [one, other] if one != other));
            rows.push(ComparedRow { group: group.to_owned(), name: name.clone(), values, differs });
        }
    }
    rows
}

fn lines(sheet: &ModelSheet) -> Lines {
    let mut lines = Lines::new();
    let mut add = |group: &'static str, name: &str, value: String| {
        if !value.is_empty() {
            lines.insert((group, name.to_owned()), value);
        }
    };
    let version = &sheet.version;
    add("facts", "task", sheet.facts.task.clone().unwrap_or_default());
    add("facts", "flavours", sheet.facts.flavors.join(", "));
    add("facts", "size", version.asset.size_bytes.map(|size| format!("{size} bytes")).unwrap_or_default());
    add("facts", "digest", version.asset.digest.clone());
    for (name, value) in &version.metrics {
        add("metrics", name, value.to_string());
    }
    for of in &sheet.metrics_by_dataset {
        for (name, value) in &of.metrics.0 {
            let data = if of.dataset.is_empty() { String::new() } else { format!(" on {}", of.dataset) };
            add("metrics", &format!("{name}{data}"), value.to_string());
        }
    }
    for (name, value) in &sheet.params {
        add("params", name, value.clone());
    }
    add("data", "trained on", sheet.datasets(Tie::Made).join(", "));
    add("data", "evaluated on", sheet.datasets(Tie::Evaluated).join(", "));
    if let Some(signature) = &sheet.facts.signature {
        for (side, columns) in [("takes", &signature.inputs), ("gives", &signature.outputs)] {
            for column in columns {
                let absent = if column.required { "" } else { ", may be absent" };
                add("signature", &format!("{side} {}", column.name), format!("{}{absent}", column.data_type));
            }
        }
    }
    if let Some(onnx) = &sheet.facts.onnx {
        add("onnx", "producer", onnx.producer.clone());
        add("onnx", "opset", onnx.opset.to_string());
        add("onnx", "nodes", onnx.nodes.to_string());
        add("onnx", "parameters", onnx.parameters.to_string());
        for (name, uses) in &onnx.operators.0 {
            add("onnx", name, uses.to_string());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_version_stand_beside_each_other() {
        let lines = |pairs: &[(&'static str, &str, &str)]| -> Lines {
            pairs
                .iter()
                .map(|(group, name, value)| ((*group, (*name).to_owned()), (*value).to_owned()))
                .collect()
        };
        let one = lines(&[("params", "trees", "5"), ("facts", "task", "classification")]);
        let other =
            lines(&[("facts", "task", "classification"), ("params", "trees", "6"), ("params", "depth", "3")]);
        let rows = beside(&[one, other]);
        let found: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.differs, row.values.len())).collect();
        assert_eq!(found, [("task", false, 2), ("trees", true, 2), ("depth", true, 2)]);
        assert_eq!(rows[2].values, [None, Some("3".to_owned())]);
    }
}
