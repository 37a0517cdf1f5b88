use indexmap::IndexMap;
use millrace_spec::pipeline::Pipeline;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::state::StepRun;

/// A run of steps written as `name: needs`, in the state that `states` gives (default pending).
fn run(steps: Value, finally: Value, states: &[(&str, StepState)]) -> RunSnapshot {
    let section = |steps: &Value| {
        let fields = steps.as_object().unwrap();
        let step = |name: &String, step: &Value| {
            json!({"id": name, "kind": "set", "config": {}, "needs": step["needs"], "if": step.get("if"),
                   "mapping": step.get("mapping"), "place": {"file": "p.yaml", "line": 1, "column": 1, "length": 1}})
        };
        Value::Object(fields.iter().map(|(name, value)| (name.clone(), step(name, value))).collect())
    };
    let pipeline =
        json!({"name": "p", "file": "p.yaml", "steps": section(&steps), "finally": section(&finally)});
    let pipeline: Pipeline = serde_json::from_value(pipeline).unwrap();
    let mut runs: IndexMap<StepId, StepRun> = pipeline
        .steps
        .keys()
        .chain(pipeline.finally.keys())
        .map(|id| (id.clone(), StepRun::pending()))
        .collect();
    for (name, state) in states {
        runs.get_mut(&name.parse::<StepId>().unwrap()).unwrap().state = *state;
    }
    RunSnapshot {
        partial: false,
        event: None,
        events: Vec::new(),
        id: "r".to_owned(),
        pipeline,
        inputs: IndexMap::new(),
        window: None,
        state: RunState::Running,
        cancel_requested: false,
        paused: false,
        created_at: 0,
        deadline_at: None,
        url: "http://here/runs/r".to_owned(),
        parent: None,
        steps: runs,
    }
}

fn words(run: &RunSnapshot) -> Vec<String> {
    decide(run, 100, 3)
        .into_iter()
        .map(|decision| match decision {
            Decision::Start { step } => format!("start {step}"),
            Decision::Skip { step, reason } => format!("skip {step}: {reason}"),
            Decision::CancelStep { step } => format!("cancel {step}"),
            Decision::Fail { step, problem } => format!("fail {step}: {}", problem.message),
            Decision::Expand { step, items } => format!("expand {step}: {}", Value::Array(items)),
            Decision::CloseItems { step, state, reason } => {
                format!("close {step} as {}: {reason}", state.as_str())
            }
            Decision::StopItems { step } => format!("stop {step}"),
            Decision::EndItems { step, state, problem } => {
                let problem = problem.map(|problem| format!(": {}", problem.message)).unwrap_or_default();
                format!("end {step} as {}{problem}", state.as_str())
            }
            Decision::WakeAt { at } => format!("wake at {at}"),
            Decision::Finish { state } => format!("finish {}", state.as_str()),
        })
        .collect()
}

fn two_after_one() -> Value {
    json!({"one": {"needs": []}, "two": {"needs": ["one"]}})
}

#[test]
fn a_step_starts_when_its_needs_succeeded_or_were_reused() {
    use StepState::{Cached, Failed, Running};
    assert_eq!(words(&run(two_after_one(), json!({}), &[])), ["start one"]);
    assert_eq!(words(&run(two_after_one(), json!({}), &[("one", Running)])), Vec::<String>::new());
    assert_eq!(words(&run(two_after_one(), json!({}), &[("one", Cached)])), ["start two"]);
    assert_eq!(
        words(&run(two_after_one(), json!({}), &[("one", Failed)])),
        ["skip two: `one`, which it needs, is failed"]
    );
}

#[test]
fn a_condition_decides_and_may_ask_for_failure() {
    use StepState::{Failed, Succeeded};
    let conditional = |text: &str| json!({"one": {"needs": []}, "two": {"needs": ["one"], "if": text}});
    assert_eq!(words(&run(conditional("failed()"), json!({}), &[("one", Failed)])), ["start two"]);
    assert_eq!(
        words(&run(conditional("failed()"), json!({}), &[("one", Succeeded)])),
        ["skip two: its condition is false"]
    );
    assert_eq!(
        words(&run(conditional("1 > 2"), json!({}), &[("one", Succeeded)])),
        ["skip two: its condition is false"]
    );
    assert_eq!(
        words(&run(conditional("steps.one.rows > 2"), json!({}), &[("one", Succeeded)])),
        ["fail two: the condition of `two` cannot be evaluated: `steps.one.rows` has no value here"]
    );
    // Without a word about states it implies that the needs succeeded.
    assert_eq!(
        words(&run(conditional("1 < 2"), json!({}), &[("one", Failed)])),
        ["skip two: `one`, which it needs, is failed"]
    );
}

