use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_spec::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::query::TableRef;

/// A column of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewColumn {
    /// Name.
    pub name: String,
    /// Arrow type as text.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether a null may occur.
    pub nullable: bool,
}

/// The first rows of a node's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TablePreview {
    /// In order.
    pub columns: Vec<PreviewColumn>,
    /// One object per row: column name to JSON value.
    pub rows: Vec<Map<String, Value>>,
    /// Whether there are more rows than these.
    pub truncated: bool,
}

/// What a node gives, known without running it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSchema {
    /// Node, or `node.part`.
    pub node: String,
    /// Its columns; empty if it or a node before it is wrong.
    pub columns: Vec<PreviewColumn>,
    /// What is wrong with this very node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Looks into flows without running them whole.
#[async_trait]
pub trait FlowPreview: Send + Sync {
    /// The first `limit` rows of a node (`node` or `node.part`), running only what it needs. `flow` is the flow file as JSON.
    async fn preview_flow(
        &self,
        flow: &Value,
        inputs: &IndexMap<String, TableRef>,
        node: &str,
        limit: usize,
    ) -> Result<TablePreview, Problem>;

    /// Every node's columns, planned but not run, in the file's order. Fails only if the flow cannot be read as one.
    async fn flow_schemas(
        &self,
        flow: &Value,
        inputs: &IndexMap<String, TableRef>,
    ) -> Result<Vec<NodeSchema>, Problem>;
}
