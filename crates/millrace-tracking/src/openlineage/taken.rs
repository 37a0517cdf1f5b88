//! What others tell: events into jobs, runs and datasets of theirs, and into what of it is ours.

use millrace_metastore::assets::VersionSelector;
use millrace_metastore::outside::{OutsideDataset, OutsideEvent, OutsideJob, OutsideRun, OutsideUse};
use millrace_metastore::{Metastore, MetastoreError};
use serde_json::{Map, Value};

use super::PRODUCERS;
use super::names::Identity;

/// Longest name, characters.
const LONGEST_NAME: usize = 2_048;
/// Datasets that one event may name.
const MOST_DATASETS: usize = 2_000;
/// Largest facet that is kept, bytes of JSON.
const LARGEST_FACET: usize = 65_536;

/// A body that is no event of OpenLineage: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnEvent(pub String);

/// Takes events in.
#[derive(Debug, Clone)]
pub struct Taker {
    /// Where they are kept.
    pub store: Metastore,
    /// Under which namespace this workspace is known.
    pub namespace: String,
    /// Where its datasets lie, a folder each.
    pub datasets: Option<Identity>,
}

/// A dataset of an event, before it is known whether it is ours.
struct Named {
    dataset: OutsideDataset,
    /// Names that it has among systems, its own first.
    identities: Vec<Identity>,
    version: Option<i64>,
    writes: Option<bool>,
}

impl Taker {
    /// Keeps events, all or none of them; `now` in microseconds since 1970.
    ///
    /// # Errors
    /// The first that is no event.
    pub async fn take(
        &self,
        bodies: &[Value],
        now: i64,
    ) -> Result<Result<usize, NotAnEvent>, MetastoreError> {
        let mut events = Vec::with_capacity(bodies.len());
        for (index, body) in bodies.iter().enumerate() {
            match read(body, now) {
                Ok((event, _)) if self.is_own(body, &event) => {}
                Ok((mut event, datasets)) => {
                    self.add(&mut event, datasets).await?;
                    events.push(event);
                }
                Err(wrong) if bodies.len() == 1 => return Ok(Err(wrong)),
                Err(NotAnEvent(wrong)) => {
                    let which = format!("event {} of {}: {wrong}", index + 1, bodies.len());
                    return Ok(Err(NotAnEvent(which)));
                }
            }
        }
        let count = events.len();
        if count > 0 {
            self.store.take_outside_events(events).await?;
        }
        Ok(Ok(count))
    }

    /// What this server sent itself is no news.
    fn is_own(&self, body: &Value, event: &OutsideEvent) -> bool {
        body.get("producer").and_then(Value::as_str).is_some_and(|producer| producer.starts_with(PRODUCERS))
            && event.job.as_ref().is_some_and(|job| job.namespace == self.namespace)
    }

    async fn add(&self, event: &mut OutsideEvent, datasets: Vec<Named>) -> Result<(), MetastoreError> {
        for named in datasets {
            let ours = named.identities.iter().find_map(|identity| self.own_name(identity));
            // Where it is ours by another name, a version counts what others count.
            let is_own = named.dataset.namespace == self.namespace;
            let number = named.version.filter(|_| is_own);
            let asset = match ours {
                Some(name) => self.version(name, number, event.now).await?,
                None => None,
            };
            if let (Some(job), Some(writes)) = (&event.job, named.writes) {
                event.uses.push(OutsideUse {
                    job: job.key.clone(),
                    writes,
                    dataset: named.dataset.key.clone(),
                    asset_name: asset.as_ref().map(|(name, _)| name.clone()),
                    asset_version: asset.map(|(_, version)| version).unwrap_or_default(),
                    run_id: job.run_id.clone(),
                    used_at: event.now,
                });
            }
            event.datasets.push(named.dataset);
        }
        Ok(())
    }

