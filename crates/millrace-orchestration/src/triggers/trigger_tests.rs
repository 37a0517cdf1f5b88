#[path = "../../tests/it/nowhere.rs"]
mod nowhere;

#[path = "event_trigger_tests.rs"]
mod events;

use std::sync::Mutex;

use indexmap::IndexMap;
use millrace_contract::{
    Clock as _, FixedClock, KindDoc, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_metastore::Metastore;
use millrace_metastore::runs_search::{RunListRow, RunSearch};
use millrace_metastore::windows::{WindowFilter, WindowRow};
use millrace_spec::load;
use serde_json::Value;
use tokio::sync::watch;

use super::*;
use crate::settings::{EngineSettings, ServerPlace};
use crate::steps::Set;
use crate::windows::{RangeRequest, rerun_range};

#[derive(Default)]
struct Signals(Mutex<Vec<Signal>>);

impl SignalSink for Signals {
    fn record(&self, signal: Signal) {
        self.0.lock().unwrap().push(signal);
    }
}

/// A step that goes on until the gate is open, and fails while it says so.
struct Hold {
    doc: KindDoc,
    gate: watch::Sender<Gate>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Gate {
    Closed,
    Open,
    Fails,
}

#[async_trait]
impl StepKind for Hold {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }
    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        Vec::new()
    }
    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let mut gate = self.gate.subscribe();
        let state = tokio::select! {
            state = gate.wait_for(|state| *state != Gate::Closed) => state.map_or(Gate::Open, |state| *state),
            () = context.cancel.cancelled() => return Err(StepError::cancelled()),
        };
        if state == Gate::Fails {
            let problem = millrace_spec::problem::Problem::error("gate", "the gate fails");
            return Err(StepError::permanent(problem));
        }
        let outputs = [("window".to_owned(), context.config)].into_iter().collect();
        Ok(StepOutcome { outputs, ..StepOutcome::default() })
    }
}

/// Files of a workspace that a test changes.
struct Files(Mutex<(u64, Vec<Pipeline>)>);

#[async_trait]
impl PipelineSource for Files {
    async fn pipelines(&self) -> Vec<Pipeline> {
        self.0.lock().unwrap().1.clone()
    }
    async fn calendars(&self) -> Calendars {
        Calendars::new()
    }
    async fn stamp(&self) -> u64 {
        self.0.lock().unwrap().0
    }
    fn timezone(&self) -> String {
        "Europe/Berlin".to_owned()
    }
}

