//! The kinds of nodes of a flow. A new one: a file beside these, and a line in [`ALL`].
//!
//! A kind turns its config and its inputs' schemas into one SELECT per output; the expressions that users write are checked against
//! those schemas first, one by one, so that an error names the node and the column.

use datafusion::common::DFSchema;
use datafusion::prelude::SessionContext;
use millrace_contract::{KindDoc, KindFamily};
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::failure::words;
use crate::flow::quote;

mod aggregate;
mod cast;
mod derive;
mod distinct;
mod fill_missing;
mod filter;
mod join;
mod limit;
mod pivot;
mod sample;
mod select;
mod sort;
mod source;
mod split;
mod union;
mod unpivot;
mod window;

/// Every transform, in the order the manual prints them.
pub const ALL: &[Entry] = &[
    entry::<source::Source>(),
    entry::<select::Select>(),
    entry::<filter::Filter>(),
    entry::<derive::Derive>(),
    entry::<aggregate::Aggregate>(),
    entry::<join::Join>(),
    entry::<union::Union>(),
    entry::<sort::Sort>(),
    entry::<limit::Limit>(),
    entry::<sample::Sample>(),
    entry::<distinct::Distinct>(),
    entry::<fill_missing::FillMissing>(),
    entry::<cast::Cast>(),
    entry::<window::Window>(),
    entry::<pivot::Pivot>(),
    entry::<unpivot::Unpivot>(),
    entry::<split::Split>(),
];

/// One line of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The word users write.
    pub name: &'static str,
    /// Its page.
    pub doc: fn() -> KindDoc,
    /// Reads what stands under the word.
    pub(crate) parse: fn(&Value) -> Result<Box<dyn Transform>, String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The pages of all transforms.
pub fn docs() -> Vec<KindDoc> {
    ALL.iter().map(|entry| (entry.doc)()).collect()
}

/// A kind's word and example.
pub(crate) trait Kind: Transform + DeserializeOwned + JsonSchema + 'static {
    const NAME: &'static str;
    const EXAMPLE: &'static str;
}

const fn entry<T: Kind>() -> Entry {
    Entry {
        name: T::NAME,
        doc: || KindDoc::of::<T>(KindFamily::Transform, T::NAME, T::EXAMPLE),
        parse: |value| match T::deserialize(value) {
            Ok(transform) => Ok(Box::new(transform)),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// How many inputs a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inputs {
    None,
    One,
    Two,
    Many,
}

/// A node's work, ready to be planned.
pub(crate) trait Transform: Send + Sync {
    fn inputs(&self) -> Inputs {
        Inputs::One
    }

    /// Names of its outputs if it has several.
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The table of the flow's caller that it reads.
    fn source(&self) -> Option<&str> {
        None
    }

    /// One SELECT per part, or one in all.
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault>;
}

/// What is wrong with a node's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

/// A table that a node reads.
pub(crate) struct Input<'a> {
    /// Its name in SQL, quoted.
    pub(crate) table: String,
    pub(crate) schema: DFSchema,
    pub(crate) context: &'a SessionContext,
}

impl Input<'_> {
    pub(crate) fn columns(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns().contains(&column)
    }

    /// The quoted column, if it is there.
    pub(crate) fn column(&self, name: &str) -> Result<String, Fault> {
        if self.has(name) {
            return Ok(quote(name));
        }
        let columns = self.columns();
        Err(Fault {
            message: format!("there is no column `{name}` here"),
            hint: Some(match nearest(name, &columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", columns.join(", ")),
            }),
        })
    }

    pub(crate) fn list(&self, names: &[String]) -> Result<String, Fault> {
        Ok(names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?.join(", "))
    }

    /// The expression in parentheses, if it is one over this table's columns.
    pub(crate) fn expression(&self, text: &str, of: &str) -> Result<String, Fault> {
        self.checked(text, of)?;
        Ok(format!("({text})"))
    }

    /// Checks that `text` is one SQL expression over this table.
    pub(crate) fn checked(&self, text: &str, of: &str) -> Result<(), Fault> {
        let plain = self.schema.clone().strip_qualifiers();
        let state = self.context.state();
        let Err(error) = state.create_logical_expr(text, &plain) else { return Ok(()) };
        let message = words(&error);
        let columns = self.columns();
        if let Some(unknown) = unknown_field(&error)
            && !columns.contains(&unknown.as_str())
        {
            let hint = match nearest(&unknown, &columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", columns.join(", ")),
            };
            return Err(Fault {
                message: format!("there is no column `{unknown}` in {of}"),
                hint: Some(hint),
            });
        }
        Err(Fault::new(format!("{of} is not an expression that can be used here: {message}")))
    }
}

fn unknown_field(error: &datafusion::error::DataFusionError) -> Option<String> {
    use datafusion::common::SchemaError;
    use datafusion::error::DataFusionError;
    match error.find_root() {
        DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The first input; nodes are planned only with as many as their kind takes.
pub(crate) fn only<'i, 'c>(inputs: &'i [Input<'c>]) -> Result<&'i Input<'c>, Fault> {
    inputs.first().ok_or_else(|| Fault::new("it reads nothing: add `from:`"))
}

/// A list, or one name alone.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Names {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Many(names) => names.clone(),
        }
    }
}

/// Stretches of `[0, 1)`, one per share.
pub(crate) fn split_ranges(fractions: &indexmap::IndexMap<String, f64>) -> Result<Vec<(f64, f64)>, String> {
    split::ranges(fractions).map_err(|fault| fault.message)
}

/// How many nodes a kind reads, by its word: `none`, `one`, `two` or `many`; `None` if there is no such kind.
pub fn reads(kind: &str) -> Option<&'static str> {
    let entry = ALL.iter().find(|entry| entry.name == kind)?;
    let example = millrace_spec::yaml::parse("example", (entry.doc)().example).ok()?.to_json();
    let transform = (entry.parse)(example.get(kind)?).ok()?;
    Some(match transform.inputs() {
        Inputs::None => "none",
        Inputs::One => "one",
        Inputs::Two => "two",
        Inputs::Many => "many",
    })
}

#[cfg(test)]
mod tests;
