//! The pipelines and secrets as the files say, read again at most every second: a burst of requests does not read every file each time.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{Clock, SecretSource};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::secret::{SecretText, Secrets};
use millrace_spec::triggers::event::EventTrigger;
use tokio::sync::Mutex;

use super::event_trigger;
use crate::triggers::PipelineSource;

/// Milliseconds that a page is good for.
const FRESH_MS: i64 = 1_000;

pub(super) struct Book {
    pipelines: Arc<dyn PipelineSource>,
    secrets: Arc<dyn SecretSource>,
    clock: Arc<dyn Clock>,
    newest: Mutex<Option<(Timestamp, Arc<Page>)>>,
}

/// What the files said at one moment.
pub(super) struct Page {
    pub(super) pipelines: IndexMap<String, Pipeline>,
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
        if let Some((at, page)) = newest.as_ref()
            && (0..FRESH_MS).contains(&(now.as_millisecond() - at.as_millisecond()))
        {
            return page.clone();
        }
        let pipelines = self.pipelines.pipelines().await;
        let pipelines = pipelines.into_iter().map(|pipeline| (pipeline.name.to_string(), pipeline)).collect();
        let page = Arc::new(Page { pipelines, secrets: self.secrets.secrets() });
        *newest = Some((now, page.clone()));
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
        self.pipelines.iter().flat_map(|(name, pipeline)| {
            let triggers = pipeline.triggers.keys();
            triggers.filter_map(move |trigger| {
                Some((name.as_str(), trigger.as_str(), event_trigger(pipeline, trigger)?))
            })
        })
    }
}
