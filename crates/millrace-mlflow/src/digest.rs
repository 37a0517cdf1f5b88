//! Counts and digests of records that do not depend on their order, so that a source and what is here of it can be compared.
//!
//! A record is a list of facts, each of a kind; a fact's digest is BLAKE3 over its fields, each with its length; the digest of a kind is the
//! sum of its facts' digests. What differs between any two stores is no fact: where files lie, and tags that say so.

use std::collections::{BTreeMap, BTreeSet};

use millrace_metastore::experiments::{ExperimentFull, ImportedModel, ImportedRun, MetricRow};
use millrace_metastore::registry::{ImportedRegistered, WebhookRow, is_deleted};
use millrace_metastore::traces::{ImportedTrace, Pairs};
use millrace_tracking::traces::{SPANS_LOCATION_TAG, read_spans};
use serde_json::{Map, Value};

use crate::record::EvalDataset;

/// Tag of a trace: where its files lie.
pub(crate) const LOCATION_TAG: &str = "mlflow.artifactLocation";
/// The experiment that every store has.
pub(crate) const DEFAULT: i64 = 0;

/// How many facts of a kind, and the sum of their digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    sum: [u64; 4],
}

impl Tally {
    /// 32 hex digits.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in self.sum {
            hasher.update(&part.to_le_bytes());
        }
        hex::encode(hasher.finalize().as_bytes().get(..16).unwrap_or_default())
    }
}

/// Tallies by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals(BTreeMap<&'static str, Tally>);

