//! From an endpoint back to the source rows, and from a source to everything that came of it.
//!
//! Three things know a part: versions name what they were made from, steps of pipelines what they read and left, tracked runs what
//! their clients said they read. Content without a name (a model between training and registration) is followed by its digest.

mod outside;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use millrace_contract::{AssetKey, Producer};
use millrace_metastore::assets::{AssetNode, VersionSelector};
use millrace_metastore::lineage::{Direction, StepUse};
use millrace_metastore::{Metastore, MetastoreError};
use serde::Serialize;
use serde_json::Value;

use crate::openlineage::SourceIdentity;

/// Kinds of nodes.
pub mod kind {
    /// A file, a web address or a table outside.
    pub const SOURCE: &str = "source";
    /// A version of a dataset.
    pub const DATASET: &str = "dataset";
    /// A tracked run.
    pub const RUN: &str = "run";
    /// A version of a model.
    pub const MODEL: &str = "model";
    /// An endpoint.
    pub const ENDPOINT: &str = "endpoint";
    /// A job of another system.
    pub const JOB: &str = "job";
    /// A dataset of another system.
    pub const OUTSIDE: &str = "outside";
}

/// How one thing came into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// It was made from it.
    Made,
    /// A run read it.
    Read,
    /// It was judged on it.
    Evaluated,
    /// It answers with it.
    Serves,
}

impl Tie {
    /// The word of JSON and of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Read => "read",
            Self::Evaluated => "evaluated",
            Self::Serves => "serves",
        }
    }
}

/// An arrow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// From here.
    pub from: AssetKey,
    /// To there.
    pub to: AssetKey,
    /// How.
    pub tie: Tie,
    /// The run that did it.
    pub run_id: Option<String>,
    /// Its step.
    pub step: Option<String>,
}

/// Everything that a thing came from and everything that came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// Each once.
    pub nodes: Vec<AssetKey>,
    /// Each once.
    pub edges: Vec<Edge>,
    /// Names of runs, which nodes have by id.
    pub run_names: BTreeMap<String, String>,
    /// Whether there is more than was asked for.
    pub cut: bool,
}

/// Follows the arrows into `start` as far back as they go, and those out of it as far on, until there are `most` nodes. `sources` tells
/// what our sources are called among systems.
///
/// # Errors
/// If the database fails.
pub async fn around(
    store: &Metastore,
    start: AssetKey,
    most: usize,
    sources: &SourceIdentity,
) -> Result<Graph, MetastoreError> {
    let mut seen = BTreeSet::from([start.clone()]);
    let mut edges = BTreeSet::new();
    let mut walk =
        Walk { store, sources, known_sources: None, reached: HashMap::new(), run_names: BTreeMap::new() };
    let mut cut = false;
    for back in [true, false] {
        let mut asked = BTreeSet::from([start.clone()]);
        let mut waiting = VecDeque::from([start.clone()]);
        while let Some(node) = waiting.pop_front() {
            for edge in walk.edges(&node, back).await? {
                let next = if back { edge.from.clone() } else { edge.to.clone() };
                if !seen.contains(&next) && seen.len() >= most {
                    cut = true;
                    continue;
                }
                seen.insert(next.clone());
                edges.insert(edge);
                if asked.insert(next.clone()) {
                    waiting.push_back(next);
                }
            }
        }
    }
    Ok(Graph {
        nodes: seen.into_iter().collect(),
        edges: edges.into_iter().collect(),
        run_names: walk.run_names,
        cut,
    })
}

struct Walk<'a> {
    store: &'a Metastore,
    sources: &'a SourceIdentity,
    /// Our sources by their keys among systems, once they are asked for.
    known_sources: Option<HashMap<String, String>>,
    /// Runs by which jobs of others were reached, by the job.
    reached: HashMap<String, HashSet<String>>,
    run_names: BTreeMap<String, String>,
}

