use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use schemars::JsonSchema;
use serde_json::Value;

/// Gives names to values, so that later steps can refer to them.
///
/// Every key becomes an output of the step: `steps.<id>.<key>`. The values may be expressions.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct SetSpec(#[allow(dead_code, reason = "read for its schema only")] IndexMap<String, Value>);

/// The `set` step.
#[derive(Debug)]
pub struct Set {
    doc: KindDoc,
}

impl Set {
    /// Makes the kind.
    pub fn new() -> Self {
        Self { doc: KindDoc::of::<SetSpec>(KindFamily::Step, "set", EXAMPLE) }
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

const EXAMPLE: &str = "set:\n  season: summer\n  months: [6, 7, 8]\n";

#[async_trait]
impl StepKind for Set {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    fn outputs(&self, config: &Value, _declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let Some(fields) = config.as_object() else { return Vec::new() };
        fields.keys().map(|name| OutputDoc { name: name.clone(), type_name: "json".to_owned() }).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let outputs = match context.config {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => IndexMap::new(),
        };
        Ok(StepOutcome { outputs, ..StepOutcome::default() })
    }
}
