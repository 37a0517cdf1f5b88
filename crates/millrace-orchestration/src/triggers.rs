//! Cron triggers: which firings are due, and the loop that starts their runs.
//!
//! A firing is (trigger, instant), unique in the database and stored in the same transaction as its run, so neither two schedulers nor
//! a clock that steps back can fire twice. Daylight saving as Vixie cron has it (croner): a fixed time in a gap fires once right after
//! it, in an overlap once.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use millrace_contract::{KindDoc, KindFamily};
use millrace_metastore::runs_read::TriggerStateRow;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::problem::Problem;
use millrace_spec::triggers::{self, Missed, Trigger};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, RunRequest};
use crate::error::OrchestrationError;

/// Firings of one trigger that are made up for after a pause, at most.
const MOST_MISSED: usize = 1_000;
/// How often the files are looked at again although no firing is due.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The pages of the kinds of trigger.
pub fn trigger_docs() -> Vec<KindDoc> {
    let doc = |entry: &triggers::Entry| {
        KindDoc::of_schema(KindFamily::Trigger, entry.word, entry.example, (entry.schema)())
    };
    triggers::ALL.iter().map(doc).collect()
}

/// Where the pipelines are.
#[async_trait]
pub trait PipelineSource: Send + Sync {
    /// Every pipeline that loads without errors.
    async fn pipelines(&self) -> Vec<Pipeline>;

    /// Zone of triggers that name none.
    fn timezone(&self) -> String;
}

/// The next instants of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextFiring {
    /// Name of the trigger.
    pub trigger: String,
    /// When.
    pub at: Timestamp,
}

/// The next `count` instants of every trigger of a pipeline after `after`.
///
/// # Errors
/// If a cron expression or a zone is not valid.
pub fn next_firings(
    pipeline: &Pipeline,
    default_zone: &str,
    after: Timestamp,
    count: usize,
) -> Result<Vec<NextFiring>, Problem> {
    let mut firings = Vec::new();
    for (name, trigger) in &pipeline.triggers {
        let Trigger::Cron(cron) = trigger else { continue };
        let rule = CronRule::parse(&cron.cron, cron.timezone.as_deref().unwrap_or(default_zone))?;
        firings.extend(rule.after(after).take(count).map(|at| NextFiring { trigger: name.clone(), at }));
    }
    firings.sort_by_key(|firing| firing.at);
    Ok(firings)
}

struct CronRule {
    cron: Cron,
    zone: TimeZone,
}

impl CronRule {
    fn parse(cron: &str, zone: &str) -> Result<Self, Problem> {
        let parsed = Cron::from_str(cron).map_err(|error| {
            Problem::error("bad-cron", format!("`{cron}` is not a cron expression: {error}"))
        })?;
        let zone = TimeZone::get(zone).map_err(|_| {
            Problem::error("unknown-timezone", format!("there is no time zone `{zone}`"))
                .hint("use an IANA name such as `Europe/Berlin`")
        })?;
        Ok(Self { cron: parsed, zone })
    }

    /// Instants strictly after `start`.
    fn after(&self, start: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let mut here: Zoned = start.to_zoned(self.zone.clone());
        std::iter::from_fn(move || {
            let next = self.cron.find_next_occurrence(&here, false).ok()?;
            here = next.clone();
            Some(next.timestamp())
        })
    }
}

/// Firings that are due in `(since, now]` under the rule for missed ones. `running` tells whether the engine ran all that time.
fn due(rule: &CronRule, missed: Missed, since: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let passed: Vec<Timestamp> = rule.after(since).take_while(|at| *at <= now).take(MOST_MISSED).collect();
    let fresh = |at: &Timestamp| now.duration_since(*at).as_secs() < 60;
    match missed {
        Missed::All => passed,
        Missed::Last => passed.last().copied().into_iter().collect(),
        Missed::None => passed.into_iter().filter(fresh).collect(),
    }
}

/// Starts the runs of cron triggers until told to stop.
pub struct TriggerLoop {
    engine: Engine,
    source: Arc<dyn PipelineSource>,
    clock: Arc<dyn millrace_contract::Clock>,
}

impl TriggerLoop {
    /// Makes the loop; nothing happens before [`TriggerLoop::run`].
    pub fn new(
        engine: Engine,
        source: Arc<dyn PipelineSource>,
        clock: Arc<dyn millrace_contract::Clock>,
    ) -> Self {
        Self { engine, source, clock }
    }

