//! Documents of what flows learned: read from where they are kept, kept as versions of a dataset.

use millrace_contract::{AssetKey, DatasetCatalog, NewDatasetVersion, Producer, StepContext, StepError};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use object_store::ObjectStoreExt as _;
use serde_json::Value;

use super::{catalog_error, step_error};
use crate::engine::{DataFusionEngine, store};
use crate::flow::{Flow, Knowledge, LearnedDocument};

/// What the flow's nodes are to know: the document under `learned:`, and those that its `apply` nodes name.
pub(super) async fn knowledge(
    engine: &DataFusionEngine,
    context: &StepContext,
    flow: &Flow,
    learned: Option<&Value>,
) -> Result<Knowledge, StepError> {
    let asset = |value: &Value| {
        let named = value.as_str().and_then(|name| context.inputs.get(name)).unwrap_or(value);
        Asset::from_value(named)
    };
    let mut knowledge = match learned {
        None => Knowledge::default(),
        Some(value) => match asset(value) {
            Some(asset) => Knowledge::of_flow(read(engine, &asset).await?),
            None => {
                let problem =
                    Problem::error("flow-learned", "`learned` is no document of what a flow learned");
                return Err(StepError::permanent(problem.hint("learned: ${{ steps.<id>.learned }}")));
            }
        },
    };
    for name in flow.learned_inputs() {
        if let Some(asset) = context.inputs.get(name).and_then(Asset::from_value) {
            knowledge.add_input(name.to_owned(), read(engine, &asset).await?);
        }
    }
    Ok(knowledge)
}

async fn read(engine: &DataFusionEngine, asset: &Asset) -> Result<LearnedDocument, StepError> {
    let refused = |reason: String| {
        let message = format!("`{}` is no document of what a flow learned", asset.label());
        StepError::permanent(Problem::error("flow-learned", message).note(reason))
    };
    let url = store::parse(&asset.uri).map_err(|error| step_error(&error))?;
    let (bucket, path) = store::store_for(engine.config(), &url).map_err(|error| step_error(&error))?;
    let found = bucket.get(&path).await.map_err(|error| refused(error.to_string()))?;
    let bytes = found.bytes().await.map_err(|error| refused(error.to_string()))?;
    let digest = format!("blake3:{}", blake3::hash(&bytes).to_hex());
    if asset.digest.starts_with("blake3:") && asset.digest != digest {
        return Err(refused("its bytes are not those that were kept".to_owned()));
    }
    LearnedDocument::parse(&bytes).map_err(refused)
}

/// Keeps a document as a new version of a dataset. Its file is named by its content, so no version is ever overwritten.
pub(super) async fn publish(
    engine: &DataFusionEngine,
    catalog: &dyn DatasetCatalog,
    context: &StepContext,
    name: &str,
    document: &LearnedDocument,
    inputs: &[AssetKey],
) -> Result<Asset, StepError> {
    let failed = |error: String| StepError::permanent(Problem::error("flow-learned", error));
    let (bytes, digest) = document.to_bytes().map_err(|error| failed(error.to_string()))?;
    let size = bytes.len() as u64;
    let root = catalog.location(name).map_err(|error| catalog_error(&error))?;
    let short = digest.trim_start_matches("blake3:").get(..16).unwrap_or_default().to_owned();
    let uri = format!("{}/{short}.json", root.trim_end_matches('/'));
    let url = store::parse(&uri).map_err(|error| step_error(&error))?;
    let (bucket, path) = store::store_for(engine.config(), &url).map_err(|error| step_error(&error))?;
    let put = bucket.put(&path, bytes.into()).await;
    put.map_err(|error| failed(format!("cannot keep what was learned: {error}")))?;
    let asset = Asset {
        kind: AssetType::File,
        name: None,
        version: None,
        uri,
        delta_version: None,
        digest,
        rows: None,
        size_bytes: Some(size),
    };
    let version = NewDatasetVersion {
        name: name.to_owned(),
        asset,
        schema: Value::Null,
        profile: None,
        producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
        inputs: inputs.to_vec(),
    };
    let recorded = catalog.commit(version).await.map_err(|error| catalog_error(&error))?;
    context.log.line(&format!("kept what the nodes learned as {}", recorded.asset.label()));
    Ok(recorded.asset)
}
