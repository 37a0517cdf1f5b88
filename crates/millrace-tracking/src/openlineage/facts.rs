//! Everything that is known of a run: what its events are made from.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use millrace_metastore::assets::{AssetVersionRow, VersionSelector};
use millrace_metastore::lineage::StepUse;
use millrace_metastore::runs::{PipelineRunRow, StepRunRow};
use millrace_metastore::{Metastore, MetastoreError};

/// Runs above a run, at most.
const DEEPEST: usize = 32;

/// A run with all that it read and left.
pub(super) struct RunFacts {
    pub(super) run: PipelineRunRow,
    pub(super) steps: Vec<StepRunRow>,
    pub(super) uses: Vec<StepUse>,
    /// Versions of datasets that it read or left, by name and number.
    pub(super) versions: HashMap<(String, i64), AssetVersionRow>,
    /// Runs above it: the pipeline of its parent, and the run at the top with its pipeline.
    pub(super) parents: Option<(String, (String, String))>,
}

impl RunFacts {
    /// Reads them; `None` if there is no such run any more.
    pub(super) async fn read(store: &Metastore, id: &str) -> Result<Option<Self>, MetastoreError> {
        let Some(run) = store.find_pipeline_run(id.to_owned()).await? else { return Ok(None) };
        let steps = store.list_step_runs(id.to_owned()).await?;
        let uses = store.list_uses_of_run(id.to_owned()).await?;
        let wanted: BTreeSet<(String, i64)> = uses
            .iter()
            .filter(|used| used.asset.kind == "dataset" && used.asset.version > 0)
            .map(|used| (used.asset.name.clone(), used.asset.version))
            .collect();
        let mut versions = HashMap::new();
        for (name, version) in wanted {
            let row =
                store.find_asset_version("dataset", name.clone(), VersionSelector::Number(version)).await?;
            versions.extend(row.map(|row| ((name, version), row)));
        }
        let parents = parents(store, &run).await?;
        Ok(Some(Self { run, steps, uses, versions, parents }))
    }
}

async fn parents(
    store: &Metastore,
    run: &PipelineRunRow,
) -> Result<Option<(String, (String, String))>, MetastoreError> {
    let mut above: IndexMap<String, String> = IndexMap::new();
    let mut next = run.parent_run.clone();
    while let Some(id) = next.filter(|id| above.len() < DEEPEST && !above.contains_key(id)) {
        let Some(row) = store.find_pipeline_run(id.clone()).await? else { break };
        above.insert(id, row.pipeline);
        next = row.parent_run;
    }
    let (first, last) = (above.first(), above.last());
    Ok(first.zip(last).map(|((_, pipeline), (id, root))| (pipeline.clone(), (id.clone(), root.clone()))))
}
