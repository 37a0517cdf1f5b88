//! Web APIs as a test of a flow has them: what they answer is written down, and nobody is asked.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{RowAnswer, RowCall, RowCaller, RowCalls};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Connection to request to answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Answers(IndexMap<String, IndexMap<String, Value>>);

struct Written(IndexMap<String, Value>);

impl RowCalls for Answers {
    fn names(&self) -> Result<Vec<String>, String> {
        if self.0.is_empty() {
            return Err(
                "a test asks nobody: write the answers, `answers: {scores: {\"GET customers/7\": {…}}}`"
                    .to_owned(),
            );
        }
        Ok(self.0.keys().cloned().collect())
    }

    fn open(&self, connection: &str) -> Result<Arc<dyn RowCaller>, String> {
        Ok(Arc::new(Written(self.0.get(connection).cloned().unwrap_or_default())))
    }
}

#[async_trait]
impl RowCaller for Written {
    async fn call(&self, call: &RowCall) -> Result<RowAnswer, String> {
        let mut path = call.path.clone();
        for (name, value) in &call.values {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let params: Vec<String> = call.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let question = if params.is_empty() { "" } else { "?" };
        let request = format!("{} {path}{question}{}", call.method.word(), params.join("&"));
        let whole = call.body.as_ref().map(|body| format!("{request} {body}"));
        let answer = whole.as_ref().and_then(|whole| self.0.get(whole)).or_else(|| self.0.get(&request));
        let answer = answer
            .ok_or_else(|| format!("the case has no answer to `{}`", whole.as_ref().unwrap_or(&request)))?;
        let body = if answer.is_null() { String::new() } else { answer.to_string() };
        Ok(RowAnswer { status: 200, body })
    }
}