impl Totals {
    /// By kind, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Tally)> + '_ {
        self.0.iter().map(|(kind, tally)| (*kind, *tally))
    }

    /// Of one kind.
    pub fn of(&self, kind: &str) -> Tally {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (kind, tally) in &other.0 {
            let mine = self.0.entry(kind).or_default();
            mine.count += tally.count;
            for (sum, part) in mine.sum.iter_mut().zip(tally.sum) {
                *sum = sum.wrapping_add(part);
            }
        }
    }

    fn fact(&mut self, kind: &'static str) -> Fact<'_> {
        Fact { totals: self, kind, hasher: blake3::Hasher::new() }
    }

    /// A file of a run or a logged model.
    pub(crate) fn file(&mut self, owner: &str, path: &str, size: u64, digest: &blake3::Hash) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.fact("artifacts").text(owner).text(path).int(size).text(digest.to_hex().as_str()).end();
    }

    pub(crate) fn experiment(experiment: &ExperimentFull) -> Self {
        let mut totals = Self::default();
        let id = experiment.id;
        let fact = totals.fact("experiments").int(id).text(&experiment.name).int(experiment.deleted.into());
        // The default experiment was made when its store was.
        if id == DEFAULT {
            fact.end();
        } else {
            fact.int(experiment.created_at / 1_000).int(experiment.updated_at / 1_000).end();
        }
        for (key, value) in &experiment.tags {
            totals.fact("experiment tags").int(id).text(key).text(value).end();
        }
        totals
    }

    pub(crate) fn run(run: &ImportedRun) -> Self {
        let mut totals = Self::default();
        let row = &run.row;
        let id = row.id.as_str();
        let fact = totals.fact("runs").text(id).int(row.experiment_id).text(&row.name).text(&row.status);
        let fact = fact.some(row.parent_id.as_deref()).int(row.started_at / 1_000);
        fact.int(row.ended_at.map_or(-1, |time| time / 1_000))
            .text(&row.user_id)
            .int(row.deleted.into())
            .end();
        for (key, value) in &run.params {
            totals.fact("params").text(id).text(key).text(value).end();
        }
        for (key, value) in &run.tags {
            totals.fact("tags").text(id).text(key).text(value).end();
        }
        // A store may have a point twice.
        let points: BTreeSet<_> = run.points.iter().map(point_fields).collect();
        for (name, time, step, bits) in points {
            let fact = totals.fact("metric points").text(id).text(name);
            fact.int(time).int(step).bytes(&bits.to_le_bytes()).end();
        }
        for data in &run.datasets {
            let fact = totals.fact("dataset inputs").text(id).text(&data.name).text(&data.digest);
            let fact = fact.text(&data.source_type).text(&data.source).some(data.schema.as_deref());
            fact.some(data.profile.as_deref()).some(data.context.as_deref()).json(&data.tags).end();
        }
        for link in &run.models {
            totals
                .fact("model links")
                .text(id)
                .text(link.direction)
                .text(&link.model_id)
                .int(link.step)
                .end();
        }
        totals
    }

    pub(crate) fn model(model: &ImportedModel) -> Self {
        let mut totals = Self::default();
        let row = &model.row;
        let fact = totals.fact("logged models").text(&row.id).int(row.experiment_id).text(&row.name);
        let fact = fact.text(&row.model_type).text(&row.source_run_id).text(&row.status);
        fact.int(row.created_at / 1_000).int(row.updated_at / 1_000).int(model.deleted.into()).end();
        for (family, key, value) in &model.texts {
            totals.fact("logged model texts").text(&row.id).text(family).text(key).text(value).end();
        }
        for metric in &model.metrics {
            let (name, time, step, bits) = point_fields(&metric.point);
            let fact = totals.fact("logged model metrics").text(&row.id).text(&metric.run_id).text(name);
            let fact = fact.int(time).int(step).bytes(&bits.to_le_bytes());
            fact.text(&metric.dataset_name).text(&metric.dataset_digest).end();
        }
        totals
    }

    pub(crate) fn registered(model: &ImportedRegistered) -> Self {
        let mut totals = Self::default();
        let row = &model.row;
        let name = row.name.as_str();
        let description = |text: &Option<String>| text.clone().unwrap_or_default();
        let fact = totals.fact("registered models").text(name).text(&description(&row.description));
        fact.int(row.created_at / 1_000).int(row.updated_at / 1_000).end();
        for (key, value) in &row.tags {
            totals.fact("registry tags").text(name).int(0).text(key).text(value).end();
        }
        for (alias, version) in &row.aliases {
            totals.fact("aliases").text(name).text(alias).int(*version).end();
        }
        for (version, _) in &model.versions {
            let number = version.version;
            let fact = totals.fact("model versions").text(name).int(number).text(&version.stage);
            let fact = fact.int(version.created_at / 1_000).int(version.updated_at / 1_000);
            if is_deleted(version) {
                fact.end();
                continue;
            }
            let fact = fact.text(&description(&version.description)).text(&version.source);
            fact.some(version.run_id.as_deref())
                .some(version.run_link.as_deref())
                .some(version.model_id.as_deref())
                .end();
            for (key, value) in &version.tags {
                totals.fact("registry tags").text(name).int(number).text(key).text(value).end();
            }
        }
        totals
    }

    /// Whether it is active is for people here to say, once they gave it a secret.
    pub(crate) fn webhook(row: &WebhookRow) -> Self {
        let mut totals = Self::default();
        let fact = totals.fact("webhooks").text(&row.id).text(&row.name).text(&row.url);
        fact.text(row.description.as_deref().unwrap_or_default()).int(row.created_at / 1_000).end();
        for event in &row.events {
            totals.fact("webhook events").text(&row.id).text(event).end();
        }
        totals
    }

    pub(crate) fn trace(imported: &ImportedTrace) -> Self {
        let mut totals = Self::default();
        let (trace, row) = (&imported.trace, &imported.trace.row);
        let id = row.id.as_str();
        let fact = totals.fact("traces").text(id).int(row.experiment_id).some(row.name.as_deref());
        let fact = fact.text(&row.state).int(row.requested_at_ms).int(row.duration_ms.unwrap_or(-1));
        let fact = fact.some(row.client_request_id.as_deref()).some(row.request_preview.as_deref());
        fact.some(row.response_preview.as_deref()).end();
        for (family, pairs) in [("tag", &trace.tags), ("metadata", &trace.metadata)] {
            totals.trace_texts(id, family, pairs);
        }
        for (kind, target) in &imported.links {
            totals.fact("trace links").text(id).text(kind).text(target).end();
        }
        for row in &trace.assessments {
            let fact = totals.fact("assessments").text(id).text(&row.id).text(&row.kind).text(&row.name);
            let fact = fact.text(&row.content).int(row.is_valid.into()).some(row.overrides.as_deref());
            fact.int(row.created_at_ms).json(&row.document).end();
        }
        for span in read_spans(&imported.lines).unwrap_or_default() {
            let document = serde_json::to_value(&span).unwrap_or_default();
            totals.fact("spans").text(id).text(&sorted(&document).to_string()).end();
        }
        totals
    }

    fn trace_texts(&mut self, id: &str, family: &str, pairs: &Pairs) {
        for (key, value) in pairs.iter().filter(|(key, _)| key != LOCATION_TAG && key != SPANS_LOCATION_TAG) {
            self.fact("trace texts").text(id).text(family).text(key).text(value).end();
        }
    }

    pub(crate) fn dataset((row, records): &EvalDataset) -> Self {
        let mut totals = Self::default();
        let id = row.id.as_str();
        let fact = totals.fact("evaluation datasets").text(id).text(&row.name).text(&row.digest);
        let fact = fact
            .json(row.fields.as_deref().unwrap_or_default())
            .int(row.created_at_ms)
            .int(row.updated_at_ms);
        fact.some(row.created_by.as_deref()).some(row.updated_by.as_deref()).end();
        for (key, value) in &row.tags {
            totals.fact("evaluation dataset tags").text(id).text(key).text(value).end();
        }
        for record in records {
            let fact = totals.fact("evaluation records").text(id).text(&record.id).json(&record.document);
            fact.int(record.created_at_ms).int(record.updated_at_ms).end();
        }
        totals
    }
}

