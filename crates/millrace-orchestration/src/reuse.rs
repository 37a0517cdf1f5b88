//! Whether an earlier result of a step stands in for an attempt.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{StepContext, StepKind, StepOutcome};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::pipeline::CachePolicy;

use crate::attempt::{AttemptEnd, AttemptStart, Remember};
use crate::cache::{self, ReuseDecision};
use crate::engine::Shared;

/// An earlier result of the step that may stand in for an attempt; what was decided and what is to be kept of a new one is put into `end`.
pub(crate) async fn look_in_cache(
    shared: &Arc<Shared>,
    start: &AttemptStart,
    kind: &dyn StepKind,
    context: &StepContext,
    end: &mut AttemptEnd,
) -> Option<StepOutcome> {
    let refused = match &start.step.cache {
        CachePolicy::Never => Some("its `cache` is false"),
        _ if !kind.reusable(&start.step.config) => Some("this kind of step always runs"),
        _ => None,
    };
    if let Some(why) = refused {
        end.reuse = Some(ReuseDecision::NotReusable { why: why.to_owned() });
        return None;
    }
    let code = code_digests(shared, kind.code_files(&context.config)).await;
    let environment = match &context.environment {
        Some(path) => code_digests(shared, vec![path.clone()]).await.into_values().next(),
        None => None,
    };
    let mut components =
        cache::components(&start.step.kind, kind.traits().version, context, &code, environment.as_deref());
    for name in start.step.env.keys() {
        let value = context.env.get(name).cloned().unwrap_or_default();
        components
            .insert(format!("the variable {name}"), cache::value_component(&value.into(), &context.secrets));
    }
    let key = cache::cache_key(&components);
    let (mut decision, mut outcome) = shared.find_reusable(start, &key, &components).await;
    if let Some(found) = &outcome
        && !(are_newest(shared, found).await && kind.still_holds(context, found).await)
    {
        decision = decision.undone();
        outcome = None;
    }
    end.reuse = Some(decision);
    if outcome.is_none() {
        end.remember = Some(Remember { key, components });
    }
    outcome
}

/// Whether the datasets among the outputs are still the newest versions of their names. What another run has put in their place since would
/// stay there, though this step is to leave its own rows under the name.
async fn are_newest(shared: &Arc<Shared>, outcome: &StepOutcome) -> bool {
    for asset in outcome.outputs.values().filter_map(Asset::from_value) {
        let (Some(name), Some(version)) = (&asset.name, asset.version) else { continue };
        if asset.kind == AssetType::Model {
            continue;
        }
        match shared.services.datasets.resolve(name).await {
            Ok(newest) if newest.asset.version == Some(version) => {}
            _ => return false,
        }
    }
    true
}

/// Digest of each file's content, `missing` for one that is not there. Read on the blocking pool.
async fn code_digests(shared: &Arc<Shared>, files: Vec<String>) -> IndexMap<String, String> {
    if files.is_empty() {
        return IndexMap::new();
    }
    let root = shared.settings.workspace.clone();
    let digests = tokio::task::spawn_blocking(move || {
        files
            .into_iter()
            .map(|file| {
                let digest = match fs_err::File::open(root.join(&file)) {
                    Ok(content) => {
                        let mut hasher = blake3::Hasher::new();
                        match hasher.update_reader(content) {
                            Ok(_) => hasher.finalize().to_hex().to_string(),
                            Err(_) => "missing".to_owned(),
                        }
                    }
                    Err(_) => "missing".to_owned(),
                };
                (file, digest)
            })
            .collect()
    });
    digests.await.unwrap_or_default()
}
