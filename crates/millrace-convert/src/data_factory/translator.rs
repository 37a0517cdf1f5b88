//! The mapping of a copy activity (`TabularTranslator`) as a `mapping` of a `copy` step.

use millrace_spec::yaml::{Node, NodeValue};
use serde_json::{Value, json};

use super::activities::Steps;
use super::{list, text};
use crate::data_flow::strftime;
use crate::yaml_out::{Map, Yaml};

/// How values are converted, for all columns.
#[derive(Default)]
struct Conversion {
    truncate: bool,
    format: Option<String>,
    culture: Option<&'static str>,
}

impl Steps<'_> {
    pub(super) fn translator(&mut self, translator: &Node, config: &mut Map, step: &mut Map) {
        if text(translator, "type") != "TabularTranslator" {
            let message = "the mapping of the copy is computed, or of another kind than `TabularTranslator`";
            self.report.gap(&translator.place, step, message, Some("write it as `mapping: {NEW: OLD}`"));
            return;
        }
        let collection =
            translator.get("collectionReference").and_then(Node::as_text).filter(|path| !path.is_empty());
        let prefix = collection.and_then(path).unwrap_or_default();
        match (collection, prefix.as_slice()) {
            (None, _) => {}
            (Some(_), [column]) => config.put("unnest", json!([column])),
            (Some(whole), _) => {
                let place = &translator
                    .get("collectionReference")
                    .map_or(&translator.place, |node| &node.place)
                    .clone();
                let message = format!("`collectionReference: {whole}` is a list within other values");
                self.report.gap(
                    place,
                    step,
                    &message,
                    Some("copy it into a table, and `flatten` it in a flow"),
                );
            }
        }
        let conversion = self.conversion(translator, step);
        let mut mapping = Map::default();
        for entry in list(translator.get("mappings")) {
            match column(entry, &prefix, &conversion) {
                Ok((name, column)) => mapping.put(&name, column),
                Err(message) => self.report.gap(&entry.place, step, &message, None),
            }
        }
        // What the first version of Data Factory wrote.
        for old in ["columnMappings", "schemaMapping"] {
            match translator.get(old).map(|node| (&node.value, node)) {
                Some((NodeValue::Map(pairs), _)) => {
                    for (key, node) in pairs {
                        let from = source_path(&key.name);
                        mapping.put(node.as_text().unwrap_or(&key.name), from);
                    }
                }
                Some((NodeValue::Text(pairs), _)) => {
                    for (from, to) in pairs.split(',').filter_map(|pair| pair.split_once(':')) {
                        mapping.put(to.trim(), from.trim());
                    }
                }
                _ => {}
            }
        }
        if mapping.has_fields() {
            self.report.taken(&translator.place, "the mapping of the copy", "copy.mapping");
            config.put("mapping", mapping);
        }
        let read = [
            "type",
            "mappings",
            "collectionReference",
            "mapComplexValuesToString",
            "typeConversion",
            "typeConversionSettings",
            "columnMappings",
            "schemaMapping",
        ];
        self.report.others(translator, &read, "the mapping", step);
    }

    fn conversion(&mut self, translator: &Node, step: &mut Map) -> Conversion {
        let mut conversion = Conversion::default();
        let Some(settings) = translator.get("typeConversionSettings") else { return conversion };
        for (key, node) in settings.as_map().unwrap_or_default() {
            let given = node.as_text().unwrap_or_default();
            match key.name.as_str() {
                "allowDataTruncation" => conversion.truncate = node.value == NodeValue::Bool(true),
                "treatBooleanAsNumber" if node.value == NodeValue::Bool(false) => {}
                "dateTimeFormat" | "dateTimeOffsetFormat" => match strftime(given) {
                    Some(format) => conversion.format = Some(format),
                    None => {
                        let message =
                            format!("the format `{given}` of times cannot be said as one of `strftime`");
                        self.report.gap(&node.place, step, &message, None);
                    }
                },
                "culture" => match culture(given) {
                    Some(found) => conversion.culture = found,
                    None => {
                        let message = format!("the culture `{given}` is not known here");
                        self.report.gap(
                            &node.place,
                            step,
                            &message,
                            Some("culture: plain, en, de, fr or ch"),
                        );
                    }
                },
                other => {
                    let message = format!("`{other}` of the conversions has no counterpart");
                    self.report.gap(&key.place, step, &message, None);
                }
            }
        }
        conversion
    }
}