struct World {
    engine: Engine,
    clock: Arc<FixedClock>,
    files: Arc<Files>,
    gate: watch::Sender<Gate>,
    signals: Arc<Signals>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(now: &str, pipelines: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("t.db").display());
        let clock = Arc::new(FixedClock::at(now.parse().unwrap()));
        let gate = watch::channel(Gate::Open).0;
        let hold =
            Hold { doc: KindDoc::of::<String>(KindFamily::Step, "hold", "hold: it"), gate: gate.clone() };
        let kinds: Vec<Arc<dyn StepKind>> = vec![Arc::new(Set::new()), Arc::new(hold)];
        let services = nowhere::services(clock.clone());
        let settings = EngineSettings {
            workspace: folder.path().to_path_buf(),
            state_folder: folder.path().to_path_buf(),
            max_running: 64,
            pools: IndexMap::new(),
            timezone: "Europe/Berlin".to_owned(),
            server: ServerPlace {
                host: "here".to_owned(),
                is_running: |_, _| true,
                state_id: folder.path().to_string_lossy().into_owned(),
                process: (1, 1),
                lease: std::time::Duration::from_secs(60),
            },
        };
        let store = Metastore::open(&url).await.unwrap();
        let kinds = kinds.into_iter().map(|kind| (kind.doc().name, kind)).collect();
        let engine = Engine::start(store, kinds, services, settings).await.unwrap();
        let files = Arc::new(Files(Mutex::new((0, Vec::new()))));
        let world = Self { engine, clock, files, gate, signals: Arc::default(), _folder: folder };
        world.write(pipelines);
        world
    }

    /// Replaces the files.
    fn write(&self, pipelines: &[(&str, &str)]) {
        let load = |(name, triggers): &(&str, &str)| {
            let step = "hold: \"${{ window.start }} ${{ window.end }} ${{ window.attempt }}\"";
            let step = if triggers.contains("window") { step } else { "hold: it" };
            let text = format!("triggers: {{t: {triggers}}}\nsteps:\n  a:\n    {step}\n");
            load::pipeline(&format!("pipelines/{name}.yaml"), &text, &["set", "hold"]).unwrap().pipeline
        };
        let mut files = self.files.0.lock().unwrap();
        *files = (files.0 + 1, pipelines.iter().map(load).collect());
    }

    fn at(&self, now: &str) {
        self.clock.set(now.parse().unwrap());
    }

    fn triggers(&self) -> TriggerLoop {
        TriggerLoop::new(self.engine.clone(), self.files.clone(), self.clock.clone(), self.signals.clone())
    }

    /// What started the runs so far and their states, oldest first.
    async fn runs(&self) -> Vec<String> {
        let search = RunSearch { limit: 1_000, ..RunSearch::default() };
        let mut rows = self.engine.store().search_pipeline_runs(search).await.unwrap();
        rows.reverse();
        let line = |row: RunListRow| {
            let cause: Value = serde_json::from_str(&row.cause).unwrap();
            let when = cause["at"].as_str().or_else(|| cause["window"].as_str()).unwrap_or("-").to_owned();
            format!("{} {when} {}", row.pipeline, row.state)
        };
        rows.into_iter().map(line).collect()
    }

    /// Waits until every run that can is over.
    async fn wait_for_runs(&self) {
        for row in self.engine.store().open_pipeline_runs().await.unwrap() {
            self.engine.wait(&row.id).await.unwrap();
        }
    }

    /// Looks at the windows, and lets their runs end, until nothing changes.
    async fn settle(&self, triggers: &mut TriggerLoop) {
        for _ in 0..60 {
            let before = (self.runs().await, self.windows("child").await, self.windows("daily").await);
            triggers.plan.look_at_windows(|_| true);
            triggers.fire_due().await;
            self.wait_for_runs().await;
            triggers.plan.look_at_windows(|_| true);
            triggers.fire_due().await;
            if before == (self.runs().await, self.windows("child").await, self.windows("daily").await) {
                return;
            }
        }
        panic!("the windows never settle");
    }

    async fn rows(&self, pipeline: &str) -> Vec<WindowRow> {
        let filter = WindowFilter { pipeline: pipeline.to_owned(), limit: 10_000, ..WindowFilter::default() };
        self.engine.store().list_windows(filter).await.unwrap()
    }

    /// Local date, state and attempts of the windows of a pipeline.
    async fn windows(&self, pipeline: &str) -> Vec<String> {
        let line = |row: WindowRow| {
            let local = instant(row.start).to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
            format!("{} {} {}", local.strftime("%m-%d"), row.state, row.attempt)
        };
        self.rows(pipeline).await.into_iter().map(line).collect()
    }

    fn pipeline(&self, name: &str) -> Pipeline {
        let files = self.files.0.lock().unwrap();
        files.1.iter().find(|pipeline| pipeline.name.as_str() == name).unwrap().clone()
    }

    async fn rerun(&self, pipeline: &str, from: &str) {
        let request = RangeRequest { trigger: None, from: from.to_owned(), until: None };
        let (store, pipeline) = (self.engine.store(), self.pipeline(pipeline));
        let count = rerun_range(store, &pipeline, "Europe/Berlin", &request, self.clock.now()).await.unwrap();
        assert_eq!(count, 1);
    }
}

#[tokio::test]
async fn schedule_two_schedulers_and_a_clock_that_jumps_fire_once() {
    let world =
        World::new("2026-03-27T12:00:00Z", &[("daily", "{cron: '0 6 * * *', missed: all, missed_for: 7d}")])
            .await;
    let (mut one, mut other) = (world.triggers(), world.triggers());
    one.fire_due().await;
    other.fire_due().await;
    assert_eq!(world.runs().await, [""; 0], "a new rule owes nothing");
    // Over the change of the clock on 29 March, both at once.
    world.at("2026-03-29T04:00:01Z");
    tokio::join!(one.fire_due(), other.fire_due());
    world.wait_for_runs().await;
    let two = ["daily 2026-03-28T05:00:00Z succeeded", "daily 2026-03-29T04:00:00Z succeeded"];
    assert_eq!(world.runs().await, two);
    // The clock steps back, a third scheduler begins, the clock comes back.
    world.at("2026-03-28T01:00:00Z");
    let mut third = world.triggers();
    for triggers in [&mut one, &mut other, &mut third] {
        triggers.fire_due().await;
    }
    world.at("2026-03-29T05:00:00Z");
    for triggers in [&mut one, &mut other, &mut third] {
        triggers.fire_due().await;
    }
    world.wait_for_runs().await;
    assert_eq!(world.runs().await, two);
    // And it jumps ahead by two days.
    world.at("2026-03-31T05:00:00Z");
    one.fire_due().await;
    world.wait_for_runs().await;
    assert_eq!(world.runs().await.len(), 4);
}

