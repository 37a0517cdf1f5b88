use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Fault, Input, Inputs, Kind, Transform};

/// The nodes of another flow file, used as one node.
///
/// Its sources read what `from` or `inputs` gives them. A flow with one output is read as `<node>`, one with named outputs as `<node>.<output>`. The
/// file declares `parameters` with their defaults (null: must be given), and uses them as `${{ parameters.name }}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlowletConfig {
    /// Path of the flow file, relative to the workspace.
    pub(crate) file: String,
    /// Source in that file to node here; `from` is enough if it has one source.
    #[serde(default)]
    pub(crate) inputs: IndexMap<String, String>,
    /// Values of its parameters.
    #[serde(default)]
    pub(crate) with: Map<String, Value>,
}

impl Kind for FlowletConfig {
    const NAME: &'static str = "flowlet";
    const EXAMPLE: &'static str = "flowlet: {file: flows/clean-names.yaml, with: {column: carrier}}";
}

impl Transform for FlowletConfig {
    fn inputs(&self) -> Inputs {
        Inputs::Many
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it stands for the nodes of a file, and no files are known here"))
    }
}
