//! Runs under any interleaving of ends, cancellations, holds and kills: what must never happen never does, and what should happen comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_contract::SystemClock;
use millrace_metastore::Metastore;
use millrace_metastore::runs::{PipelineRunRow, StepRunRow};
use millrace_metastore::runs_items::ItemFilter;
use millrace_metastore::runs_search::RunSearch;
use millrace_orchestration::state::{RunState, StepState};
use millrace_orchestration::{Engine, RunRequest};
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::{Pipeline, Step};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::nowhere::services;
use crate::rooms::{Board, Key, kinds, settings};

/// Attempts at once.
const LIMIT: u32 = 3;
/// Longest time until what should happen has happened.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
enum Action {
    Submit(usize),
    /// One of the attempts that work ends.
    End(usize, bool),
    /// One of the waiting steps gets what it waits for.
    Open(usize),
    Cancel(usize),
    Pause(usize),
    Resume(usize),
    /// The process is killed after so many looks at the database, and begins anew.
    Kill(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0_usize..3).prop_map(Action::Submit),
        8 => (0_usize..8, prop::bool::weighted(0.7)).prop_map(|(n, success)| Action::End(n, success)),
        2 => (0_usize..8).prop_map(Action::Open),
        1 => (0_usize..8).prop_map(Action::Cancel),
        1 => (0_usize..8).prop_map(Action::Pause),
        2 => (0_usize..8).prop_map(Action::Resume),
        2 => (0_usize..4).prop_map(Action::Kill),
    ]
}

/// One step: which of those before it needs, whether it is a door, takes the pool, how often it is tried, and its items.
type Shape = (Vec<bool>, bool, bool, u32, Option<(usize, u32, Option<u32>, bool)>);

fn pipeline() -> impl Strategy<Value = Vec<Shape>> {
    let items =
        prop::option::weighted(0.3, (0_usize..5, 1_u32..4, prop::option::of(0_u32..2), any::<bool>()));
    let step = (
        prop::collection::vec(prop::bool::weighted(0.4), 4),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.3),
        0_u32..3,
        items,
    );
    prop::collection::vec(step, 1..5)
}

fn built(name: usize, shapes: &[Shape]) -> Pipeline {
    let place = json!({"file": "p.yaml", "line": 1, "column": 1, "length": 1});
    let mut steps = serde_json::Map::new();
    for (number, (needs, door, pool, retries, items)) in shapes.iter().enumerate() {
        let needs: Vec<String> = (0..number)
            .filter(|other| needs.get(*other) == Some(&true))
            .map(|other| format!("s{other}"))
            .collect();
        let mapping = items.as_ref().map(|(count, parallel, max_failures, fail_fast)| {
            let list: Vec<usize> = (0..*count).collect();
            json!({"over": {"foreach": list}, "parallel": parallel, "max_failures": max_failures, "fail_fast": fail_fast})
        });
        let step = json!({
            "id": format!("s{number}"), "kind": if *door { "door" } else { "gate" }, "config": null, "needs": needs,
            "retry": {"max": retries, "delay_ms": 0, "backoff": 1.0}, "mapping": mapping, "place": place,
            "pool": if *pool { json!({"pool": 1}) } else { json!({}) },
        });
        steps.insert(format!("s{number}"), step);
    }
    let cleanup = json!({"cleanup": {"id": "cleanup", "kind": "gate", "config": null, "place": place}});
    let file = "p.yaml";
    serde_json::from_value(
        json!({"name": format!("p{name}"), "file": file, "steps": steps, "finally": cleanup}),
    )
    .unwrap()
}

/// A process that can be killed: its own runtime, connection and engine on a database that stays.
struct Process {
    runtime: Option<Runtime>,
    engine: Engine,
    store: Metastore,
}