/// A point as every store tells it: infinities are the largest finite numbers, zero has no sign.
fn point_fields(point: &MetricRow) -> (&str, i64, i64, u64) {
    let number = match point.number {
        number if number.is_nan() => f64::NAN,
        number => number.clamp(f64::MIN, f64::MAX) + 0.0,
    };
    (&point.name, point.logged_at.div_euclid(1_000), point.step, number.to_bits())
}

/// The same objects are the same, whichever order their fields came in.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            Value::Object(
                pairs.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A fact that is being written.
struct Fact<'a> {
    totals: &'a mut Totals,
    kind: &'static str,
    hasher: blake3::Hasher,
}

impl Fact<'_> {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn int(self, number: i64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// A text that may be absent, which differs from an empty one.
    fn some(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.int(1).text(text),
            None => self.int(0),
        }
    }

    /// JSON, whichever way it is written.
    fn json(self, text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => self.text(&sorted(&value).to_string()),
            Err(_) => self.text(text),
        }
    }

    fn end(self) {
        let digest = self.hasher.finalize();
        let tally = self.totals.0.entry(self.kind).or_default();
        tally.count += 1;
        for (sum, part) in tally.sum.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(part.try_into().unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_metastore::experiments::TrackedRunRow;

    use super::*;

    fn run(points: &[(i64, f64)]) -> Totals {
        let point = |(step, number): &(i64, f64)| MetricRow {
            name: "loss".to_owned(),
            step: *step,
            logged_at: 1_000,
            number: *number,
        };
        let points = points.iter().map(point).collect();
        let row = TrackedRunRow { id: "r".to_owned(), ..TrackedRunRow::default() };
        Totals::run(&ImportedRun { row, points, ..ImportedRun::default() })
    }

    #[test]
    fn order_and_repeats_make_no_difference_and_everything_else_does() {
        let one = run(&[(1, 0.5), (2, f64::NAN), (3, f64::INFINITY), (4, -0.0)]);
        assert_eq!(one, run(&[(4, 0.0), (3, f64::MAX), (2, -f64::NAN), (1, 0.5), (1, 0.5)]));
        assert_eq!(one.of("metric points").count, 4);
        for other in [run(&[(1, 0.5)]), run(&[(1, 0.25), (2, f64::NAN), (3, f64::MAX), (4, 0.0)])] {
            assert_ne!(one.of("metric points").digest(), other.of("metric points").digest());
        }
        let (mut both, mut other_way) = (one.clone(), run(&[(9, 1.0)]));
        both.add(&run(&[(9, 1.0)]));
        other_way.add(&one);
        assert_eq!(both, other_way);
    }
}
