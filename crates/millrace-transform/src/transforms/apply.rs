use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Learned, Transform};
use crate::flow::learned::LearnedDocument;

/// Does to other rows what the nodes of an earlier flow learned, without learning anew.
///
/// The step that runs the flow names the document under `inputs:`, as the output `learned` of the step that learned, or as the dataset that
/// it was kept as. All its nodes are applied in their order, or those that `nodes` names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Apply {
    /// All nodes of the document of this input.
    All(String),
    /// Some nodes.
    Some(Part),
}

/// Some nodes of a document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// The input that is the document.
    learned: String,
    /// Nodes to apply, in this order.
    nodes: Vec<String>,
}

impl Kind for Apply {
    const NAME: &'static str = "apply";
    const EXAMPLE: &'static str = "apply: {learned: preparation, nodes: [impute, scale]}";
}

impl Transform for Apply {
    fn columns_depend_on_rows(&self) -> bool {
        true
    }

    fn learned_from(&self) -> Option<&str> {
        Some(match self {
            Self::All(input) => input,
            Self::Some(part) => &part.learned,
        })
    }

    fn chosen<'d>(&self, document: &'d LearnedDocument) -> Result<Vec<&'d Learned>, Fault> {
        match self {
            Self::All(_) => Ok(document.nodes().values().collect()),
            Self::Some(part) => part
                .nodes
                .iter()
                .map(|name| {
                    document.nodes().get(name).ok_or_else(|| {
                        let names: Vec<&str> = document.nodes().keys().map(String::as_str).collect();
                        Fault::new(format!("`{}` has nothing of a node `{name}`", part.learned))
                            .hinted(format!("its nodes are {}", names.join(", ")))
                            .under("nodes")
                    })
                })
                .collect(),
        }
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it needs what was learned"))
    }
}