#[tokio::test]
async fn schedule_catch_up_owes_the_last_and_nothing_for_a_pause_or_a_new_rule() {
    let daily = "{cron: '0 6 * * *', timezone: UTC}";
    let world = World::new("2026-05-01T12:00:00Z", &[("daily", daily)]).await;
    world.triggers().fire_due().await;
    // Down for three days: only the last is made up for.
    world.at("2026-05-04T12:00:00Z");
    let mut triggers = world.triggers();
    triggers.fire_due().await;
    world.wait_for_runs().await;
    assert_eq!(world.runs().await, ["daily 2026-05-04T06:00:00Z succeeded"]);
    // Paused for two days, then it goes on at noon: nothing is owed.
    let store = world.engine.store();
    let pause = |paused, now: Timestamp| {
        store.pause_trigger("daily".to_owned(), "t".to_owned(), paused, now.as_microsecond())
    };
    assert!(pause(true, world.clock.now()).await.unwrap());
    for day in ["2026-05-05T07:00:00Z", "2026-05-06T07:00:00Z"] {
        world.at(day);
        triggers.fire_due().await;
    }
    world.at("2026-05-06T12:00:00Z");
    assert!(pause(false, world.clock.now()).await.unwrap());
    triggers.fire_due().await;
    assert_eq!(world.runs().await.len(), 1);
    let listed = list_triggers(store, &*world.files, world.clock.now(), 2).await.unwrap();
    assert_eq!(listed[0].next_at.unwrap().to_string(), "2026-05-07T06:00:00Z");
    assert_eq!(listed[0].last.as_ref().unwrap().state.as_deref(), Some("succeeded"));
    // Another rule owes nothing for the time before it.
    world.at("2026-05-08T12:00:00Z");
    world.write(&[("daily", "{cron: '0 7 * * *', timezone: UTC}")]);
    world.triggers().fire_due().await;
    assert_eq!(world.runs().await.len(), 1);
    // A server that was away for long is noticed by whoever asks.
    world.at("2026-05-20T12:00:00Z");
    let listed = list_triggers(store, &*world.files, world.clock.now(), 0).await.unwrap();
    assert_eq!(listed[0].overdue_since.unwrap().to_string(), "2026-05-09T07:00:00Z");
}

