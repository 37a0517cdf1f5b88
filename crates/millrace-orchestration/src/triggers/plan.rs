//! What is to be looked at when: every trigger of every pipeline, and a heap of their next moments.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_metastore::schedules::TriggerStateRow;
use millrace_spec::pipeline::Pipeline;
use millrace_spec::schedule::{Calendars, Schedule};
use millrace_spec::triggers::Trigger;
use serde_json::Value;

use super::expectation::PlannedEvent;
use crate::windows::{PlannedWindow, instant, planned_windows};

/// A trigger with instants.
#[derive(Debug, Clone)]
pub(super) struct PlannedSchedule {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) trigger: String,
    pub(super) word: &'static str,
    pub(super) inputs: IndexMap<String, Value>,
    pub(super) schedule: Arc<Schedule>,
}

impl PlannedSchedule {
    /// `pipeline/trigger`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.pipeline.name, self.trigger)
    }
}

/// A trigger that is looked at when its time comes.
#[derive(Debug, Clone)]
pub(super) enum Planned {
    Schedule(PlannedSchedule),
    Window(Arc<PlannedWindow>),
    Event(PlannedEvent),
}

/// All of them.
#[derive(Default)]
pub(super) struct Plan {
    /// The files that it was made from.
    pub(super) stamp: Option<u64>,
    triggers: Vec<Planned>,
    windows: Arc<Vec<PlannedWindow>>,
    /// Where those with windows and those with events are among all: they are asked for whenever a run ends, however many schedules
    /// there are.
    with_windows: Vec<usize>,
    with_events: Vec<usize>,
    /// When each is to be looked at.
    moments: Vec<Option<Timestamp>>,
    heap: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

impl Plan {
    /// Plans the triggers of some pipelines. Also gives the states to be stored of those that are new or have another rule: they owe
    /// nothing for the past.
    pub(super) fn new(
        pipelines: Vec<Pipeline>,
        calendars: &Calendars,
        zone: &str,
        states: &[TriggerStateRow],
        now: Timestamp,
    ) -> (Self, Vec<TriggerStateRow>) {
        let known: HashMap<(&str, &str), &TriggerStateRow> =
            states.iter().map(|state| ((&*state.pipeline, &*state.trigger), state)).collect();
        let mut plan = Self::default();
        let mut changed = Vec::new();
        let windows = planned_windows(&pipelines, zone);
        for window in &windows {
            plan.add(Planned::Window(Arc::new(window.clone())), Some(now));
        }
        for pipeline in pipelines.into_iter().map(Arc::new) {
            for (name, trigger) in &pipeline.triggers {
                if let Some(event) = PlannedEvent::of(&pipeline, name, trigger, zone) {
                    plan.add(Planned::Event(event), Some(now));
                }
                let Some(planned) = plan_schedule(&pipeline, name, trigger, zone, calendars) else {
                    continue;
                };
                let schedule = &planned.schedule;
                let state = known.get(&(pipeline.name.as_str(), name.as_str()));
                let moment = match state.filter(|state| state.rule == schedule.text) {
                    Some(state) => schedule.next(instant(state.checked_until)),
                    None => {
                        let next = schedule.next(now);
                        changed.push(first_state(&planned, next, now));
                        next
                    }
                };
                let moment = moment.map(|at| schedule.begins(at));
                plan.add(Planned::Schedule(planned), moment);
            }
        }
        plan.windows = Arc::new(windows);
        (plan, changed)
    }

    fn add(&mut self, planned: Planned, moment: Option<Timestamp>) {
        let index = self.triggers.len();
        match &planned {
            Planned::Window(_) => self.with_windows.push(index),
            Planned::Event(_) => self.with_events.push(index),
            Planned::Schedule(_) => {}
        }
        self.triggers.push(planned);
        self.moments.push(None);
        self.schedule(index, moment);
    }

    /// Says when a trigger is to be looked at next.
    pub(super) fn schedule(&mut self, index: usize, moment: Option<Timestamp>) {
        let Some(kept) = self.moments.get_mut(index) else { return };
        *kept = moment;
        self.heap.extend(moment.map(|at| Reverse((at, index))));
    }

    /// The trigger that has been due for longest. Its moment is forgotten.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<usize> {
        while let Some(Reverse((at, index))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            // Another moment was set meanwhile.
            if self.moments.get(index) == Some(&Some(at)) {
                self.schedule(index, None);
                return Some(index);
            }
        }
        None
    }

    /// The next moment of all.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn get(&self, index: usize) -> Option<Planned> {
        self.triggers.get(index).cloned()
    }

    pub(super) fn window(&self, index: usize) -> Option<Arc<PlannedWindow>> {
        match self.triggers.get(index) {
            Some(Planned::Window(window)) => Some(window.clone()),
            _ => None,
        }
    }

    /// Every trigger with windows.
    pub(super) fn windows(&self) -> Arc<Vec<PlannedWindow>> {
        self.windows.clone()
    }

    /// `pipeline/trigger`.
    pub(super) fn name(&self, index: usize) -> String {
        match self.triggers.get(index) {
            Some(Planned::Schedule(schedule)) => schedule.name(),
            Some(Planned::Window(window)) => format!("{}/{}", window.pipeline.name, window.trigger),
            Some(Planned::Event(event)) => event.name(),
            None => String::new(),
        }
    }

    /// Has the triggers looked at now that wait for events.
    pub(super) fn look_at_events(&mut self) {
        for index in self.with_events.clone() {
            self.schedule(index, Some(Timestamp::MIN));
        }
    }

    /// Has the windows looked at now that a test picks.
    pub(super) fn look_at_windows(&mut self, test: impl Fn(&PlannedWindow) -> bool) {
        for index in self.with_windows.clone() {
            if self.window(index).is_some_and(|window| test(&window)) {
                self.schedule(index, Some(Timestamp::MIN));
            }
        }
    }
}

/// Whether the end of a run of a pipeline may move a window: one of its own, or one that waits for them.
pub(super) fn concerns(window: &PlannedWindow, pipeline: &str) -> bool {
    let parents = window.window.after.iter().filter_map(|dependency| dependency.pipeline.as_ref());
    window.pipeline.name.as_str() == pipeline || parents.into_iter().any(|parent| parent.as_str() == pipeline)
}

fn plan_schedule(
    pipeline: &Arc<Pipeline>,
    name: &str,
    trigger: &Trigger,
    zone: &str,
    calendars: &Calendars,
) -> Option<PlannedSchedule> {
    let id = format!("{}/{name}", pipeline.name);
    match Schedule::of(&id, trigger, zone, calendars)? {
        Ok(schedule) => Some(PlannedSchedule {
            pipeline: pipeline.clone(),
            trigger: name.to_owned(),
            word: if trigger.word() == "every" { "recurrence" } else { trigger.word() },
            inputs: trigger.inputs().clone(),
            schedule: Arc::new(schedule),
        }),
        Err(problem) => {
            tracing::error!(trigger = id, "a trigger is left out: {}", problem.message);
            None
        }
    }
}

fn first_state(planned: &PlannedSchedule, next: Option<Timestamp>, now: Timestamp) -> TriggerStateRow {
    TriggerStateRow {
        pipeline: planned.pipeline.name.to_string(),
        trigger: planned.trigger.clone(),
        rule: planned.schedule.text.clone(),
        checked_until: now.as_microsecond(),
        next_at: next.map(|at| planned.schedule.begins(at).as_microsecond()),
        ..TriggerStateRow::default()
    }
}
