//! Dataset and model versions as views.

use indexmap::IndexMap;
use millrace_contract as contract;
use millrace_contract::{DatasetVersion, ModelVersion};
use millrace_metastore::registry::{PromotionRow, VoteRow};
use millrace_spec::asset::Asset;
use serde_json::Value;

use crate::views::datasets::{
    AssetKey, ColumnProfile, DatasetSummary, DatasetVersionView, FieldView, HistogramBin, Producer,
    TableProfile, TopValue,
};
use crate::views::json::{Json, NumberMap, TextMap};
use crate::views::models::{ModelSummary, PromotionView, VoteView};

use super::{count, instant};

impl From<contract::AssetKey> for AssetKey {
    fn from(key: contract::AssetKey) -> Self {
        Self { kind: key.kind, name: key.name, version: key.version }
    }
}

impl From<contract::Producer> for Producer {
    fn from(producer: contract::Producer) -> Self {
        Self { run_id: producer.run_id, step: producer.step }
    }
}

impl From<contract::TableProfile> for TableProfile {
    fn from(profile: contract::TableProfile) -> Self {
        let column = |column: contract::ColumnProfile| ColumnProfile {
            name: column.name,
            data_type: column.data_type,
            nulls: column.nulls,
            distinct: column.distinct,
            min: Json(column.min),
            max: Json(column.max),
            mean: column.mean,
            stddev: column.stddev,
            quantiles: column.quantiles,
            top: column.top.into_iter().map(|top| TopValue { value: top.value, count: top.count }).collect(),
            histogram: column
                .histogram
                .into_iter()
                .map(|bin| HistogramBin { from: bin.from, to: bin.to, count: bin.count })
                .collect(),
        };
        Self { rows: profile.rows, columns: profile.columns.into_iter().map(column).collect() }
    }
}

/// The columns of a stored schema.
pub(crate) fn fields(schema: &Value) -> Vec<FieldView> {
    let text =
        |field: &Value, key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let field = |field: &Value| FieldView {
        name: text(field, "name"),
        data_type: text(field, "type"),
        nullable: field.get("nullable").and_then(Value::as_bool).unwrap_or(true),
    };
    schema.as_array().map(|fields| fields.iter().map(field).collect()).unwrap_or_default()
}

/// The word of an asset's type.
pub(crate) fn kind(asset: &Asset) -> String {
    serde_json::to_value(asset.kind)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(crate) fn dataset_summary(version: &DatasetVersion) -> DatasetSummary {
    DatasetSummary {
        name: version.asset.name.clone().unwrap_or_default(),
        version: version.asset.version.unwrap_or_default(),
        rows: version.asset.rows,
        size_bytes: version.asset.size_bytes,
        columns: version.schema.as_array().map_or(0, Vec::len) as u32,
        created_at: version.created_at.to_string(),
        producer: version.producer.clone().map(Into::into),
        aliases: Vec::new(),
    }
}

pub(crate) fn dataset_version(version: DatasetVersion) -> DatasetVersionView {
    DatasetVersionView {
        kind: kind(&version.asset),
        name: version.asset.name.unwrap_or_default(),
        version: version.asset.version.unwrap_or_default(),
        uri: version.asset.uri,
        digest: version.asset.digest,
        rows: version.asset.rows,
        size_bytes: version.asset.size_bytes,
        schema: fields(&version.schema),
        profile: version.profile.map(Into::into),
        producer: version.producer.map(Into::into),
        inputs: version.inputs.into_iter().map(Into::into).collect(),
        created_at: version.created_at.to_string(),
        aliases: Vec::new(),
        tags: TextMap::default(),
    }
}

/// A version for a list; `versions` is how many the model has.
pub fn model_summary(version: &ModelVersion, versions: usize) -> ModelSummary {
    ModelSummary {
        name: version.asset.name.clone().unwrap_or_default(),
        version: version.asset.version.unwrap_or_default(),
        aliases: version.aliases.clone(),
        stage: version.stage.clone(),
        metrics: numbers(&version.metrics),
        created_at: version.created_at.to_string(),
        versions: versions as u32,
    }
}

/// A request to promote a version.
pub fn promotion(row: PromotionRow) -> PromotionView {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let vote = |vote: VoteRow| VoteView {
        by: vote.voter,
        approve: vote.approves,
        comment: vote.comment,
        at: instant(vote.voted_at),
    };
    PromotionView {
        id: row.id,
        model: row.name,
        version: number(row.version),
        alias: row.alias,
        digest: row.digest,
        approvals: count(row.quorum),
        approvers: row.approvers,
        state: row.state,
        comment: row.comment,
        by: row.requested_by,
        at: instant(row.requested_at),
        decided_at: row.decided_at.map(instant),
        replaced: row.replaced_version.map(number),
        votes: row.votes.into_iter().map(vote).collect(),
    }
}

/// Numbers that JSON can say.
pub(crate) fn numbers(metrics: &IndexMap<String, f64>) -> NumberMap {
    NumberMap(
        metrics
            .iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(key, value)| (key.clone(), *value))
            .collect(),
    )
}
