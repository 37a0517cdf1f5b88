//! What the check knows about a step that builds SQL models: whether its selections fit any.

use millrace_spec::check::StepKindFacts;
use millrace_spec::pipeline::Step;
use millrace_spec::sql_models::Selection;
use millrace_transform::sql_models::read_project;
use serde_json::Value;

use super::Workspace;

/// Adds problems. What is wrong with a model itself has its own check.
pub(super) fn add_facts(workspace: &Workspace, step: &Step, facts: &mut StepKindFacts) {
    let Ok(project) = read_project(&workspace.root) else { return };
    let text = |field: &str| step.config.get(field).and_then(Value::as_str);
    let selections = [("", step.config.as_str()), ("/select", text("select")), ("/exclude", text("exclude"))];
    for (pointer, selection) in selections {
        let Some(selection) = selection.filter(|selection| !selection.contains("${{")) else { continue };
        // One that cannot be read is told by its kind.
        let Ok(selection) = Selection::parse(&[selection.to_owned()]) else { continue };
        if let Err(problem) = selection.models(&project) {
            facts.problems.push((pointer.to_owned(), *problem));
        }
    }
}