impl Process {
    fn start(folder: &TempDir, board: &Arc<Board>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (engine, store) = runtime.block_on(async {
            let url = format!("sqlite:{}", folder.path().join("runs.db").display());
            let store = Metastore::open(&url).await.unwrap();
            let settings = settings(folder.path(), LIMIT);
            let engine =
                Engine::start(store.clone(), kinds(board), services(Arc::new(SystemClock)), settings)
                    .await
                    .unwrap();
            (engine, store)
        });
        Self { runtime: Some(runtime), engine, store }
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }
}

impl Drop for Process {
    /// Every task ends where it happens to wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

/// A run as its rows have it.
struct Seen {
    run: PipelineRunRow,
    pipeline: Pipeline,
    steps: BTreeMap<String, StepRunRow>,
    items: BTreeMap<String, Vec<StepRunRow>>,
}

impl Seen {
    fn state(&self, step: &StepId) -> StepState {
        state(self.steps.get(step.as_str()).unwrap())
    }

    fn over(&self) -> bool {
        RunState::parse(&self.run.state).unwrap().is_final()
    }
}

fn state(row: &StepRunRow) -> StepState {
    StepState::parse(&row.state).unwrap()
}

struct World {
    folder: TempDir,
    board: Arc<Board>,
    process: Option<Process>,
    pipelines: Vec<Pipeline>,
}

impl World {
    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    fn look(&self) -> Vec<Seen> {
        let process = self.process();
        process.wait(async {
            let store = &process.store;
            let search = RunSearch { limit: 1_000, all: true, ..RunSearch::default() };
            let mut seen = Vec::new();
            for listed in store.search_pipeline_runs(search).await.unwrap().into_iter().rev() {
                let run = store.find_pipeline_run(listed.id).await.unwrap().unwrap();
                let rows = store.list_step_runs(run.id.clone()).await.unwrap();
                let mut items = BTreeMap::new();
                for row in rows.iter().filter(|row| row.items_total.is_some()) {
                    let filter = ItemFilter { limit: 1_000, ..ItemFilter::default() };
                    let all = store.list_step_items(run.id.clone(), row.step.clone(), filter).await.unwrap();
                    items.insert(row.step.clone(), all);
                }
                let steps = rows.into_iter().map(|row| (row.step.clone(), row)).collect();
                let pipeline = serde_json::from_str(&run.definition).unwrap();
                seen.push(Seen { run, pipeline, steps, items });
            }
            seen
        })
    }

    /// What must hold at every moment.
    fn assert_safe(&self) {
        let process = self.process();
        let (all, pool) = process.wait(async {
            let all = process.store.list_holders(None).await.unwrap();
            (all, process.store.list_holders(Some("pool".to_owned())).await.unwrap())
        });
        assert!(all.len() <= LIMIT as usize, "{} attempts run, the limit is {LIMIT}: {all:?}", all.len());
        assert!(pool.len() <= 1, "the pool is held {} times: {pool:?}", pool.len());
        assert!(self.board.working().len() <= LIMIT as usize, "{:?}", self.board.working());
    }