impl Walk<'_> {
    /// The arrows into a node, or those out of it.
    async fn edges(&mut self, node: &AssetKey, back: bool) -> Result<Vec<Edge>, MetastoreError> {
        let mut found = self.named(node, back).await?;
        found.extend(self.outside(node, back).await?);
        match (node.kind.as_str(), back) {
            (kind::MODEL, true) => found.extend(self.towards_model(node).await?),
            (kind::MODEL, false) => {
                found.extend(self.served(|model, version| is(node, model, version)).await?)
            }
            (kind::ENDPOINT, true) => {
                let all = self.served(|_, _| true).await?;
                found.extend(all.into_iter().filter(|edge| edge.to.name == node.name));
            }
            (kind::DATASET, false) => found.extend(self.out_of_dataset(node).await?),
            (kind::RUN, true) => {
                for read in self.store.list_tracked_reads_by(node.name.clone()).await? {
                    let from = key(kind::DATASET, read.asset_name, read.asset_version);
                    found.push(edge(from, node.clone(), Tie::Read, None));
                }
            }
            (kind::RUN, false) => {
                for (name, version) in self.store.list_model_versions_of_run(node.name.clone()).await? {
                    let run = Some((node.name.clone(), None));
                    found.push(edge(node.clone(), key(kind::MODEL, name, version), Tie::Made, run));
                }
            }
            _ => {}
        }
        Ok(found)
    }

    /// What versions say of themselves.
    async fn named(&self, node: &AssetKey, back: bool) -> Result<Vec<Edge>, MetastoreError> {
        let (made_from, made) = self.store.list_asset_edges(asset_node(node)).await?;
        let mut found = Vec::new();
        if back && !made_from.is_empty() {
            let by = self.producer(node).await?;
            found.extend(
                made_from.into_iter().map(|from| edge(of(from), node.clone(), Tie::Made, by.clone())),
            );
        }
        if !back {
            for to in made {
                let to = of(to);
                let by = self.producer(&to).await?;
                found.push(edge(node.clone(), to, Tie::Made, by));
            }
        }
        Ok(found)
    }

    /// The step that made a version.
    async fn producer(&self, node: &AssetKey) -> Result<Option<(String, Option<String>)>, MetastoreError> {
        let kind = match node.kind.as_str() {
            kind::DATASET => kind::DATASET,
            kind::MODEL => kind::MODEL,
            _ => return Ok(None),
        };
        let selector = VersionSelector::Number(asset_node(node).version);
        let row = self.store.find_asset_version(kind, node.name.clone(), selector).await?;
        let details: Option<Value> = row.and_then(|row| serde_json::from_str(&row.details).ok());
        let producer = details.and_then(|mut details| details.get_mut("producer").map(Value::take));
        let producer: Option<Producer> = producer.and_then(|value| serde_json::from_value(value).ok());
        Ok(producer.map(|producer| (producer.run_id, producer.step)))
    }

    /// What a model was trained and judged on: by the steps that had its content, or by the run of the client that registered it.
    async fn towards_model(&mut self, node: &AssetKey) -> Result<Vec<Edge>, MetastoreError> {
        let selector = VersionSelector::Number(asset_node(node).version);
        let Some(row) = self.store.find_asset_version(kind::MODEL, node.name.clone(), selector).await? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for used in self.store.list_uses_of_digest(row.digest).await? {
            let Some(tie) = tie(&used) else { continue };
            for read in self.datasets_read_by(&used).await? {
                let by = Some((used.run_id.clone(), Some(used.step.clone())));
                found.push(edge(read, node.clone(), tie, by));
            }
        }
        let version = self.store.find_model_version(node.name.clone(), asset_node(node).version).await;
        let Some(run_id) = version.ok().and_then(|version| version.run_id) else { return Ok(found) };
        let reads = self.store.list_tracked_reads_by(run_id.clone()).await?;
        let known = reads.first().map(|read| read.run_name.clone());
        if let Some(name) = known {
            self.run_names.insert(run_id.clone(), name);
            let by = Some((run_id.clone(), None));
            found.push(edge(key(kind::RUN, run_id, 0), node.clone(), Tie::Made, by));
        }
        Ok(found)
    }

    /// What came of a version of a dataset beside other datasets: models, and runs of clients.
    async fn out_of_dataset(&mut self, node: &AssetKey) -> Result<Vec<Edge>, MetastoreError> {
        let version = asset_node(node).version;
        let mut found = Vec::new();
        for used in self.store.list_uses_of_version(kind::DATASET, node.name.clone(), version).await? {
            if used.asset.direction != Direction::Read {
                continue;
            }
            for other in self.store.list_uses_of_run(used.run_id.clone()).await? {
                let same = other.step == used.step && other.asset.kind == kind::MODEL;
                let Some(tie) = tie(&other).filter(|_| same) else { continue };
                for (name, version) in self.store.list_models_of_digest(other.asset.digest.clone()).await? {
                    let by = Some((used.run_id.clone(), Some(used.step.clone())));
                    found.push(edge(node.clone(), key(kind::MODEL, name, version), tie, by));
                }
            }
        }
        for read in self.store.list_tracked_reads_of(node.name.clone(), version).await? {
            // The runs of a pipeline's steps are told by their steps.
            if !self.store.is_pipeline_run_or_child(read.run_id.clone()).await? {
                self.run_names.insert(read.run_id.clone(), read.run_name);
                found.push(edge(node.clone(), key(kind::RUN, read.run_id, 0), Tie::Read, None));
            }
        }
        Ok(found)
    }

    async fn datasets_read_by(&self, used: &StepUse) -> Result<Vec<AssetKey>, MetastoreError> {
        let all = self.store.list_uses_of_run(used.run_id.clone()).await?;
        let read = all.into_iter().filter(|other| {
            other.step == used.step
                && other.asset.direction == Direction::Read
                && other.asset.kind == kind::DATASET
                && !other.asset.name.is_empty()
        });
        Ok(read.map(|other| key(kind::DATASET, other.asset.name, other.asset.version)).collect())
    }

    /// Model versions with the endpoints that answer with them.
    async fn served(&self, wanted: impl Fn(&str, i64) -> bool) -> Result<Vec<Edge>, MetastoreError> {
        let deployments = self.store.list_deployments().await?;
        let mut found = Vec::new();
        for row in deployments.into_iter().filter(|row| row.version > 0 && wanted(&row.model, row.version)) {
            let by = row.run_id.map(|run| (run, row.step));
            let model = key(kind::MODEL, row.model, row.version);
            found.push(edge(model, key(kind::ENDPOINT, row.endpoint, 0), Tie::Serves, by));
        }
        Ok(found)
    }
}

