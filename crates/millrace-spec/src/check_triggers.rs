//! What can be known about triggers when the rest of the workspace is there: calendars, and the windows that windows wait for.

use crate::check::Surroundings;
use crate::check_events;
use crate::load::LoadedPipeline;
use crate::period::Period;
use crate::pipeline::Pipeline;
use crate::problem::{Place, Problem};
use crate::suggest::nearest;
use crate::triggers::{Dependency, Trigger, Window};
use crate::yaml::{Node, NodeValue};

/// Names of `window` in expressions.
pub(crate) const WINDOW_VALUES: &[&str] = &["start", "end", "attempt"];

pub(crate) fn check(loaded: &LoadedPipeline, surroundings: &dyn Surroundings) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, trigger) in &loaded.pipeline.triggers {
        let Some(node) = loaded.tree.get("triggers").and_then(|node| node.get(name)) else { continue };
        problems.extend(unknown_inputs(&loaded.pipeline, trigger, node));
        problems.extend(unknown_calendar(trigger, node, surroundings));
        if let Trigger::Event(event) = trigger {
            problems.extend(check_events::check(&loaded.pipeline, name, &event.source, node, surroundings));
        }
        if let Some(window) = trigger.window().filter(|window| !window.after.is_empty()) {
            let others = surroundings.pipelines();
            let others = others.as_deref().unwrap_or_default();
            problems.extend(unknown_dependencies(&loaded.pipeline, window, node, others));
            problems.extend(cycle(&loaded.pipeline, window, node, others));
        }
    }
    problems
}

fn unknown_inputs(pipeline: &Pipeline, trigger: &Trigger, node: &Node) -> Vec<Problem> {
    let known: Vec<&str> = pipeline.inputs.keys().map(String::as_str).collect();
    let unknown = trigger.inputs().keys().filter(|name| !known.contains(&name.as_str()));
    let problem = |name: &String| {
        let fields = node.get("inputs").and_then(Node::as_map).unwrap_or_default();
        let key = fields.iter().find(|(key, _)| key.name == *name);
        let place = key.map_or_else(|| node.place.clone(), |(key, _)| key.place.clone());
        let problem =
            Problem::error("unknown-input", format!("the pipeline has no input `{name}`")).at(place);
        match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("add it: `inputs: {{{name}: …}}`")),
        }
    };
    unknown.map(problem).collect()
}

fn unknown_calendar(trigger: &Trigger, node: &Node, surroundings: &dyn Surroundings) -> Option<Problem> {
    let name = trigger.calendar()?;
    let known = surroundings.calendars()?;
    if known.iter().any(|calendar| calendar == name) {
        return None;
    }
    let place = node.get("calendar").map_or(&node.place, |node| &node.place).clone();
    let problem = Problem::error("unknown-calendar", format!("there is no calendar `{name}`")).at(place);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Some(match nearest(name, &known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("write `calendars/{name}.yaml`, for example `except: [sat, sun]`")),
    })
}

fn unknown_dependencies(
    pipeline: &Pipeline,
    window: &Window,
    node: &Node,
    others: &[Pipeline],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let known: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
    for (index, dependency) in window.after.iter().enumerate() {
        let Some(name) = &dependency.pipeline else { continue };
        let place = place_of_item(node, index, "pipeline");
        let found = if *name == pipeline.name {
            Some(pipeline)
        } else {
            others.iter().find(|other| other.name == *name)
        };
        match found {
            None if known.is_empty() => {}
            None => {
                let problem = Problem::error("unknown-pipeline", format!("there is no pipeline `{name}`"));
                let problem = problem.at(place);
                problems.push(match nearest(name.as_str(), &known) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.note(format!("pipelines are {}", known.join(", "))),
                });
            }
            Some(other) => {
                if let Err(message) = parent_trigger(other, dependency) {
                    problems.push(Problem::error("no-windows", message).at(place));
                }
            }
        }
    }
    problems
}

/// The trigger whose windows a dependency waits for.
///
/// # Errors
/// Why there is none.
pub fn parent_trigger<'p>(
    parent: &'p Pipeline,
    dependency: &Dependency,
) -> Result<(&'p str, &'p Window), String> {
    let mut windows =
        parent.triggers.iter().filter_map(|(name, trigger)| Some((name.as_str(), trigger.window()?)));
    match &dependency.trigger {
        Some(wanted) => windows
            .find(|(name, _)| name == wanted)
            .ok_or_else(|| format!("the pipeline `{}` has no trigger `{wanted}` with windows", parent.name)),
        None => windows
            .next()
            .ok_or_else(|| format!("the pipeline `{}` has no trigger with windows", parent.name)),
    }
}