    /// Fires what is due, sleeps until the next firing, and so on.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pause = self.fire_due().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Fires everything that is due now; answers how long nothing will be.
    pub async fn fire_due(&self) -> Duration {
        let now = self.clock.now();
        let known = match self.engine.store().list_trigger_states().await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "the triggers cannot be read");
                return LOOK_AGAIN;
            }
        };
        let mut pause = LOOK_AGAIN;
        for pipeline in self.source.pipelines().await {
            for (name, trigger) in &pipeline.triggers {
                let earlier = known
                    .iter()
                    .find(|state| state.pipeline == pipeline.name.as_str() && state.trigger == *name);
                match self.fire_trigger(&pipeline, name, trigger, earlier, now).await {
                    Ok(Some(next)) => {
                        pause = pause.min(Duration::try_from(next.duration_since(now)).unwrap_or_default())
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(pipeline = %pipeline.name, trigger = %name, %error, "a trigger did not fire")
                    }
                }
            }
        }
        pause
    }

    async fn fire_trigger(
        &self,
        pipeline: &Pipeline,
        name: &str,
        trigger: &Trigger,
        earlier: Option<&TriggerStateRow>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, OrchestrationError> {
        let Trigger::Cron(cron) = trigger else { return Ok(None) };
        let zone = cron.timezone.clone().unwrap_or_else(|| self.source.timezone());
        let rule = CronRule::parse(&cron.cron, &zone)
            .map_err(|problem| OrchestrationError::Invalid(Box::new(problem)))?;
        let text = format!("{} {zone}", cron.cron);
        if earlier.is_some_and(|state| state.paused) {
            return Ok(None);
        }
        // A new or changed rule owes nothing for the past.
        let since = earlier
            .filter(|state| state.rule == text)
            .and_then(|state| Timestamp::from_microsecond(state.checked_until).ok());
        let instants = since.map(|since| due(&rule, cron.missed, since, now)).unwrap_or_default();
        for at in &instants {
            let request = RunRequest {
                inputs: cron.inputs.clone(),
                cause: json!({"by": "cron", "trigger": name, "at": at.to_string()}),
                firing: Some((name.to_owned(), at.as_microsecond())),
                ..RunRequest::default()
            };
            self.engine.submit(pipeline.clone(), request).await?;
        }
        let checked_until = now.as_microsecond();
        if since.is_none() || !instants.is_empty() {
            let state = TriggerStateRow {
                pipeline: pipeline.name.to_string(),
                trigger: name.to_owned(),
                rule: text,
                checked_until,
                paused: false,
            };
            let stored = self.engine.store().store_trigger_state(state).await;
            stored.map_err(OrchestrationError::store("store the trigger's state"))?;
        }
        Ok(rule.after(now).next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(cron: &str, after: &str, count: usize) -> Vec<String> {
        let rule = CronRule::parse(cron, "Europe/Berlin").unwrap();
        rule.after(after.parse().unwrap())
            .take(count)
            .map(|at| at.to_zoned(rule.zone.clone()).strftime("%d %H:%M%:z").to_string())
            .collect()
    }

    #[test]
    fn a_fixed_time_in_the_gap_fires_once_after_it_and_in_the_overlap_once() {
        // On 29 March 2026 the clock goes from 02:00 to 03:00, on 25 October from 03:00 back to 02:00.
        assert_eq!(instants("30 2 * * *", "2026-03-28T12:00:00Z", 2), ["29 03:00+02:00", "30 02:30+02:00"]);
        assert_eq!(instants("30 2 * * *", "2026-10-24T12:00:00Z", 2), ["25 02:30+02:00", "26 02:30+01:00"]);
    }

    #[test]
    fn an_hourly_rule_follows_elapsed_time_through_the_overlap() {
        assert_eq!(
            instants("0 * * * *", "2026-10-24T23:30:00Z", 3),
            ["25 02:00+02:00", "25 02:00+01:00", "25 03:00+01:00"]
        );
    }

    #[test]
    fn what_is_owed_for_the_past_is_as_the_rule_says() {
        let rule = CronRule::parse("0 6 * * *", "UTC").unwrap();
        let (since, now) = ("2026-05-01T00:00:00Z".parse().unwrap(), "2026-05-03T12:00:00Z".parse().unwrap());
        assert_eq!(due(&rule, Missed::All, since, now).len(), 3);
        assert_eq!(due(&rule, Missed::Last, since, now), ["2026-05-03T06:00:00Z".parse().unwrap()]);
        assert_eq!(due(&rule, Missed::None, since, now), []);
    }
}
