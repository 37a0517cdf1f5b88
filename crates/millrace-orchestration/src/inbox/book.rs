//! The pipelines and secrets as the files say. Whether a pipeline's file changed is looked at once a second at most, so that neither a burst
//! of requests nor a workspace with ten thousand triggers reads every file each time.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{Clock, SecretSource};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::secret::{SecretText, Secrets};
use millrace_spec::triggers::Trigger;
use millrace_spec::triggers::event::EventTrigger;
use tokio::sync::Mutex;

use super::event_trigger;
use crate::triggers::PipelineSource;

/// Milliseconds for which nobody looks at the files again.
const FRESH_MS: i64 = 1_000;

pub(super) struct Book {
    pipelines: Arc<dyn PipelineSource>,
    secrets: Arc<dyn SecretSource>,
    clock: Arc<dyn Clock>,
    newest: Mutex<Option<Read>>,
}

/// What was read last.
struct Read {
    /// When somebody looked whether a file changed.
    looked_at: Timestamp,
    /// What the files were like when they were read.
    stamp: u64,
    page: Arc<Page>,
}

/// What the files said at one moment.
pub(super) struct Page {
    pub(super) pipelines: Arc<IndexMap<String, Pipeline>>,
    /// Pipeline and name of each trigger that has events: not one of ten thousand schedules is passed by at each look.
    events: Arc<[(String, String)]>,
    secrets: Secrets,
}

impl Book {
    pub(super) fn new(
        pipelines: Arc<dyn PipelineSource>,
        secrets: Arc<dyn SecretSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { pipelines, secrets, clock, newest: Mutex::new(None) }
    }

    pub(super) async fn page(&self) -> Arc<Page> {
        // One reads, the others wait for what it read.
        let mut newest = self.newest.lock().await;
        let now = self.clock.now();
        if let Some(read) = newest.as_ref()
            && (0..FRESH_MS).contains(&(now.as_millisecond() - read.looked_at.as_millisecond()))
        {
            return read.page.clone();
        }
        let stamp = self.pipelines.stamp().await;
        let kept = newest.as_ref().filter(|read| read.stamp == stamp);
        let (pipelines, events) =
            match kept.map(|read| (read.page.pipelines.clone(), read.page.events.clone())) {
                Some(kept) => kept,
                None => {
                    let all = self.pipelines.pipelines().await.into_iter();
                    let all = Arc::new(all.map(|pipeline| (pipeline.name.to_string(), pipeline)).collect());
                    let events = with_events(&all);
                    (all, events)
                }
            };
        let page = Arc::new(Page { pipelines, events, secrets: self.secrets.secrets() });
        *newest = Some(Read { looked_at: now, stamp, page: page.clone() });
        page
    }
}

impl Page {
    pub(super) fn event_trigger(&self, pipeline: &str, trigger: &str) -> Option<&EventTrigger> {
        event_trigger(self.pipelines.get(pipeline)?, trigger)
    }

    pub(super) fn secret(&self, name: &str) -> Option<&SecretText> {
        self.secrets.texts.get(name)?.as_ref().ok()
    }

    /// Every trigger that has events: pipeline, name, trigger.
    pub(super) fn event_triggers(&self) -> impl Iterator<Item = (&str, &str, &EventTrigger)> {
        self.events.iter().filter_map(|(pipeline, trigger)| {
            Some((pipeline.as_str(), trigger.as_str(), self.event_trigger(pipeline, trigger)?))
        })
    }
}

fn with_events(pipelines: &IndexMap<String, Pipeline>) -> Arc<[(String, String)]> {
    let triggers = pipelines.iter().flat_map(|(name, pipeline)| {
        let events = pipeline.triggers.iter().filter(|(_, trigger)| matches!(trigger, Trigger::Event(_)));
        events.map(move |(trigger, _)| (name.clone(), trigger.to_string()))
    });
    triggers.collect()
}