    /// Waits until everything that should happen by itself has happened.
    fn settle(&self, after: &Action) {
        let begun = Instant::now();
        loop {
            self.assert_safe();
            let Some(owed) = self.owed() else { return };
            assert!(begun.elapsed() < PATIENCE, "after {after:?}: {owed}");
            // Looking again at once keeps the store from writing, for seconds where there are two cores.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Something that should happen by itself and has not.
    fn owed(&self) -> Option<String> {
        let process = self.process();
        let holders = process.wait(process.store.list_holders(None)).unwrap();
        let pool = process.wait(process.store.list_holders(Some("pool".to_owned()))).unwrap();
        let mut held: Vec<Key> = holders.into_iter().map(|holder| (holder.run_id, holder.step)).collect();
        held.sort();
        let working = self.board.working();
        if held != working {
            return Some(format!("{held:?} run by the database, {working:?} work"));
        }
        let room = |step: &Step| {
            step.kind == "door" || held.len() < LIMIT as usize && (step.pool.is_empty() || pool.is_empty())
        };
        self.look().iter().find_map(|seen| owed_by(seen, &self.board, &room))
    }

    fn act(&mut self, action: &Action) {
        let runs = self.look();
        let open: Vec<&Seen> = runs.iter().filter(|seen| !seen.over()).collect();
        let nth = |n: usize| open.get(n % open.len().max(1)).map(|seen| seen.run.id.clone());
        let process = self.process.as_ref().unwrap();
        match action {
            Action::Submit(n) => {
                let pipeline = self.pipelines[n % self.pipelines.len()].clone();
                process.wait(process.engine.submit(pipeline, RunRequest::default())).unwrap();
            }
            Action::End(n, success) => {
                let working = self.board.working();
                if let Some(key) = working.get(n % working.len().max(1)) {
                    self.board.end(key, *success);
                }
            }
            Action::Open(n) => {
                let waiting: Vec<Key> = open.iter().flat_map(|seen| waiting(seen)).collect();
                if let Some((run, step)) = waiting.get(n % waiting.len().max(1)) {
                    self.board.open(&(run.clone(), step.clone()));
                    process.engine.nudge(run, step);
                }
            }
            // A run may end by itself before it is reached.
            Action::Cancel(n) => drop(nth(*n).map(|id| process.wait(process.engine.cancel(&id)))),
            Action::Pause(n) => drop(nth(*n).map(|id| process.wait(process.engine.pause(&id)))),
            Action::Resume(n) => drop(nth(*n).map(|id| process.wait(process.engine.resume(&id)))),
            Action::Kill(_) => {
                self.process = None;
                self.process = Some(Process::start(&self.folder, &self.board));
            }
        }
    }
}

fn waiting(seen: &Seen) -> Vec<Key> {
    let rows = seen.steps.values().chain(seen.items.values().flatten());
    let rows = rows.filter(|row| state(row) == StepState::Waiting);
    rows.map(|row| (seen.run.id.clone(), row.step.clone())).collect()
}

/// What a run owes; `room` tells whether a step would find some.
fn owed_by(seen: &Seen, board: &Board, room: &dyn Fn(&Step) -> bool) -> Option<String> {
    let id = &seen.run.id;
    let all_over = seen.steps.values().all(|row| state(row).is_final());
    if seen.over() {
        return (!all_over).then(|| format!("the run {id} is over, a step of it is not"));
    }
    if all_over || seen.run.state == RunState::Queued.as_str() {
        return Some(format!("the run {id} is {}", seen.run.state));
    }
    if let Some((_, step)) = waiting(seen).into_iter().find(|key| board.is_open(key)) {
        return Some(format!("the door `{step}` of {id} is open"));
    }
    let steps_over = seen.pipeline.steps.keys().all(|step| seen.state(step).is_final());
    let steps = seen.pipeline.steps.values().map(|step| (step, seen.run.cancel_requested));
    let at_the_end = seen.pipeline.finally.values().filter(|_| steps_over).map(|step| (step, false));
    steps.chain(at_the_end).find_map(|(step, cancelled)| {
        let owed = match seen.state(&step.id) {
            state if state.is_final() => None,
            _ if cancelled => Some("was cancelled"),
            StepState::Running if step.mapping.is_some() => items_owe(seen, step, room),
            StepState::Running | StepState::Waiting => None,
            _ if seen.run.paused => None,
            StepState::Retrying => room(step).then_some("is due again"),
            _ if !step.needs.iter().all(|need| seen.state(need).is_final()) => None,
            _ if !step.needs.iter().all(|need| seen.state(need).is_success()) => Some("lacks what it needs"),
            _ => (step.mapping.is_some() || room(step)).then_some("could begin"),
        };
        owed.map(|what| format!("`{}` of {id} {what}", step.id))
    })
}

/// What a step that is done item by item owes.
fn items_owe(seen: &Seen, step: &Step, room: &dyn Fn(&Step) -> bool) -> Option<&'static str> {
    let mapping = step.mapping.as_ref().unwrap();
    let rows = &seen.items[step.id.as_str()];
    let total = seen.steps[step.id.as_str()].items_total.unwrap() as usize;
    let count = |fits: &dyn Fn(StepState) -> bool| rows.iter().filter(|row| fits(state(row))).count();
    let active = count(&|state| matches!(state, StepState::Running | StepState::Waiting));
    let failed = count(&StepState::is_failure);
    let given_up = match mapping.max_failures {
        Some(tolerated) => failed > tolerated as usize,
        None => mapping.fail_fast && failed > 0,
    };
    let left = total - count(&|state| state.is_final()) - active;
    if active == 0 && (left == 0 || given_up) {
        return Some("has no item left");
    }
    if given_up {
        return (mapping.fail_fast && active > 0).then_some("is to stop its items");
    }
    let parallel = mapping.parallel.unwrap_or(LIMIT) as usize;
    let could = left > 0 && active < parallel && !seen.run.paused && room(step);
    could.then_some("could begin an item")
}

/// Lets everything come to its end.
fn drain(world: &mut World) {
    let begun = Instant::now();
    loop {
        world.assert_safe();
        let runs = world.look();
        let open: Vec<&Seen> = runs.iter().filter(|seen| !seen.over()).collect();
        if open.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} runs do not end", open.len());
        let process = world.process();
        for seen in &open {
            if seen.run.paused {
                process.wait(process.engine.resume(&seen.run.id)).ok();
            }
            for key in waiting(seen) {
                world.board.open(&key);
                process.engine.nudge(&key.0, &key.1);
            }
        }
        for key in world.board.working() {
            world.board.end(&key, true);
        }
    }
}

/// In the end every step is over, no attempt runs, and none succeeded beside another.
fn assert_ended(world: &World) {
    world.assert_safe();
    for seen in world.look() {
        let process = world.process();
        for row in seen.steps.values().chain(seen.items.values().flatten()) {
            assert!(state(row).is_final(), "`{}` is {} in a run that is over", row.step, row.state);
            let attempts = process.store.list_attempts_of(seen.run.id.clone(), row.step.clone());
            let attempts = process.wait(attempts).unwrap();
            let count = |word: &str| attempts.iter().filter(|attempt| attempt.state == word).count();
            assert_eq!(count("running") + count("waiting"), 0, "`{}`: {attempts:?}", row.step);
            let successes = usize::from(row.state == "succeeded" && row.items_total.is_none());
            assert_eq!(count("succeeded"), successes, "`{}` is {}: {attempts:?}", row.step, row.state);
            assert_eq!(attempts.len() as i64, row.attempt, "`{}`: {attempts:?}", row.step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_forbidden_happens_and_everything_ends(
        shapes in prop::collection::vec(pipeline(), 1..3),
        actions in prop::collection::vec(action(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let board = Arc::new(Board::default());
        let pipelines = shapes.iter().enumerate().map(|(name, shapes)| built(name, shapes)).collect();
        let process = Some(Process::start(&folder, &board));
        let mut world = World { folder, board, process, pipelines };
        for (index, action) in actions.iter().enumerate() {
            world.act(action);
            // A kill that follows comes at once, or a few looks later: between two transactions or within one.
            match actions.get(index + 1) {
                Some(Action::Kill(looks)) => (0..*looks).for_each(|_| world.assert_safe()),
                _ => world.settle(action),
            }
        }
        drain(&mut world);
        assert_ended(&world);
    }
}

#[test]
fn a_shape_is_a_pipeline() {
    let shapes =
        vec![(vec![], false, true, 1, None), (vec![true], true, false, 0, Some((3, 2, Some(1), true)))];
    let pipeline = built(0, &shapes);
    assert_eq!(pipeline.steps[1].needs[0].as_str(), "s0");
    assert_eq!(
        serde_json::to_value(&pipeline).unwrap()["steps"]["s1"]["mapping"]["parallel"],
        Value::from(2)
    );
}