/// Says that windows would wait for each other for ever. A dependency on the past alone closes no circle.
fn cycle(pipeline: &Pipeline, window: &Window, node: &Node, others: &[Pipeline]) -> Option<Problem> {
    let mut path = vec![pipeline.name.to_string()];
    for (index, dependency) in window.after.iter().enumerate() {
        let Some(parent) = waits_for(window, dependency) else { continue };
        if parent == pipeline.name.as_str() || leads_to(parent, pipeline.name.as_str(), others, &mut path) {
            if path.len() == 1 {
                path.push(parent.to_owned());
            }
            let shown = path.join(" → ");
            let problem =
                Problem::error("window-cycle", format!("these windows wait for each other: {shown}"));
            let problem = problem.at(place_of_item(node, index, "pipeline"));
            return Some(problem.hint("take one of them away, or wait for an earlier window: `offset: -1d`"));
        }
    }
    None
}

/// The pipeline whose windows at or after its own beginning a window waits for.
fn waits_for<'d>(window: &Window, dependency: &'d Dependency) -> Option<&'d str> {
    let offset = dependency.offset.unwrap_or(Period::ZERO).nominal_ms();
    let size = dependency.size.unwrap_or(window.window).nominal_ms();
    (offset + size > 0).then_some(dependency.pipeline.as_ref()?.as_str())
}

fn leads_to(from: &str, wanted: &str, others: &[Pipeline], path: &mut Vec<String>) -> bool {
    if path.iter().any(|name| name == from) {
        return false;
    }
    path.push(from.to_owned());
    let Some(pipeline) = others.iter().find(|other| other.name.as_str() == from) else {
        path.pop();
        return false;
    };
    for window in pipeline.triggers.values().filter_map(Trigger::window) {
        for parent in window.after.iter().filter_map(|dependency| waits_for(window, dependency)) {
            if parent == wanted {
                path.push(wanted.to_owned());
                return true;
            }
            if leads_to(parent, wanted, others, path) {
                return true;
            }
        }
    }
    path.pop();
    false
}

fn place_of_item(node: &Node, index: usize, key: &str) -> Place {
    let item = match node.get("after").map(|after| &after.value) {
        Some(NodeValue::List(items)) => items.get(index),
        _ => None,
    };
    item.map_or(&node.place, |item| item.get(key).map_or(&item.place, |value| &value.place)).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::StepKindFacts;
    use crate::load;
    use crate::pipeline::Step;

    struct Workspace(Vec<Pipeline>);

    impl Surroundings for Workspace {
        fn kind(&self, _: &Step) -> Option<StepKindFacts> {
            None
        }

        fn exists(&self, _: &str) -> bool {
            true
        }

        fn secrets(&self) -> Option<Vec<String>> {
            None
        }

        fn calendars(&self) -> Option<Vec<String>> {
            Some(vec!["holidays".to_owned()])
        }

        fn pipelines(&self) -> Option<Vec<Pipeline>> {
            Some(self.0.clone())
        }
    }

    fn pipeline(name: &str, trigger: &str) -> LoadedPipeline {
        let text = format!("triggers:\n  t: {trigger}\nsteps: {{a: {{run: echo}}}}\n");
        load::pipeline(&format!("pipelines/{name}.yaml"), &text, &["run"]).unwrap()
    }

    fn problems(trigger: &str, others: &[(&str, &str)]) -> Vec<String> {
        let others = others.iter().map(|(name, trigger)| pipeline(name, trigger).pipeline).collect();
        let found = check(&pipeline("mine", trigger), &Workspace(others));
        let line = |problem: Problem| {
            let place = problem.place.unwrap();
            format!("{}:{}: {}", place.line, place.column, problem.message)
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn what_a_trigger_names_must_be_there() {
        assert_eq!(
            problems("{cron: '0 6 * * *', calendar: holydays}", &[]),
            ["2:36: there is no calendar `holydays`"]
        );
        assert_eq!(
            problems("{cron: '0 6 * * *', inputs: {region: eu}}", &[]),
            ["2:35: the pipeline has no input `region`"]
        );
        let daily = "{window: 1d, from: 2026-01-01}";
        let after = |name: &str| format!("{{window: 1d, from: 2026-01-01, after: [{{pipeline: {name}}}]}}");
        assert_eq!(problems(&after("ingets"), &[("ingest", daily)]), ["2:56: there is no pipeline `ingets`"]);
        assert_eq!(
            problems(&after("ingest"), &[("ingest", "{cron: '0 6 * * *'}")]),
            ["2:56: the pipeline `ingest` has no trigger with windows"]
        );
        assert_eq!(problems(&after("ingest"), &[("ingest", daily)]), [""; 0]);
    }

    #[test]
    fn schedule_window_dependencies_refuse_cycles() {
        let after = |name: &str, more: &str| {
            format!("{{window: 1d, from: 2026-01-01, after: [{{pipeline: {name}{more}}}]}}")
        };
        assert_eq!(
            problems(&after("a", ""), &[("a", &after("b", "")), ("b", &after("mine", ""))]),
            ["2:56: these windows wait for each other: mine → a → b → mine"]
        );
        assert_eq!(
            problems(&after("mine", ""), &[]),
            ["2:56: these windows wait for each other: mine → mine"]
        );
        // Yesterday's window of the other closes no circle.
        assert_eq!(problems(&after("a", ", offset: -1d"), &[("a", &after("mine", ""))]), [""; 0]);
    }
}
