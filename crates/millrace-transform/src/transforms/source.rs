use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};

/// Reads a table that is given to the flow.
///
/// The step that runs the flow names its tables under `inputs:`; this node takes one of them by that name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Source(String);

impl Kind for Source {
    const NAME: &'static str = "source";
    const EXAMPLE: &'static str = "source: flights";
}

impl Transform for Source {
    fn inputs(&self) -> Inputs {
        Inputs::None
    }

    fn source(&self) -> Option<&str> {
        Some(&self.0)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Ok(vec![format!("select * from {}", crate::flow::quote(&crate::flow::input_table(&self.0)))])
    }
}
