//! Jobs of other systems, as those tell of them by OpenLineage.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::datasets::AssetKey;
use super::json::Json;

/// A run of a job of another system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideRunView {
    /// Its id there.
    pub id: String,
    /// `running`, `succeeded`, `failed`, `cancelled` or `unknown`.
    pub state: String,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Why it failed, if that was told.
    pub error: Option<String>,
}

/// A job of another system in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideJobSummary {
    /// By which lineage has it: namespace, `/`, name.
    pub key: String,
    /// Whose it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// Who told of it.
    pub producer: String,
    /// Its newest run.
    pub latest: Option<OutsideRunView>,
    /// When it was last told of, RFC 3339.
    pub updated_at: String,
}

/// Something that such a job reads or writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideUseView {
    /// Its name there: namespace, `/`, name.
    pub dataset: String,
    /// The dataset of this workspace that it is.
    pub asset: Option<AssetKey>,
    /// Whether the job writes it.
    pub writes: bool,
    /// When it last did, RFC 3339.
    pub used_at: String,
}

/// A job of another system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideJobView {
    /// The job.
    pub job: OutsideJobSummary,
    /// Its runs, newest first.
    pub runs: Vec<OutsideRunView>,
    /// What it reads and writes.
    pub uses: Vec<OutsideUseView>,
    /// Facets of OpenLineage by name.
    pub facets: Json,
}

/// A column of a dataset of another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideColumnView {
    /// Its name.
    pub name: String,
    /// Its type there, if that was told.
    #[serde(rename = "type")]
    pub column_type: Option<String>,
}

/// A job of another system that reads or writes a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideUserView {
    /// The job: namespace, `/`, name.
    pub job: String,
    /// Whether the job writes it.
    pub writes: bool,
    /// When it last did, RFC 3339.
    pub used_at: String,
}

/// A dataset of another system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct OutsideDatasetView {
    /// By which lineage has it: namespace, `/`, name.
    pub key: String,
    /// Where it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// Its columns, as far as they were told.
    pub columns: Vec<OutsideColumnView>,
    /// Jobs that read or write it.
    pub users: Vec<OutsideUserView>,
    /// Facets of OpenLineage by name.
    pub facets: Json,
}