#[tokio::test]
async fn schedule_overlap_queues_skips_cancels_or_allows() {
    for (overlap, expected) in [
        ("queue", vec!["running", "queued"]),
        ("skip", vec!["running"]),
        ("cancel_running", vec!["cancelled", "running"]),
        ("allow", vec!["running", "running"]),
    ] {
        let rule = format!("{{cron: '0 * * * *', timezone: UTC, overlap: {overlap}}}");
        let world = World::new("2026-05-01T11:59:00Z", &[("daily", &rule)]).await;
        world.gate.send_replace(Gate::Closed);
        let mut triggers = world.triggers();
        for now in ["2026-05-01T11:59:30Z", "2026-05-01T12:00:01Z", "2026-05-01T13:00:01Z"] {
            world.at(now);
            triggers.fire_due().await;
        }
        let mut states = Vec::new();
        for _ in 0..500 {
            states =
                world.runs().await.iter().map(|run| run.rsplit(' ').next().unwrap().to_owned()).collect();
            if states == expected {
                break;
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(states, expected, "{overlap}");
        if overlap == "skip" {
            let listed =
                list_triggers(world.engine.store(), &*world.files, world.clock.now(), 0).await.unwrap();
            assert!(listed[0].last.as_ref().unwrap().note.as_ref().unwrap().contains("was still going on"));
            assert!(listed[0].why.as_ref().unwrap().contains("was still going on"));
        }
        world.gate.send_replace(Gate::Open);
        world.wait_for_runs().await;
        assert_eq!(world.runs().await.len(), expected.len(), "{overlap}");
    }
}

#[tokio::test]
async fn schedule_tumbling_windows_run_oldest_first_and_retry() {
    // Four days, that of the 29th has 23 hours; two at once.
    let daily = "{window: 1d, from: 2026-03-27, delay: 1h, parallel: 2, retry: 1}";
    let world = World::new("2026-03-31T00:30:00+02:00", &[("daily", daily)]).await;
    let mut triggers = world.triggers();
    world.gate.send_replace(Gate::Closed);
    triggers.fire_due().await;
    // The 30th is over, but due an hour later.
    assert_eq!(
        world.windows("daily").await,
        ["03-27 running 1", "03-28 running 1", "03-29 waiting 0", "03-30 waiting 0"]
    );
    world.gate.send_replace(Gate::Open);
    world.settle(&mut triggers).await;
    assert_eq!(
        world.windows("daily").await,
        ["03-27 succeeded 1", "03-28 succeeded 1", "03-29 succeeded 1", "03-30 waiting 0"]
    );
    let rows = world.rows("daily").await;
    let steps = world.engine.store().list_step_runs(rows[2].run_id.clone().unwrap()).await.unwrap();
    let outcome: Value = serde_json::from_str(steps[0].outcome.as_ref().unwrap()).unwrap();
    assert_eq!(outcome["outputs"]["window"], "2026-03-29T00:00:00+01:00 2026-03-30T00:00:00+02:00 1");
    // An hour after its end the last one is due; it fails, and so does its one retry.
    world.gate.send_replace(Gate::Fails);
    world.at("2026-03-31T01:00:00+02:00");
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("daily").await[3], "03-30 failed 2");
    // Asked for again it may try twice again.
    world.gate.send_replace(Gate::Open);
    world.rerun("daily", "2026-03-30").await;
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("daily").await[3], "03-30 succeeded 3");
}

#[tokio::test]
async fn schedule_windows_are_made_once_each_however_the_clock_jumps() {
    let world = World::new("2026-03-29T12:00:00+02:00", &[("daily", "{window: 1d, from: 2026-03-27}")]).await;
    let mut triggers = world.triggers();
    world.settle(&mut triggers).await;
    let two = ["03-27 succeeded 1", "03-28 succeeded 1"];
    assert_eq!(world.windows("daily").await, two);
    // Back by two days, for this scheduler and for one that begins then: no window is over again, none runs again.
    world.at("2026-03-27T12:00:00+01:00");
    let mut other = world.triggers();
    world.settle(&mut triggers).await;
    world.settle(&mut other).await;
    assert_eq!(world.windows("daily").await, two);
    // Back where it was, and ahead by three days, over the night of 23 hours: each that is over now, once.
    for now in ["2026-03-29T12:30:00+02:00", "2026-04-01T00:00:01+02:00"] {
        world.at(now);
        world.settle(&mut triggers).await;
        world.settle(&mut other).await;
    }
    let all = ["03-27", "03-28", "03-29", "03-30", "03-31"].map(|day| format!("{day} succeeded 1"));
    assert_eq!(world.windows("daily").await, all);
    assert_eq!(world.runs().await.len(), 5);
}

#[tokio::test]
async fn schedule_another_window_size_begins_where_the_old_windows_end() {
    let world =
        World::new("2026-03-03T12:00:00Z", &[("daily", "{window: 1d, from: 2026-03-01, timezone: UTC}")])
            .await;
    let mut triggers = world.triggers();
    world.settle(&mut triggers).await;
    assert_eq!(world.rows("daily").await.len(), 2);
    world.write(&[("daily", "{window: 12h, from: 2026-02-27, timezone: UTC, parallel: 9}")]);
    world.at("2026-03-04T12:00:00Z");
    let mut triggers = world.triggers();
    world.settle(&mut triggers).await;
    let rows = world.rows("daily").await;
    let lengths: Vec<i64> = rows.iter().map(|row| (row.end - row.start) / 3_600_000_000).collect();
    // Two days of February before, the two old windows, then three halves of days.
    assert_eq!(lengths, [12, 12, 12, 12, 24, 24, 12, 12, 12]);
    assert!(rows.windows(2).all(|pair| pair[0].end == pair[1].start), "without a gap or an overlap");
    assert!(rows.iter().all(|row| row.state == "succeeded"));
}

