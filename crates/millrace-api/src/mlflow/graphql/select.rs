//! What a selection takes of an answer: checked against the types first, then cut out of the JSON that the REST handlers give.

use serde_json::{Map, Value};

use super::parse::{Directive, Document, FieldNode, Selection};
use super::schema::{Of, Type};
use crate::mlflow::wire::snake_case;

/// Fields of a document, fragments counted as often as they are used.
const MOST_FIELDS: usize = 1_000;
/// Fields of an operation itself, and fields under another name beside each other (MLflow's defaults).
const MOST_ROOTS: usize = 10;
const MOST_ALIASES: usize = 10;

/// A document with the values of its variables.
pub(super) struct Request<'a> {
    pub(super) document: &'a Document,
    pub(super) variables: &'a Map<String, Value>,
}

impl<'a> Request<'a> {
    /// Whether `@include` and `@skip` let a part in; other directives do not matter.
    fn included(&self, directives: &[Directive]) -> bool {
        directives.iter().all(|directive| {
            let wanted = match directive.name.as_str() {
                "include" => true,
                "skip" => false,
                _ => return true,
            };
            let condition = directive.arguments.iter().find(|(name, _)| name == "if");
            condition.and_then(|(_, input)| input.resolve(self.variables)) == Some(Value::Bool(wanted))
        })
    }

    /// The fields of a selection, those of its fragments among them.
    pub(super) fn fields(
        &self,
        of: &Type,
        selections: &'a [Selection],
    ) -> Result<Vec<&'a FieldNode>, String> {
        let mut found = Vec::new();
        self.collect(of, selections, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    fn collect(
        &self,
        of: &Type,
        selections: &'a [Selection],
        within: &mut Vec<&'a str>,
        found: &mut Vec<&'a FieldNode>,
    ) -> Result<(), String> {
        for selection in selections {
            match selection {
                Selection::Field(field) if self.included(&field.directives) => found.push(field),
                Selection::Inline(on, directives, selections)
                    if self.included(directives) && on.as_ref().is_none_or(|on| on == of.name) =>
                {
                    self.collect(of, selections, within, found)?;
                }
                Selection::Spread(name, directives) if self.included(directives) => {
                    if within.contains(&name.as_str()) {
                        return Err(format!("Cannot spread fragment '{name}' within itself."));
                    }
                    let fragment = self.document.fragments.iter().find(|fragment| fragment.name == *name);
                    let fragment = fragment.ok_or_else(|| format!("Unknown fragment '{name}'."))?;
                    if fragment.on == of.name {
                        within.push(name);
                        self.collect(of, &fragment.selections, within, found)?;
                        within.pop();
                    }
                }
                _ => {}
            }
            if found.len() > MOST_FIELDS {
                return Err(too_many());
            }
        }
        Ok(())
    }

    /// Checks that the types have what is selected, and that it is not too much.
    pub(super) fn check(&self, root: &Type, selections: &'a [Selection]) -> Result<(), String> {
        let roots = self.fields(root, selections)?.len();
        if roots > MOST_ROOTS {
            return Err(format!(
                "GraphQL queries should have at most {MOST_ROOTS} root fields, got {roots} root fields."
            ));
        }
        self.check_below(root, selections, 1, &mut 0)
    }

    fn check_below(
        &self,
        of: &Type,
        selections: &'a [Selection],
        depth: usize,
        counted: &mut usize,
    ) -> Result<(), String> {
        // A fragment in a fragment in a fragment: no type lies deeper than this.
        if depth > 10 {
            return Err("Query exceeds maximum depth of 10".to_owned());
        }
        let fields = self.fields(of, selections)?;
        let aliases = fields.iter().filter(|field| field.alias.is_some()).count();
        if aliases > MOST_ALIASES {
            return Err(format!(
                "GraphQL queries should have at most {MOST_ALIASES} aliases, got {aliases} aliases."
            ));
        }
        *counted += fields.len();
        if *counted > MOST_FIELDS {
            return Err(too_many());
        }
        for field in fields {
            if field.name == "__typename" {
                continue;
            }
            let kind = of.field(&field.name);
            let kind =
                kind.ok_or_else(|| format!("Cannot query field '{}' on type '{}'.", field.name, of.name))?;
            match (kind, field.selections.is_empty()) {
                (Of::One(below) | Of::Many(below), false) => {
                    self.check_below(below, &field.selections, depth + 1, counted)?;
                }
                (Of::One(_) | Of::Many(_), true) => {
                    return Err(format!("Field '{}' must have a selection of subfields.", field.name));
                }
                (_, false) => return Err(format!("Field '{}' has no subfields.", field.name)),
                (_, true) => {}
            }
        }
        Ok(())
    }

    /// Whether a selection has a field, by the names of the fields above it.
    pub(super) fn selects(&self, of: &Type, selections: &'a [Selection], path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        let fields = self.fields(of, selections).unwrap_or_default();
        fields.iter().filter(|field| field.name == *first).any(|field| match of.field(first) {
            Some(Of::One(below) | Of::Many(below)) => self.selects(below, &field.selections, rest),
            _ => rest.is_empty(),
        })
    }

    /// Cuts what is selected out of an object with names in snake case.
    pub(super) fn cut(&self, of: &Type, selections: &'a [Selection], object: &Value) -> Value {
        if object.is_null() {
            return Value::Null;
        }
        let mut taken = Map::new();
        for field in self.fields(of, selections).unwrap_or_default() {
            let key = field.alias.as_ref().unwrap_or(&field.name);
            let value = match of.field(&field.name) {
                None => Value::from(of.name),
                Some(kind) => self.value(kind, field, object.get(snake_case(&field.name))),
            };
            match (taken.get_mut(key), value) {
                // Selected twice, with other fields of it.
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (_, value) => {
                    taken.insert(key.clone(), value);
                }
            }
        }
        Value::Object(taken)
    }

    fn value(&self, kind: Of, field: &'a FieldNode, value: Option<&Value>) -> Value {
        let value = value.unwrap_or(&Value::Null);
        match (kind, value) {
            (Of::One(below), value) => self.cut(below, &field.selections, value),
            (Of::Many(below), Value::Array(items)) => {
                items.iter().map(|item| self.cut(below, &field.selections, item)).collect()
            }
            (Of::Many(_) | Of::Texts, Value::Null) => Value::Array(Vec::new()),
            (Of::Long | Of::Text, Value::Number(number)) => Value::from(number.to_string()),
            // What is no number is nothing in GraphQL.
            (Of::Float, value) if !value.is_number() => Value::Null,
            (_, value) => value.clone(),
        }
    }
}

fn too_many() -> String {
    format!("Query exceeds maximum total selections of {MOST_FIELDS}")
}
