//! What the nodes of a flow learned, as a document that is kept.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::transforms::Learned;

/// What the nodes of a flow learned in a run, in the order in which they did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedDocument {
    /// Says what the document is: `learned`.
    millrace: Mark,
    /// Raised when its form changes.
    version: u32,
    /// The flow's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    nodes: IndexMap<String, Learned>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Learned,
}

const VERSION: u32 = 1;

impl LearnedDocument {
    pub(crate) fn new(flow: Option<String>, nodes: IndexMap<String, Learned>) -> Self {
        Self { millrace: Mark::Learned, version: VERSION, flow, nodes }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, a clause.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if document.version > VERSION {
            return Err(format!("it has version {}, and this program knows {VERSION}", document.version));
        }
        Ok(document)
    }

    /// The document as it is kept, and the digest of these bytes.
    ///
    /// # Errors
    /// If a number in it has no JSON form.
    pub fn to_bytes(&self) -> Result<(Vec<u8>, String), serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        let digest = format!("blake3:{}", blake3::hash(&bytes).to_hex());
        Ok((bytes, digest))
    }

    pub(crate) fn nodes(&self) -> &IndexMap<String, Learned> {
        &self.nodes
    }
}

/// What earlier runs learned, as a plan takes it.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Whether the flow's own nodes are to do what an earlier run of it learned, and learn nothing.
    pub(crate) given: bool,
    /// By node.
    pub(crate) nodes: IndexMap<String, Learned>,
    /// By the input of the flow that is the document.
    pub(crate) documents: IndexMap<String, LearnedDocument>,
}

impl Knowledge {
    /// The flow's nodes do what `document` says.
    pub fn of_flow(document: LearnedDocument) -> Self {
        Self { given: true, nodes: document.nodes, documents: IndexMap::new() }
    }

    /// Nodes of the kind `apply` find the document under this name.
    pub fn add_input(&mut self, name: String, document: LearnedDocument) {
        self.documents.insert(name, document);
    }
}
