//! What is known about a version, as Markdown.

use std::fmt::Write as _;

use millrace_tracking::lineage::{Tie, kind};

use super::ModelSheet;
use crate::views::models::ModelColumn;

/// The generated part of a card. Nothing is said where nothing is known.
pub(super) fn generated(sheet: &ModelSheet) -> String {
    let asset = &sheet.version.asset;
    let mut text = format!("# {}\n", asset.label());
    if let Some(about) = sheet.version.description.as_deref().filter(|about| !about.is_empty()) {
        let _ = write!(text, "\n{about}\n");
    }
    let facts = [
        ("Task", sheet.facts.task.clone().unwrap_or_default()),
        ("Flavours", sheet.facts.flavors.join(", ")),
        ("Size", asset.size_bytes.map(|size| format!("{size} bytes")).unwrap_or_default()),
        ("Registered", sheet.version.created_at.to_string()),
        ("Aliases", sheet.version.aliases.join(", ")),
        ("Digest", asset.digest.clone()),
    ];
    table(&mut text, None, ["Fact", "Value"], facts.map(|(name, value)| [name.to_owned(), value]));
    let data = |tie: Tie, how: &str| -> Vec<[String; 2]> {
        sheet.datasets(tie).into_iter().map(|name| [name, how.to_owned()]).collect()
    };
    let rows = [data(Tie::Made, "trained on"), data(Tie::Evaluated, "evaluated on")].concat();
    table(&mut text, Some("Data"), ["Dataset", "Use"], rows);
    let sources = sheet.lineage.nodes.iter().filter(|node| node.kind == kind::SOURCE);
    table(
        &mut text,
        Some("Sources"),
        ["Copied from", ""],
        sources.map(|node| [node.name.clone(), "source".to_owned()]),
    );
    metrics(&mut text, sheet);
    table(
        &mut text,
        Some("Parameters"),
        ["Parameter", "Value"],
        sheet.params.iter().map(|(name, value)| [name.clone(), value.clone()]),
    );
    if let Some(signature) = &sheet.facts.signature {
        let side = |columns: &[ModelColumn]| -> Vec<[String; 2]> {
            let word = |column: &ModelColumn| {
                let absent = if column.required { "" } else { ", may be absent" };
                [column.name.clone(), format!("{}{absent}", column.data_type)]
            };
            columns.iter().map(word).collect()
        };
        table(&mut text, Some("Takes"), ["Column", "Type"], side(&signature.inputs));
        table(&mut text, Some("Gives"), ["Column", "Type"], side(&signature.outputs));
    }
    let used = sheet.lineage.nodes.iter().filter(|node| node.kind == kind::ENDPOINT);
    table(
        &mut text,
        Some("Served by"),
        ["Endpoint", ""],
        used.map(|node| [node.name.clone(), "endpoint".to_owned()]),
    );
    text
}

fn metrics(text: &mut String, sheet: &ModelSheet) {
    let mut rows: Vec<[String; 2]> = Vec::new();
    for of in &sheet.metrics_by_dataset {
        let data = match of.version {
            Some(version) => format!(" on {}@{version}", of.dataset),
            None if of.dataset.is_empty() => String::new(),
            None => format!(" on {}", of.dataset),
        };
        rows.extend(of.metrics.0.iter().map(|(name, value)| [format!("{name}{data}"), value.to_string()]));
    }
    if rows.is_empty() {
        let own = sheet.version.metrics.iter();
        rows.extend(own.map(|(name, value)| [name.clone(), value.to_string()]));
    }
    table(text, Some("Metrics"), ["Metric", "Value"], rows);
}

fn table(
    text: &mut String,
    title: Option<&str>,
    head: [&str; 2],
    rows: impl IntoIterator<Item = [String; 2]>,
) {
    let rows: Vec<[String; 2]> = rows.into_iter().filter(|[_, value]| !value.is_empty()).collect();
    if rows.is_empty() {
        return;
    }
    if let Some(title) = title {
        let _ = write!(text, "\n## {title}\n");
    }
    let _ = write!(text, "\n| {} | {} |\n|---|---|\n", head[0], head[1]);
    for [name, value] in rows {
        let _ = writeln!(text, "| {} | {} |", cell(&name), cell(&value));
    }
}

/// Text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' => {
                safe.push('\\');
                safe.push(sign);
            }
            '\n' | '\r' => safe.push(' '),
            _ => safe.push(sign),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell() {
        let mut text = String::new();
        let rows = [["a|b\n## c".to_owned(), "<img>".to_owned()], ["nothing".to_owned(), String::new()]];
        table(&mut text, Some("T"), ["N", "V"], rows);
        assert_eq!(text, "\n## T\n\n| N | V |\n|---|---|\n| a\\|b ## c | \\<img\\> |\n");
    }
}
