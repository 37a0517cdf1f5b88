//! What the check knows about a step that runs another pipeline: the outputs of that one, and whether it is given its inputs.

use millrace_spec::check::StepKindFacts;
use millrace_spec::load;
use millrace_spec::pipeline::{Pipeline, Step};
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;

use super::{Workspace, read};

/// Adds outputs and problems. The other file is only read, not checked: it has its own check, and may name this one.
pub(super) fn add_facts(workspace: &Workspace, step: &Step, facts: &mut StepKindFacts) {
    let Some(name) = step.config.as_str().filter(|name| !name.contains("${{")) else { return };
    let Some(file) = file_of(workspace, name) else {
        let names: Vec<String> = named(workspace).map(|(_, pipeline)| pipeline.name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let problem = Problem::error("unknown-pipeline", format!("there is no pipeline `{name}`"));
        facts.problems.push(match nearest(name, &names) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.note(format!("pipelines are {}", names.join(", "))),
        });
        return;
    };
    let Some(pipeline) = load_only(workspace, &file) else {
        facts.problems.push(
            Problem::error("invalid-pipeline", format!("`{file}` cannot be read"))
                .hint(format!("millrace check {file}")),
        );
        return;
    };
    let outputs = pipeline.outputs.keys().map(|name| (name.clone(), "json".to_owned()));
    facts.outputs.extend(outputs);
    check_inputs(step, &pipeline, facts);
}

fn check_inputs(step: &Step, pipeline: &Pipeline, facts: &mut StepKindFacts) {
    let known: Vec<&str> = pipeline.inputs.keys().map(String::as_str).collect();
    for name in step.inputs.keys().filter(|name| !known.contains(&name.as_str())) {
        let problem = Problem::error("unknown-input", format!("`{}` has no input `{name}`", pipeline.name));
        facts.problems.push(match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem.note("it has no inputs"),
            None => problem.note(format!("its inputs are {}", known.join(", "))),
        });
    }
    let required = pipeline.inputs.iter().filter(|(_, input)| input.default.is_none());
    for (name, _) in required.filter(|(name, _)| !step.inputs.contains_key(*name)) {
        facts.problems.push(
            Problem::error("missing-input", format!("`{}` needs its input `{name}`", pipeline.name))
                .hint(format!("add `inputs: {{{name}: …}}`")),
        );
    }
}

fn load_only(workspace: &Workspace, file: &str) -> Option<Pipeline> {
    let text = read(&workspace.root, file).ok()?;
    let kinds: Vec<&str> = workspace.kinds.keys().copied().collect();
    load::pipeline_with(file, &text, &kinds, workspace).ok().map(|loaded| loaded.pipeline)
}

fn named(workspace: &Workspace) -> impl Iterator<Item = (String, Pipeline)> + '_ {
    workspace.pipeline_files().into_iter().filter_map(|file| {
        let pipeline = load_only(workspace, &file)?;
        Some((file, pipeline))
    })
}

/// The file of a pipeline that is named by its path or its name.
fn file_of(workspace: &Workspace, name: &str) -> Option<String> {
    let path = name.trim_start_matches("./");
    if path.ends_with(".yaml") || path.ends_with(".yml") {
        return workspace.root.join(path).is_file().then(|| path.to_owned());
    }
    // Most files are named like their pipeline, which saves reading the others.
    let usual = format!("pipelines/{path}.yaml");
    if load_only(workspace, &usual).is_some_and(|pipeline| pipeline.name.as_str() == path) {
        return Some(usual);
    }
    named(workspace).find(|(_, pipeline)| pipeline.name.as_str() == path).map(|(file, _)| file)
}