    /// The name in the catalog of what is in our namespace, or in our storage.
    fn own_name(&self, identity: &Identity) -> Option<String> {
        if identity.namespace == self.namespace {
            return Some(identity.name.clone());
        }
        let datasets = self.datasets.as_ref().filter(|datasets| datasets.namespace == identity.namespace)?;
        let below = identity.name.strip_prefix(datasets.name.as_str())?.strip_prefix('/')?;
        below.split('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// The version that was meant: the one that is named, or the newest at that time.
    async fn version(
        &self,
        name: String,
        number: Option<i64>,
        at: i64,
    ) -> Result<Option<(String, i64)>, MetastoreError> {
        for selector in number
            .map(VersionSelector::Number)
            .into_iter()
            .chain([VersionSelector::AsOf(at), VersionSelector::Latest])
        {
            if let Some(row) = self.store.find_asset_version("dataset", name.clone(), selector).await? {
                return Ok(Some((name, row.version)));
            }
        }
        Ok(None)
    }
}

/// An event of a run, of a job, or of a dataset.
fn read(body: &Value, now: i64) -> Result<(OutsideEvent, Vec<Named>), NotAnEvent> {
    let wrong = |text: &str| NotAnEvent(text.to_owned());
    if !body.is_object() {
        return Err(wrong("an event is a JSON object"));
    }
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let time = text("/eventTime").ok_or_else(|| wrong("the event has no `eventTime`"))?;
    let at = instant(time)
        .ok_or_else(|| NotAnEvent(format!("`eventTime` is `{time}`, which is no time of RFC 3339")))?;
    let producer = text("/producer").ok_or_else(|| wrong("the event has no `producer`"))?;
    let mut event = OutsideEvent { now: at.min(now), ..OutsideEvent::default() };
    let mut datasets = Vec::new();
    if let Some(dataset) = body.get("dataset") {
        datasets.push(named(dataset, "dataset", None)?);
        return Ok((event, datasets));
    }
    let job = body.get("job").ok_or_else(|| wrong("the event has neither a `job` nor a `dataset`"))?;
    let (namespace, name) = names(job, "job")?;
    let mut kept = OutsideJob {
        key: format!("{namespace}/{name}"),
        namespace,
        name,
        facets: facets(job),
        producer: producer.to_owned(),
        run_id: None,
        updated_at: at,
    };
    if let Some(run) = body.get("run") {
        let id = text("/run/runId").ok_or_else(|| wrong("`run` has no `runId`"))?;
        if uuid::Uuid::parse_str(id).is_err() {
            return Err(NotAnEvent(format!("`runId` is `{id}`, which is no UUID")));
        }
        let (state, starts, ends) = match text("/eventType").map(str::to_uppercase).as_deref() {
            Some("START") => ("running", true, false),
            Some("RUNNING") => ("running", false, false),
            Some("COMPLETE") => ("succeeded", false, true),
            Some("FAIL") => ("failed", false, true),
            Some("ABORT") => ("cancelled", false, true),
            Some("OTHER") | None => ("unknown", false, false),
            Some(other) => {
                return Err(NotAnEvent(format!(
                    "`eventType` is `{other}`: START, RUNNING, COMPLETE, ABORT, FAIL or OTHER"
                )));
            }
        };
        kept.run_id = Some(id.to_owned());
        event.run = Some(OutsideRun {
            id: id.to_owned(),
            job: kept.key.clone(),
            state: state.to_owned(),
            started_at: starts.then_some(at),
            ended_at: ends.then_some(at),
            facets: facets(run),
            updated_at: at,
        });
    }
    for (key, writes) in [("inputs", false), ("outputs", true)] {
        let list = match body.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return Err(NotAnEvent(format!("`{key}` is no list of datasets"))),
        };
        for dataset in list {
            datasets.push(named(dataset, key, Some(writes))?);
        }
    }
    if datasets.len() > MOST_DATASETS {
        return Err(NotAnEvent(format!(
            "the event names {} datasets, more than {MOST_DATASETS}",
            datasets.len()
        )));
    }
    event.job = Some(kept);
    Ok((event, datasets))
}

fn instant(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

fn names(node: &Value, what: &str) -> Result<(String, String), NotAnEvent> {
    if !node.get("facets").is_none_or(|facets| facets.is_object() || facets.is_null()) {
        return Err(NotAnEvent(format!("the `facets` of `{what}` are no JSON object")));
    }
    let field = |name: &str| {
        let text = node.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match text {
            Some(text) if text.chars().count() <= LONGEST_NAME => Ok(text.to_owned()),
            Some(_) => {
                Err(NotAnEvent(format!("the `{name}` of `{what}` has more than {LONGEST_NAME} characters")))
            }
            None => Err(NotAnEvent(format!("`{what}` has no `{name}`"))),
        }
    };
    Ok((field("namespace")?, field("name")?))
}

fn named(node: &Value, what: &str, writes: Option<bool>) -> Result<Named, NotAnEvent> {
    let (namespace, name) = names(node, what)?;
    let mut identities = vec![Identity { namespace: namespace.clone(), name: name.clone() }];
    let links = node.pointer("/facets/symlinks/identifiers").and_then(Value::as_array).into_iter().flatten();
    identities.extend(links.filter_map(|link| {
        let text = |key: &str| link.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Identity { namespace: text("namespace")?, name: text("name")? })
    }));
    let version = node.pointer("/facets/version/datasetVersion").and_then(Value::as_str);
    let version = version.and_then(|text| text.parse().ok()).filter(|version| *version > 0);
    let mut all = facets(node);
    for key in ["inputFacets", "outputFacets"] {
        if let (Some(more), Some(fields)) = (node.get(key), all.as_object_mut()) {
            fields.extend(kept(more));
        }
    }
    let dataset = OutsideDataset { key: format!("{namespace}/{name}"), namespace, name, facets: all };
    Ok(Named { dataset, identities, version, writes })
}

fn facets(node: &Value) -> Value {
    node.get("facets").map(kept).unwrap_or_default().into()
}

/// The facets that are not too large.
fn kept(facets: &Value) -> Map<String, Value> {
    let fields = facets.as_object().into_iter().flatten();
    let small =
        fields.filter(|(name, facet)| name.len() <= LONGEST_NAME && facet.to_string().len() <= LARGEST_FACET);
    small.map(|(name, facet)| (name.clone(), facet.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> String {
        read(&body, 0).map(|_| String::new()).unwrap_or_else(|wrong| wrong.to_string())
    }

    #[test]
    fn what_is_no_event_says_why() {
        let job = json!({"namespace": "spark", "name": "load"});
        assert_eq!(refused(json!([])), "an event is a JSON object");
        assert_eq!(refused(json!({"job": job})), "the event has no `eventTime`");
        assert_eq!(
            refused(json!({"eventTime": "yesterday", "producer": "p", "job": job})),
            "`eventTime` is `yesterday`, which is no time of RFC 3339"
        );
        let event = |more: Value| {
            let mut event = json!({"eventTime": "2026-03-01T06:00:00Z", "producer": "p", "job": {"namespace": "spark", "name": "load"}});
            for (key, value) in more.as_object().into_iter().flatten() {
                event[key] = value.clone();
            }
            event
        };
        assert_eq!(refused(event(json!({"job": {"name": "load"}}))), "`job` has no `namespace`");
        assert_eq!(refused(event(json!({"run": {"runId": "7"}}))), "`runId` is `7`, which is no UUID");
        let run = json!({"runId": "01890000-0000-7000-8000-000000000000"});
        assert!(
            refused(event(json!({"run": run, "eventType": "DONE"}))).starts_with("`eventType` is `DONE`")
        );
        assert_eq!(refused(event(json!({"inputs": [{"namespace": "s3://lake"}]}))), "`inputs` has no `name`");
        assert_eq!(refused(event(json!({"inputs": {}}))), "`inputs` is no list of datasets");
        assert_eq!(
            refused(event(json!({"job": {"namespace": "n", "name": "j", "facets": 1}}))),
            "the `facets` of `job` are no JSON object"
        );
        assert_eq!(refused(event(json!({"run": run, "eventType": "START"}))), "");
        assert_eq!(refused(event(json!({}))), "", "an event of a job alone");
    }

    #[test]
    fn a_facet_that_is_too_large_is_left_out() {
        let node = json!({"facets": {"small": {"a": 1}, "large": {"a": "x".repeat(LARGEST_FACET)}}});
        assert_eq!(facets(&node), json!({"small": {"a": 1}}));
    }
}
