use datafusion::common::TableReference;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};
use crate::engine::query;
use crate::flow::quote;

/// Rows of a SELECT over the nodes that it reads, for what no other kind says.
///
/// `from: [orders, customers]`; the query names them like that. The output of a node with several is named in double quotes: `"size.large"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Sql(String);

impl Kind for Sql {
    const NAME: &'static str = "sql";
    const EXAMPLE: &'static str = "sql: |\n  select origin, count(*) as flights\n  from flights\n  group by grouping sets ((origin), ())";
}

impl Transform for Sql {
    fn inputs(&self) -> Inputs {
        Inputs::Many
    }

    /// A node that is named twice is produced once.
    fn reads(&self) -> usize {
        query::most_named(&self.0)
    }

    fn is_written_out(&self) -> bool {
        true
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        if query::is_explain(&self.0) {
            let message = "`explain` tells how a query is done and has no rows of its own";
            return Err(Fault::new(message).hinted("take it away"));
        }
        let known: Vec<&str> = inputs.iter().map(|input| input.table.as_str()).collect();
        // What does not parse is told with its place when it is planned.
        for reference in query::references(&self.0).unwrap_or_default() {
            let name = quote(&reference.to_string());
            let is_bare = matches!(reference, TableReference::Bare { .. });
            match (known.contains(&name.as_str()), is_bare) {
                (true, true) => {}
                (true, false) => {
                    let message = format!("`{reference}` is one name and stands in double quotes");
                    return Err(Fault::new(message).hinted(format!("from {name}")));
                }
                (false, _) => {
                    let message = format!("the query reads `{reference}`, which `from` does not name");
                    return Err(Fault::new(message).hinted(format!("`from` names {}", known.join(", "))));
                }
            }
        }
        Ok(vec![self.0.clone()])
    }
}
