//! Jobs and datasets of other systems, as far as those told of them: what is ours by another name is ours.

use std::collections::{HashMap, HashSet};

use millrace_contract::AssetKey;
use millrace_metastore::MetastoreError;
use millrace_metastore::outside::OutsideUse;

use super::{Edge, Tie, Walk, asset_node, edge, key, kind};

impl Walk<'_> {
    /// The arrows between data and jobs of others, into a node or out of it.
    pub(super) async fn outside(&mut self, node: &AssetKey, back: bool) -> Result<Vec<Edge>, MetastoreError> {
        let store = self.store;
        let uses = match node.kind.as_str() {
            kind::JOB => store.list_uses_of_outside_job(node.name.clone()).await?,
            kind::DATASET => {
                store.list_outside_uses_of_asset(node.name.clone(), asset_node(node).version).await?
            }
            kind::OUTSIDE => store.list_uses_of_outside_dataset(node.name.clone()).await?,
            kind::SOURCE => match (self.sources)(&node.name) {
                Some(identity) => store.list_uses_of_outside_dataset(identity.key()).await?,
                None => return Ok(Vec::new()),
            },
            _ => return Ok(Vec::new()),
        };
        let is_job = node.kind == kind::JOB;
        let uses = if is_job { self.of_reached_runs(&node.name, uses) } else { uses };
        let mut found = Vec::new();
        // Into a job leads what it reads, into data who writes it.
        for used in uses.into_iter().filter(|used| (used.writes == back) != is_job) {
            let data = if is_job { self.data_of(&used).await? } else { node.clone() };
            if let Some(run) = used.run_id.clone().filter(|_| !is_job) {
                self.reached.entry(used.job.clone()).or_default().insert(run);
            }
            let job = key(kind::JOB, used.job, 0);
            let (from, to, tie) = if used.writes { (job, data, Tie::Made) } else { (data, job, Tie::Read) };
            found.push(edge(from, to, tie, None));
        }
        Ok(found)
    }

    /// A job used many versions of a dataset. Of each dataset those count that it used in the runs by which it was reached; if that is none,
    /// the one that it used last.
    fn of_reached_runs(&self, job: &str, uses: Vec<OutsideUse>) -> Vec<OutsideUse> {
        let reached = self.reached.get(job);
        let is_reached = |used: &OutsideUse| {
            reached.zip(used.run_id.as_ref()).is_some_and(|(reached, run)| reached.contains(run))
        };
        let place = |used: &OutsideUse| (used.writes, used.dataset.clone());
        let mut settled: HashSet<(bool, String)> =
            uses.iter().filter(|used| is_reached(used)).map(place).collect();
        let counts = |used: &OutsideUse| is_reached(used) || settled.insert(place(used));
        uses.into_iter().filter(counts).collect()
    }

    /// What a job reads or writes: a dataset of ours, a source that we read, too, or something of others.
    async fn data_of(&mut self, used: &OutsideUse) -> Result<AssetKey, MetastoreError> {
        if let Some(name) = &used.asset_name {
            return Ok(key(kind::DATASET, name.clone(), used.asset_version));
        }
        if self.known_sources.is_none() {
            let names = self.store.list_source_names().await?;
            let known = names.into_iter().filter_map(|name| Some(((self.sources)(&name)?.key(), name)));
            self.known_sources = Some(known.collect::<HashMap<_, _>>());
        }
        let source = self.known_sources.as_ref().and_then(|known| known.get(&used.dataset));
        Ok(match source {
            Some(name) => key(kind::SOURCE, name.clone(), 0),
            None => key(kind::OUTSIDE, used.dataset.clone(), 0),
        })
    }
}
