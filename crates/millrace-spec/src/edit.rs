//! Changes to a YAML file that leave everything else in it as a person wrote it: comments, order, blank lines, quotes.
//!
//! A change says what the file is to mean. The text is edited where it differs, read again and compared with what was meant; a text that
//! would mean anything else is refused, never written.

mod render;

use serde_json::{Map, Value};
use yaml_edit::{AsYaml, Mapping, Sequence, YamlFile, YamlNode};

use crate::problem::Problem;
use crate::yaml;

/// One change. Paths are keys from the top; a list is changed as a whole, item by item where that keeps more of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// What stands at the path becomes this. Mappings on the way are made if they are absent.
    Set {
        /// Keys from the top, at least one.
        path: Vec<String>,
        /// The new value.
        value: Value,
    },
    /// The key at the end of the path goes away, if it is there.
    Remove {
        /// Keys from the top, at least one.
        path: Vec<String>,
    },
    /// The key at the end of the path gets another name, in its place.
    Rename {
        /// Keys from the top, at least one.
        path: Vec<String>,
        /// The new name, which no other key beside it has.
        to: String,
    },
}

/// The text with the changes, one after the other.
///
/// # Errors
/// If the text is no YAML, or it cannot be changed so that it means what is asked: anchors that other places use, for example.
pub fn edit(file: &str, text: &str, changes: &[Change]) -> Result<String, Box<Problem>> {
    let mut text = text.to_owned();
    for change in changes {
        let before = yaml::parse(file, &text)?.to_json();
        let meant = meant(before.clone(), change).map_err(|why| refused(file, &why))?;
        if meant == before && !matches!(change, Change::Rename { .. }) {
            continue;
        }
        let after =
            edited(&text, &before, &meant, change).ok_or_else(|| refused(file, "it is not plain enough"))?;
        match yaml::parse(file, &after) {
            Ok(found) if found.to_json() == meant => text = after,
            _ => return Err(refused(file, "the result would mean something else")),
        }
    }
    Ok(text)
}

fn refused(file: &str, why: &str) -> Box<Problem> {
    let problem = Problem::error("cannot-edit", format!("`{file}` cannot be changed there by itself: {why}"));
    Box::new(problem.hint("change the text"))
}

/// What the file means after the change.
fn meant(mut document: Value, change: &Change) -> Result<Value, String> {
    if document.is_null() {
        document = Value::Object(Map::new());
    }
    let (path, make) = match change {
        Change::Set { path, .. } => (path, true),
        Change::Remove { path } | Change::Rename { path, .. } => (path, false),
    };
    let (last, way) = path.split_last().ok_or("no key is named")?;
    let mut here = &mut document;
    for key in way {
        let Value::Object(fields) = here else { return Err(format!("`{key}` is in no mapping")) };
        if !fields.contains_key(key) && !make {
            return match change {
                Change::Rename { .. } => Err(format!("there is no `{key}`")),
                _ => Ok(document),
            };
        }
        let entry = fields.entry(key.clone()).or_insert(Value::Null);
        if entry.is_null() && make {
            *entry = Value::Object(Map::new());
        }
        here = entry;
    }
    let Value::Object(fields) = here else { return Err(format!("`{last}` is in no mapping")) };
    match change {
        Change::Set { value, .. } => {
            fields.insert(last.clone(), value.clone());
        }
        Change::Remove { .. } => {
            fields.shift_remove(last);
        }
        Change::Rename { to, .. } => {
            if to != last && fields.contains_key(to) {
                return Err(format!("there is a `{to}` already"));
            }
            if !fields.contains_key(last) {
                return Err(format!("there is no `{last}`"));
            }
            let renamed = std::mem::take(fields).into_iter();
            *fields =
                renamed.map(|(key, value)| (if key == *last { to.clone() } else { key }, value)).collect();
        }
    }
    Ok(document)
}

/// The text with the change; `None` if its tree does not allow it.
fn edited(text: &str, before: &Value, meant: &Value, change: &Change) -> Option<String> {
    if before.is_null() {
        // Nothing but comments: what is new comes after them.
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{gap}{}", render::block(meant)));
    }
    let parsed = YamlFile::parse(text);
    if !parsed.errors().is_empty() {
        return None;
    }
    let file = parsed.tree();
    let root = file.document()?.as_mapping()?;
    match change {
        Change::Rename { path, to } => {
            let (last, way) = path.split_last()?;
            let holder = way.iter().try_fold(root, |here, key| here.get_mapping(key.as_str()))?;
            if !holder.rename_key(last.as_str(), to.as_str()) {
                return None;
            }
        }
        Change::Set { .. } | Change::Remove { .. } => fields(&root, before.as_object()?, meant.as_object()?)?,
    }
    Some(file.to_string())
}

/// Makes the fields of a mapping what they are to be.
fn fields(mapping: &Mapping, before: &Map<String, Value>, after: &Map<String, Value>) -> Option<()> {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        mapping.remove(key.as_str())?;
    }
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) if !old.is_empty() && !new.is_empty() => {
                match mapping.get_mapping(key.as_str()) {
                    Some(inner) => fields(&inner, old, new)?,
                    None => set(mapping, key, value)?,
                }
            }
            (Some(Value::Array(old)), Value::Array(new)) if new.len() >= old.len() && !old.is_empty() => {
                match mapping.get_sequence(key.as_str()) {
                    Some(inner) => items(&inner, old, new)?,
                    None => set(mapping, key, value)?,
                }
            }
            _ => set(mapping, key, value)?,
        }
    }
    Some(())
}

/// Makes the items of a list what they are to be, where there are as many or more.
fn items(list: &Sequence, before: &[Value], after: &[Value]) -> Option<()> {
    for (index, value) in after.iter().enumerate() {
        match before.get(index) {
            Some(old) if old == value => {}
            Some(_) => {
                list.set(index, node(value, list.is_flow_style())?);
            }
            None => list.push(node(value, list.is_flow_style())?),
        }
    }
    Some(())
}

fn set(mapping: &Mapping, key: &str, value: &Value) -> Option<()> {
    let flow = mapping.is_flow_style();
    mapping.set(read(&render::key_text(key, flow))?, node(value, flow)?);
    Some(())
}

/// A value as a piece of YAML that is not yet in a file.
fn node(value: &Value, flow: bool) -> Option<YamlNode> {
    read(&if flow { render::flow(value) } else { render::block(value) })
}

fn read(text: &str) -> Option<YamlNode> {
    let parsed = YamlFile::parse(text);
    let document = parsed.tree().document()?;
    let scalar = || document.as_scalar().map(YamlNode::Scalar);
    let found = document.as_mapping().map(YamlNode::Mapping);
    let found = found.or_else(|| document.as_sequence().map(YamlNode::Sequence)).or_else(scalar)?;
    found.as_node().is_some().then_some(found)
}

#[cfg(test)]
mod tests;