/// A column of the sink, and where it comes from.
fn column(entry: &Node, collection: &[String], conversion: &Conversion) -> Result<(String, Yaml), String> {
    let (source, sink) = (entry.get("source"), entry.get("sink"));
    let word = |side: Option<&Node>, key: &str| {
        side.and_then(|node| node.get(key)).and_then(Node::as_text).map(str::to_owned)
    };
    let ordinal = source.and_then(|node| node.get("ordinal")).map(Node::to_json);
    let from = match (word(source, "path"), word(source, "name"), ordinal) {
        (Some(whole), ..) => {
            let inner = path(&whole).ok_or_else(|| format!("the path `{whole}` cannot be said here"))?;
            let within = if whole.starts_with('$') { Vec::new() } else { collection.to_vec() };
            let whole: Vec<String> = within.into_iter().chain(inner).collect();
            match whole.as_slice() {
                [one] => json!(one),
                many => json!(format!("$.{}", many.join("."))),
            }
        }
        (_, Some(name), _) => json!(name),
        (.., Some(ordinal)) => ordinal
            .as_u64()
            .map(Value::from)
            .or_else(|| ordinal.as_str()?.parse::<u64>().ok().map(Value::from))
            .ok_or("a column has an ordinal that is no number")?,
        _ => return Err("a column of the mapping names no source".to_owned()),
    };
    let name = match (word(sink, "name"), word(sink, "path").and_then(|whole| path(&whole))) {
        (Some(name), _) => name,
        (None, Some(whole)) if whole.len() == 1 => whole.concat(),
        _ => {
            return Err(format!(
                "the column from `{from}` has no name in the sink, or lies within another one"
            ));
        }
    };
    let of = word(sink, "type").as_deref().and_then(type_word);
    let Some(of) = of else { return Ok((name, from.into())) };
    let mut made = Map::default();
    made.put("from", from);
    made.put("type", of);
    if let Some(format) = conversion.format.as_deref().filter(|_| matches!(of, "date" | "timestamp")) {
        made.put("format", format);
    }
    if let Some(culture) = conversion.culture.filter(|_| matches!(of, "integer" | "float" | "decimal(38,18)"))
    {
        made.put("culture", culture);
    }
    if conversion.truncate {
        made.put("truncate", json!(true));
    }
    Ok((name, made.into()))
}

fn source_path(from: &str) -> Value {
    match path(from).filter(|_| from.starts_with('$')) {
        Some(whole) => match whole.as_slice() {
            [one] => json!(one),
            many => json!(format!("$.{}", many.join("."))),
        },
        None => json!(from),
    }
}

/// The names of `$['a']['b']`, `$.a.b` or `['a'].b`; nothing if there are others.
fn path(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().trim_start_matches('$');
    let mut names = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            names.push(name.to_owned());
            rest = after;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            if name.is_empty() || name.contains(['*', '(', ']']) {
                return None;
            }
            names.push(name.to_owned());
            rest = after;
        }
    }
    let plain = |name: &String| !name.is_empty() && !name.contains(['.', '[', ']']);
    (!names.is_empty() && names.iter().all(plain)).then_some(names)
}

/// The types of Data Factory's own names.
fn type_word(theirs: &str) -> Option<&'static str> {
    Some(match theirs {
        "String" | "Guid" => "string",
        "Int16" | "Int32" | "Int64" | "Byte" | "SByte" | "UInt16" | "UInt32" => "integer",
        "Single" | "Double" => "float",
        "Decimal" => "decimal(38,18)",
        "Boolean" => "boolean",
        "Date" => "date",
        "DateTime" => "timestamp",
        _ => return None,
    })
}

fn culture(theirs: &str) -> Option<Option<&'static str>> {
    Some(match theirs.split('-').next().unwrap_or_default() {
        "" => None,
        "en" => Some("en"),
        "de" if theirs == "de-CH" => Some("ch"),
        "de" | "nl" | "es" | "it" => Some("de"),
        "fr" => Some("fr"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names() {
        let of = |text: &str| path(text).map(|names| names.join("/"));
        assert_eq!(of("$['a']['b c']"), Some("a/b c".to_owned()));
        assert_eq!(of("$.a.b"), Some("a/b".to_owned()));
        assert_eq!(of("['sku']"), Some("sku".to_owned()));
        assert_eq!([of("$.a[0]"), of("$..a"), of("$"), of("$.*")], [None, None, None, None]);
    }
}
