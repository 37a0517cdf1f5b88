//! Flows: their files, what is in them, and changes to them.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::FieldView;
use super::json::{Json, TextMap};
use super::workspace::Problem;

/// A step that runs a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowUse {
    /// Pipeline.
    pub pipeline: String,
    /// Its step.
    pub step: String,
}

/// A flow in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowSummary {
    /// Name: the file's without its ending.
    pub name: String,
    /// Path relative to the workspace.
    pub file: String,
    /// `description:`.
    pub description: Option<String>,
    /// Nodes.
    pub nodes: u32,
    /// Steps that run it.
    pub used_by: Vec<FlowUse>,
    /// What is wrong with it, as far as that is known without its tables.
    pub problems: Vec<Problem>,
}

/// A kind of node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowKindView {
    /// The word users write.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// The whole text.
    pub description: String,
    /// A working example, YAML.
    pub example: String,
    /// JSON Schema of what stands under the word.
    pub schema: Json,
    /// How many nodes it reads: `none`, `one`, `two` or `many`.
    pub reads: String,
}

/// What a node gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowPort {
    /// How others name it: the node, or `node.part`.
    pub name: String,
    /// Its columns; empty as long as it or what it reads is wrong.
    pub columns: Vec<FieldView>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowNodeView {
    /// Its key.
    pub id: String,
    /// Its kind; null if none stands there.
    pub kind: Option<String>,
    /// What it reads, in order: nodes, or `node.part`.
    pub from: Vec<String>,
    /// `description:`.
    pub description: Option<String>,
    /// What stands under the kind's word.
    pub config: Json,
    /// Line of its key, from 1.
    pub line: u32,
    /// What it gives.
    pub ports: Vec<FlowPort>,
    /// What is wrong with it.
    pub problem: Option<Problem>,
}

/// What a text says, as far as it can be understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowModel {
    /// `description:`.
    pub description: Option<String>,
    /// In the order of the file.
    pub nodes: Vec<FlowNodeView>,
    /// Output to the node that it is; what is alone is called `data`.
    pub outputs: TextMap,
    /// Whether the outputs are written down; otherwise it is the one node that no other reads.
    pub names_outputs: bool,
    /// The tables that are asked for by name.
    pub sources: Vec<String>,
    /// What is wrong and belongs to no node.
    pub problems: Vec<Problem>,
}

/// A flow's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FlowView {
    /// Name.
    pub name: String,
    /// Path relative to the workspace.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// Changes with the text.
    pub etag: String,
    /// Why it cannot be saved; null if it can.
    pub read_only: Option<String>,
    /// Steps that run it.
    pub used_by: Vec<FlowUse>,
    /// Tables for its sources, as pipelines give them or by their names: a dataset, or a file's path.
    pub tables: TextMap,
    /// What the text says.
    pub model: FlowModel,
}

/// A text to be understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CheckFlow {
    /// The text.
    pub yaml: String,
    /// Source to table: a dataset (`flights`, `flights@3`), or a file's path.
    #[serde(default)]
    pub tables: TextMap,
}

/// A change to a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum FlowEdit {
    /// A new node at the end.
    Add {
        /// Its key.
        id: String,
        /// Its kind.
        kind: String,
        /// What stands under the kind's word; the kind's example if absent.
        #[serde(default)]
        #[ts(optional)]
        config: Option<Json>,
        /// What it reads.
        #[serde(default)]
        #[ts(optional, as = "Option<Vec<String>>")]
        from: Vec<String>,
    },
    /// A node goes; what read it reads what it read, if that was one.
    Remove {
        /// The node.
        id: String,
    },
    /// A node gets another key, also where it is read.
    Rename {
        /// The node.
        id: String,
        /// Its new key.
        to: String,
    },
    /// What stands under the kind's word.
    Configure {
        /// The node.
        id: String,
        /// All of it.
        config: Json,
    },
    /// What a node reads.
    Read {
        /// The node.
        id: String,
        /// All that it reads, in order.
        from: Vec<String>,
    },
    /// What a node is for; nothing takes it away.
    Describe {
        /// The node; the flow itself if absent.
        #[serde(default)]
        #[ts(optional)]
        id: Option<String>,
        /// The text.
        text: String,
    },
    /// What the flow gives: output to node; one that is called `data` is written without its name, none takes the key away.
    Output {
        /// All of them.
        outputs: TextMap,
    },
}

/// Changes to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EditFlow {
    /// The text.
    pub yaml: String,
    /// One after the other; all or none.
    pub edits: Vec<FlowEdit>,
    /// As in [`CheckFlow`].
    #[serde(default)]
    pub tables: TextMap,
}

/// A changed text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EditedFlow {
    /// The text; comments, order and spaces are as they were.
    pub yaml: String,
    /// What it says.
    pub model: FlowModel,
}

/// Which rows are to be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PreviewFlow {
    /// The text.
    pub yaml: String,
    /// The node, or `node.part`.
    pub node: String,
    /// As in [`CheckFlow`].
    #[serde(default)]
    pub tables: TextMap,
    /// Rows at most; 50 if absent, at most 1,000.
    #[serde(default)]
    #[ts(optional)]
    pub limit: Option<u32>,
}

/// A text to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SaveFlow {
    /// The text.
    pub yaml: String,
    /// That of the text it replaces; absent for a new file.
    #[serde(default)]
    #[ts(optional)]
    pub etag: Option<String>,
}
