use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parse::scalar_type;
use super::{Fault, Input, Inputs, Kind, Transform, only};
use crate::flow::quote;

/// Reads a table that is given to the flow.
///
/// The step that runs the flow names its tables under `inputs:`; this node takes one of them by that name. With `columns`, their types are
/// promised: `millrace check` then knows the types of everything after it, and a run casts the columns, or fails if one is missing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Source {
    /// The input's name.
    Name(String),
    /// The input and its columns.
    Declared(Declared),
}

/// An input with the columns that it has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    /// The input's name.
    name: String,
    /// Column to type: `string`, `integer`, `float`, `boolean`, `date`, `timestamp`, `decimal(12, 2)`.
    columns: IndexMap<String, String>,
    /// What becomes of columns that are not among them.
    #[serde(default)]
    others: Others,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Others {
    /// They stay.
    #[default]
    Keep,
    /// They are left out.
    Drop,
    /// The flow fails.
    Fail,
}

impl Kind for Source {
    const NAME: &'static str = "source";
    const EXAMPLE: &'static str = "source: flights";
}

impl Transform for Source {
    fn inputs(&self) -> Inputs {
        Inputs::None
    }

    fn source(&self) -> Option<&str> {
        Some(match self {
            Self::Name(name) => name,
            Self::Declared(declared) => &declared.name,
        })
    }

    fn declared(&self) -> Option<&IndexMap<String, String>> {
        match self {
            Self::Name(_) => None,
            Self::Declared(declared) => Some(&declared.columns),
        }
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let Self::Declared(declared) = self else {
            return Ok(vec![format!("select * from {}", input.table)]);
        };
        let mut list = Vec::new();
        for (name, word) in &declared.columns {
            let under = |fault: Fault| fault.under(name).under("columns");
            let promised = scalar_type(word).map_err(under)?;
            let column = input.column(name).map_err(under)?;
            list.push(match *input.data_type(name)? == promised {
                true => column,
                false => format!("arrow_cast({column}, '{promised}') as {column}"),
            });
        }
        let others = input.columns().into_iter().filter(|name| !declared.columns.contains_key(*name));
        match declared.others {
            Others::Keep => list.extend(others.map(quote)),
            Others::Drop => {}
            Others::Fail => {
                let unknown: Vec<&str> = others.collect();
                if !unknown.is_empty() {
                    let message =
                        format!("the input has columns that are not declared: {}", unknown.join(", "));
                    return Err(Fault::new(message).hinted("others: drop").under("others"));
                }
            }
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
