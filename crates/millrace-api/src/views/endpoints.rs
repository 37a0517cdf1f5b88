//! Endpoints and their deployments.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::json::JsonMap;
use super::models::ModelSignature;

/// A model version behind an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DeploymentView {
    /// Name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// Per cent of the requests.
    pub traffic: u32,
    /// `ready`, `loading` or `failed`.
    pub status: String,
    /// Requests since the server began.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

/// An endpoint in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EndpointSummary {
    /// Name.
    pub name: String,
    /// `ready`, `loading` or `failed`.
    pub status: String,
    /// Address that scores rows.
    pub url: String,
    /// What is behind it.
    pub deployments: Vec<DeploymentView>,
    /// Requests since the server began.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// RFC 3339.
    pub updated_at: Option<String>,
}

/// Requests of one interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TrafficPoint {
    /// Begin of the interval, RFC 3339.
    pub at: String,
    /// Requests.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

/// An endpoint's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EndpointView {
    /// The endpoint.
    pub endpoint: EndpointSummary,
    /// What it takes and gives.
    pub signature: Option<ModelSignature>,
    /// A row that it takes.
    pub example: Option<JsonMap>,
    /// Oldest first.
    pub history: Vec<TrafficPoint>,
    /// Its file, if it has one.
    pub yaml: Option<String>,
    /// A command that calls it.
    pub command: String,
}
