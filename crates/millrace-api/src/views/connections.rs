//! Connections: what stands in their file, without secrets, and whether they lead anywhere.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::Json;
use super::workspace::Problem;

/// What connections lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionFamily {
    /// Files and objects.
    Files,
    /// Tables, and queries over them.
    Databases,
    /// Web APIs.
    Apis,
    /// Messages and mails.
    Queues,
    /// Programs that give rows.
    Programs,
    /// Engines that flows and SQL run on.
    Engines,
}

/// A kind of connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ConnectionKindView {
    /// The word users write.
    pub name: String,
    /// What it leads to.
    pub family: ConnectionFamily,
    /// One sentence.
    pub summary: String,
    /// The whole text.
    pub description: String,
    /// JSON Schema of what stands under the word.
    pub schema: Json,
    /// Fields whose values nobody may see.
    pub secrets: Vec<String>,
}

/// A connection as its file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ConnectionView {
    /// Name.
    pub name: String,
    /// Kind; null if none stands there.
    pub kind: Option<String>,
    /// What stands under the kind's word. A secret is the expression that names it, or `••••••` if it is written out.
    pub settings: Json,
    /// Line of its name, from 1.
    pub line: u32,
    /// Why it cannot be used.
    pub problem: Option<Problem>,
}

/// The file of connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ConnectionsView {
    /// Path relative to the workspace.
    pub file: String,
    /// Changes with its text; null if there is no file yet.
    pub etag: Option<String>,
    /// Why it cannot be changed; null if it can.
    pub read_only: Option<String>,
    /// Why it cannot be read.
    pub problem: Option<Problem>,
    /// In the order of the file.
    pub connections: Vec<ConnectionView>,
    /// Kinds that a new one may have.
    pub kinds: Vec<ConnectionKindView>,
}

/// A connection as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SaveConnection {
    /// Kind.
    pub kind: String,
    /// What stands under the kind's word. `••••••` is what stands there already; a secret that is written out is kept encrypted, and the file
    /// gets an expression that names it.
    pub settings: Json,
    /// That of the file it was read from; absent if there was none.
    #[serde(default)]
    #[ts(optional)]
    pub etag: Option<String>,
}

/// A connection to be tried; nothing is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TryConnection {
    /// Its name: what `••••••` stands for is looked up under it.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// As in [`SaveConnection`].
    pub settings: Json,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TriedConnection {
    /// What answered; null if nothing did.
    pub said: Option<String>,
    /// Tables, or files and folders at the root; the first of them.
    pub names: Vec<String>,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Why it cannot be used.
    pub problem: Option<Problem>,
}