#[tokio::test]
async fn schedule_window_dependencies_hold_and_a_rerun_makes_children_stale() {
    let daily = "{window: 1d, from: 2026-03-01, timezone: UTC, parallel: 9}";
    let child =
        "{window: 1d, from: 2026-03-01, timezone: UTC, parallel: 9, after: [{pipeline: daily}, {self: -1d}]}";
    let world = World::new("2026-03-03T12:00:00Z", &[("daily", daily), ("child", child)]).await;
    let mut triggers = world.triggers();
    world.gate.send_replace(Gate::Fails);
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("daily").await, ["03-01 failed 1", "03-02 failed 1"]);
    assert_eq!(
        world.windows("child").await,
        ["03-01 waiting_on_dependency 0", "03-02 waiting_on_dependency 0"]
    );
    let reason = world.rows("child").await[0].reason.clone().unwrap();
    assert_eq!(reason, "waits for `daily`: 2026-03-01T00:00:00+00:00 is failed");
    // The parent's first window succeeds: the child's first follows, the second still waits.
    world.gate.send_replace(Gate::Open);
    world.rerun("daily", "2026-03-01").await;
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("child").await, ["03-01 succeeded 1", "03-02 waiting_on_dependency 0"]);
    world.rerun("daily", "2026-03-02").await;
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("child").await, ["03-01 succeeded 1", "03-02 succeeded 1"]);
    // The parent runs again: what was built on it is stale, and a person decides.
    world.rerun("daily", "2026-03-01").await;
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("child").await, ["03-01 stale 1", "03-02 succeeded 1"]);
    let reason = world.rows("child").await[0].reason.clone().unwrap();
    assert_eq!(reason, "`daily` ran again for 2026-03-01T00:00:00+00:00");
    // The child runs again, which makes the one after it stale in turn.
    world.rerun("child", "2026-03-01").await;
    world.settle(&mut triggers).await;
    assert_eq!(world.windows("child").await, ["03-01 succeeded 2", "03-02 stale 1"]);
}

#[tokio::test]
async fn schedule_window_dependencies_run_out_of_patience() {
    let daily = "{window: 1d, from: 2026-03-01, timezone: UTC}";
    for (on_timeout, state) in [("fail", "failed 0"), ("skip", "cancelled 0"), ("run", "succeeded 1")] {
        let child = format!(
            "{{window: 1d, from: 2026-03-01, until: 2026-03-01, timezone: UTC, after: [{{pipeline: daily, wait: 2d, on_timeout: {on_timeout}}}]}}"
        );
        let world = World::new("2026-03-02T01:00:00Z", &[("daily", daily), ("child", &child)]).await;
        let mut triggers = world.triggers();
        world.gate.send_replace(Gate::Fails);
        world.settle(&mut triggers).await;
        assert_eq!(world.windows("child").await, ["03-01 waiting_on_dependency 0"]);
        // After more than its own length it counts as overdue, and somebody is told.
        world.at("2026-03-03T02:00:00Z");
        world.settle(&mut triggers).await;
        assert!(world.signals.0.lock().unwrap().iter().any(|signal| signal.value > 3_600.0));
        world.gate.send_replace(Gate::Open);
        world.at("2026-03-04T02:00:00Z");
        world.settle(&mut triggers).await;
        assert_eq!(world.windows("child").await, [format!("03-01 {state}")], "{on_timeout}");
    }
}

#[tokio::test]
async fn schedule_ten_thousand_rules_cost_nothing_between_their_instants() {
    let names: Vec<String> = (0..10_000).map(|number| format!("p{number}")).collect();
    let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{cron: '0 6 * * *'}")).collect();
    let world = World::new("2026-03-01T12:00:00Z", &rules).await;
    let mut triggers = world.triggers();
    triggers.fire_due().await;
    let began = std::time::Instant::now();
    for second in 0..1_000 {
        world
            .clock
            .set("2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second));
        assert!(triggers.fire_due().await > Duration::ZERO);
    }
    let each = began.elapsed() / 1_000;
    assert!(each < Duration::from_millis(10), "{each:?} for each second is more than 1 %");
    assert_eq!(world.runs().await, [""; 0]);
}