/// What a step that has a model did with it: it left it, so it made it, or it read it and judged it. Others pass it on.
fn tie(used: &StepUse) -> Option<Tie> {
    match (used.asset.direction, used.step_kind.as_str()) {
        (Direction::Wrote, "register" | "deploy") => None,
        (Direction::Wrote, _) => Some(Tie::Made),
        (Direction::Read, "evaluate") => Some(Tie::Evaluated),
        (Direction::Read, _) => None,
    }
}

fn is(node: &AssetKey, model: &str, version: i64) -> bool {
    node.name == model && asset_node(node).version == version
}

fn key(kind: &str, name: String, version: i64) -> AssetKey {
    AssetKey { kind: kind.to_owned(), name, version: u64::try_from(version).unwrap_or_default() }
}

fn of(node: AssetNode) -> AssetKey {
    key(&node.kind.clone(), node.name, node.version)
}

fn asset_node(key: &AssetKey) -> AssetNode {
    AssetNode {
        kind: key.kind.clone(),
        name: key.name.clone(),
        version: i64::try_from(key.version).unwrap_or_default(),
    }
}

fn edge(from: AssetKey, to: AssetKey, tie: Tie, by: Option<(String, Option<String>)>) -> Edge {
    let (run_id, step) = by.map_or((None, None), |(run, step)| (Some(run), step));
    Edge { from, to, tie, run_id, step }
}