#[test]
fn finally_runs_last_whatever_became_of_the_rest() {
    use StepState::{Failed, Skipped, Succeeded};
    let cleanup = || json!({"cleanup": {"needs": []}});
    assert_eq!(
        words(&run(two_after_one(), cleanup(), &[("one", Failed), ("two", Skipped)])),
        ["start cleanup"]
    );
    let over = run(two_after_one(), cleanup(), &[("one", Failed), ("two", Skipped), ("cleanup", Succeeded)]);
    assert_eq!(words(&over), ["finish failed"]);
}

#[test]
fn a_cancelled_run_stops_what_has_not_begun_and_still_cleans_up() {
    let mut cancelled = run(two_after_one(), json!({"cleanup": {"needs": []}}), &[]);
    cancelled.cancel_requested = true;
    assert_eq!(words(&cancelled), ["cancel one", "cancel two"]);
    for name in ["one", "two"] {
        cancelled.steps.get_mut(&name.parse::<StepId>().unwrap()).unwrap().state = StepState::Cancelled;
    }
    assert_eq!(words(&cancelled), ["start cleanup"]);
}

#[test]
fn a_retry_waits_for_its_time() {
    let mut waiting = run(two_after_one(), json!({}), &[("one", StepState::Retrying)]);
    waiting.steps[0].retry_at = Some(150);
    assert_eq!(words(&waiting), ["wake at 150"]);
    waiting.steps[0].retry_at = Some(100);
    assert_eq!(words(&waiting), ["start one"]);
}

/// A run with one step that has items in these states.
fn mapped(mapping: Value, states: &[StepState]) -> RunSnapshot {
    let mut run =
        run(json!({"one": {"needs": [], "mapping": mapping}}), json!({}), &[("one", StepState::Running)]);
    let mut items = Items::new(vec![Value::Null; states.len()]);
    for (item, state) in (0..).zip(states) {
        items.update(item, |run| run.state = *state);
    }
    run.steps[0].items = Some(Box::new(items));
    run
}

fn over_list() -> Value {
    json!({"over": {"foreach": ["a", "b"]}})
}

