//! `include:`: steps and defaults that several pipelines share.
//!
//! The trees are put together before anything is read, so every step keeps the place where it was written.

use crate::load::{Includes, Reader};
use crate::problem::Place;
use crate::yaml::{self, Key, Node, NodeValue};

/// Sections that an included file may have.
const SHARED: [&str; 4] = ["include", "defaults", "steps", "finally"];
/// Deepest chain of files that include each other.
const DEEPEST: usize = 8;

/// For texts that are read without a workspace.
pub(crate) struct NoIncludes;

impl Includes for NoIncludes {
    fn read(&self, _path: &str) -> Result<String, String> {
        Err("files cannot be included here".to_owned())
    }
}

/// The tree with what it includes: included steps first, its own defaults over included ones.
pub(crate) fn with_includes(reader: &mut Reader<'_>, tree: Node, includes: &dyn Includes) -> Node {
    let mut path = vec![tree.place.file.clone()];
    merge(reader, tree, includes, &mut path)
}

fn merge(reader: &mut Reader<'_>, mut tree: Node, includes: &dyn Includes, path: &mut Vec<String>) -> Node {
    let Some(include) = tree.get("include").cloned() else { return tree };
    let named = match &include.value {
        NodeValue::List(items) => items.clone(),
        _ => vec![include],
    };
    // The last one first, since each is put before what is there.
    for node in named.iter().rev() {
        let Some(file) = reader.text(node, "`include`") else { continue };
        if path.contains(&file) || path.len() >= DEEPEST {
            let chain = format!("{} → {file}", path.join(" → "));
            reader.complain(&node.place, "include-cycle", format!("these files include each other: {chain}"));
            continue;
        }
        if let Some(included) = read(reader, &file, &node.place, includes) {
            path.push(file);
            let included = merge(reader, included, includes, path);
            path.pop();
            put_before(&mut tree, included);
        }
    }
    tree
}

fn read(reader: &mut Reader<'_>, file: &str, place: &Place, includes: &dyn Includes) -> Option<Node> {
    let text = match includes.read(file) {
        Ok(text) => text,
        Err(reason) => {
            reader.complain(place, "missing-file", format!("cannot include `{file}`: {reason}"));
            return None;
        }
    };
    let tree = match yaml::parse(file, &text) {
        Ok(tree) => tree,
        Err(problem) => {
            reader.problems.push(*problem);
            return None;
        }
    };
    let Some(fields) = tree.as_map() else {
        let message = format!("an included file is a mapping, this is {}", tree.type_word());
        reader.complain(&tree.place, "wrong-type", message);
        return None;
    };
    reader.known_keys(fields, &SHARED, "an included file");
    Some(tree)
}

/// Puts the sections of an included file before those of the file. A key that is in both stays as the file has it in `defaults`; a step
/// that is in both is told of when the steps are read.
fn put_before(tree: &mut Node, included: Node) {
    let (NodeValue::Map(fields), NodeValue::Map(shared)) = (&mut tree.value, included.value) else { return };
    for (key, mut section) in shared {
        if key.name == "include" {
            continue;
        }
        match fields.iter_mut().find(|(known, _)| known.name == key.name) {
            None => fields.push((key, section)),
            Some((_, own)) => {
                let (NodeValue::Map(own), NodeValue::Map(shared)) = (&mut own.value, &mut section.value)
                else {
                    continue;
                };
                let is_default = key.name == "defaults";
                let known = |key: &Key| own.iter().any(|(own, _)| own.name == key.name);
                let mut all: Vec<(Key, Node)> =
                    shared.drain(..).filter(|(key, _)| !is_default || !known(key)).collect();
                all.append(own);
                *own = all;
            }
        }
    }
}
