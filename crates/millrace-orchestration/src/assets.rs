//! What a step reads and leaves, out of its resolved config and inputs and out of its outputs: the lineage of every kind of step alike.

use millrace_contract::{StepContext, StepOutcome};
use millrace_metastore::lineage::{Direction, StepAsset};
use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;

/// The assets that a step is given, each once, in the order in which they are written.
pub(crate) fn read_by(context: &StepContext) -> Vec<Asset> {
    let mut found = Vec::new();
    for value in context.inputs.values().chain([&context.config]) {
        collect(value, &mut found);
    }
    found
}

/// What a step read and what it left, as it is stored.
pub(crate) fn step_assets(read: &[Asset], outcome: &StepOutcome) -> Vec<StepAsset> {
    let mut left = Vec::new();
    outcome.outputs.values().for_each(|value| collect(value, &mut left));
    let row = |direction| move |asset: &Asset| stored(direction, asset);
    read.iter().map(row(Direction::Read)).chain(left.iter().map(row(Direction::Wrote))).collect()
}

/// What MLflow's users call the purpose of a dataset that such a step reads.
pub(crate) fn purpose(kind: &str) -> &str {
    match kind {
        "train" => "training",
        "evaluate" => "evaluation",
        other => other,
    }
}

fn collect(value: &Value, found: &mut Vec<Asset>) {
    if let Some(asset) = Asset::from_value(value) {
        if !found.contains(&asset) {
            found.push(asset);
        }
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        _ => {}
    }
}

fn stored(direction: Direction, asset: &Asset) -> StepAsset {
    let kind = match (&asset.name, asset.kind) {
        (_, AssetType::Model) => "model",
        // A name in the catalog is a dataset's, whatever it is made of.
        (Some(_), _) => "dataset",
        (None, AssetType::File) => "file",
        (None, AssetType::Folder) => "folder",
        (None, AssetType::Table) => "table",
        (None, AssetType::Metrics) => "metrics",
        (None, AssetType::Report) => "report",
    };
    let version = asset.version.and_then(|version| i64::try_from(version).ok());
    StepAsset {
        direction,
        kind: kind.to_owned(),
        name: asset.name.clone().unwrap_or_default(),
        version: version.unwrap_or_default(),
        digest: asset.digest.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn assets_are_found_wherever_they_stand_and_once() {
        let rows =
            json!({"asset": "table", "name": "rows", "version": 3, "uri": "file:///d", "digest": "blake3:1"});
        let model = json!({"asset": "model", "uri": "file:///m", "digest": "blake3:2"});
        let mut found = Vec::new();
        collect(&json!({"data": rows, "more": [{"model": model}, rows], "target": "late"}), &mut found);
        let outcome = StepOutcome {
            outputs: [("best".to_owned(), model)].into_iter().collect(),
            ..StepOutcome::default()
        };
        let short = |asset: StepAsset| (asset.direction, asset.kind, asset.name, asset.version, asset.digest);
        let text = |word: &str| word.to_owned();
        assert_eq!(
            step_assets(&found, &outcome).into_iter().map(short).collect::<Vec<_>>(),
            [
                (Direction::Read, text("dataset"), text("rows"), 3, text("blake3:1")),
                (Direction::Read, text("model"), text(""), 0, text("blake3:2")),
                (Direction::Wrote, text("model"), text(""), 0, text("blake3:2")),
            ]
        );
    }
}