#[test]
fn a_step_with_a_list_is_expanded_when_its_needs_are_over() {
    let steps = |list: &str| json!({"one": {"needs": []}, "two": {"needs": ["one"], "mapping": {"over": {"foreach": list}}}});
    let mut ready = run(steps("${{ steps.one.files }}"), json!({}), &[("one", StepState::Succeeded)]);
    assert_eq!(
        words(&ready),
        ["fail two: the items of `two` cannot be told: `steps.one.files` has no value here"]
    );
    let outputs = [("files".to_owned(), json!(["x", "y"]))].into_iter().collect();
    ready.steps[0].outcome = Some(millrace_contract::StepOutcome { outputs, ..Default::default() });
    assert_eq!(words(&ready), [r#"expand two: ["x","y"]"#]);
    ready.paused = true;
    assert_eq!(words(&ready), Vec::<String>::new());
}

#[test]
fn items_begin_in_order_and_no_more_than_may_run() {
    use StepState::{Pending, Running, Succeeded};
    let states = [Succeeded, Running, Pending, Pending, Pending, Pending];
    assert_eq!(words(&mapped(over_list(), &states)), ["start one[2]", "start one[3]"]);
    let two = json!({"over": {"foreach": []}, "parallel": 2});
    assert_eq!(words(&mapped(two, &states)), ["start one[2]"]);
    assert_eq!(words(&mapped(over_list(), &[])), ["end one as succeeded"]);
}

#[test]
fn failures_of_items_are_counted_as_the_step_says() {
    use StepState::{Cached, Failed, Pending, Running, Succeeded};
    let with = |more: Value| {
        let mut mapping = over_list();
        mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mapping
    };
    let one_failed = [Failed, Running, Pending];
    assert_eq!(words(&mapped(over_list(), &one_failed)), ["start one[2]"]);
    assert_eq!(words(&mapped(with(json!({"max_failures": 1})), &one_failed)), ["start one[2]"]);
    assert_eq!(
        words(&mapped(with(json!({"max_failures": 0})), &one_failed)),
        ["close one as skipped: 1 items had failed"]
    );
    assert_eq!(
        words(&mapped(with(json!({"fail_fast": true})), &one_failed)),
        ["close one as skipped: 1 items had failed", "stop one"]
    );
    let over = [Failed, Succeeded, Cached];
    assert_eq!(words(&mapped(over_list(), &over)), ["end one as failed: 1 of the 3 items of `one` failed"]);
    assert_eq!(words(&mapped(with(json!({"max_failures": 1})), &over)), ["end one as succeeded"]);
    assert_eq!(words(&mapped(over_list(), &[Cached, Cached])), ["end one as cached"]);
}

#[test]
fn cancelling_ends_items_that_have_not_begun() {
    use StepState::{Cancelled, Pending, Running, Succeeded};
    let mut run = mapped(over_list(), &[Succeeded, Running, Pending]);
    run.cancel_requested = true;
    assert_eq!(words(&run), ["close one as cancelled: the run was cancelled"]);
    let mut run = mapped(over_list(), &[Succeeded, Cancelled, Cancelled]);
    run.cancel_requested = true;
    assert_eq!(words(&run), ["end one as cancelled"]);
}

#[test]
fn a_held_run_begins_nothing() {
    let mut held = run(two_after_one(), json!({}), &[("one", StepState::Succeeded)]);
    held.paused = true;
    assert_eq!(words(&held), Vec::<String>::new());
    held.cancel_requested = true;
    assert_eq!(words(&held), ["cancel two"]);
}

fn any_state() -> impl Strategy<Value = StepState> {
    prop_oneof![
        Just(StepState::Pending),
        Just(StepState::Running),
        Just(StepState::Retrying),
        Just(StepState::Succeeded),
        Just(StepState::Cached),
        Just(StepState::Failed),
        Just(StepState::TimedOut),
        Just(StepState::Skipped),
        Just(StepState::Cancelled),
    ]
}

proptest! {
    /// Whatever happens to the steps that run, every run comes to an end, and no step starts before its needs are over.
    #[test]
    fn every_run_ends(
        edges in proptest::collection::vec((0_usize..6, 0_usize..6), 0..12),
        outcomes in proptest::collection::vec(any_state(), 6),
        cancel_after in 0_usize..12,
    ) {
        let mut steps = serde_json::Map::new();
        for step in 0..6 {
            let needs: Vec<String> = edges.iter().filter(|(a, b)| *a == step && b < a).map(|(_, b)| format!("s{b}")).collect();
            steps.insert(format!("s{step}"), json!({"needs": needs}));
        }
        let mut run = run(Value::Object(steps), json!({"cleanup": {"needs": []}}), &[]);
        let mut finished = None;
        for round in 0..40 {
            run.cancel_requested |= round == cancel_after;
            for decision in decide(&run, 100, 3) {
                match decision {
                    Decision::Start { step } => {
                        let step = step.step;
                        if let Some(definition) = run.pipeline.steps.get(&step) {
                            for need in &definition.needs {
                                prop_assert!(run.steps[need].state.is_success());
                            }
                        }
                        let number = step.as_str().strip_prefix('s').and_then(|n| n.parse::<usize>().ok());
                        let wanted = number.map_or(StepState::Succeeded, |n| outcomes[n]);
                        run.steps[&step].state = if wanted.is_final() { wanted } else { StepState::Succeeded };
                    }
                    Decision::Skip { step, .. } => run.steps[&step].state = StepState::Skipped,
                    Decision::CancelStep { step } => run.steps[&step].state = StepState::Cancelled,
                    Decision::Fail { step, .. } => run.steps[&step].state = StepState::Failed,
                    Decision::WakeAt { .. } => {}
                    other @ (Decision::Expand { .. }
                    | Decision::CloseItems { .. }
                    | Decision::StopItems { .. }
                    | Decision::EndItems { .. }) => prop_assert!(false, "{:?} of a run without items", other),
                    Decision::Finish { state } => finished = Some(state),
                }
            }
            if finished.is_some() {
                break;
            }
        }
        prop_assert!(finished.is_some());
        prop_assert!(run.steps.values().all(|step| step.state.is_final()));
    }
}
