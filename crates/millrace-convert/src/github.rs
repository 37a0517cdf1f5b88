//! Workflows of GitHub Actions.

mod events;
mod jobs;

use millrace_spec::problem::Problem;
use millrace_spec::yaml::{self, Node};

use crate::names::{Names, name_of};
use crate::report::{Report, not_a};
use crate::yaml_out::Map;
use crate::{Converted, Importer, SourceFile};

/// What workflows call each other by: the file's name and the workflow's, and the pipeline here.
type Workflows = Vec<(String, String, String)>;

pub(crate) fn import(importer: &Importer, files: &[SourceFile]) -> Result<Converted, Box<Problem>> {
    let mut trees = Vec::new();
    let mut workflows = Workflows::new();
    for file in files {
        let tree = yaml::parse(&file.path, &file.text)?;
        if tree.get("jobs").and_then(Node::as_map).is_none() {
            return Err(not_a("a workflow of GitHub Actions: it has no `jobs`", &tree));
        }
        let base = file.path.rsplit('/').next().unwrap_or(&file.path);
        let stem = base.split('.').next().unwrap_or("workflow");
        let title = tree.get("name").and_then(Node::as_text).unwrap_or(base);
        workflows.push((base.to_owned(), title.to_owned(), name_of(stem)));
        trees.push(tree);
    }
    let mut converted = Converted::default();
    let mut report = Report::default();
    for (tree, (_, title, name)) in trees.iter().zip(&workflows) {
        let text = workflow(importer, tree, title, name, &workflows, &mut report);
        converted.files.push((format!("pipelines/{name}.yaml"), text));
    }
    converted.findings = report.0;
    Ok(converted)
}

fn workflow(
    importer: &Importer,
    tree: &Node,
    title: &str,
    name: &str,
    workflows: &Workflows,
    report: &mut Report,
) -> String {
    let mut pipeline = Map::default();
    report.taken(&tree.place, format!("the workflow `{title}`"), format!("pipelines/{name}.yaml"));
    pipeline.comment(&format!("from {}, a workflow of GitHub Actions", tree.place.file));
    pipeline.put("pipeline", name);
    pipeline.put("description", title);
    let known = ["name", "run-name", "on", "jobs", "env", "defaults", "concurrency", "permissions"];
    report.others(tree, &known, "the workflow", &mut pipeline);
    if let Some(node) = tree.get("permissions") {
        let message = "`permissions` are those of GitHub's own token, which runs here do not have";
        report.gap(&node.place, &mut pipeline, message, None);
    }
    let (inputs, triggers) = events::events(importer, tree, workflows, report);
    pipeline.put_some("inputs", inputs);
    if let Some(node) = tree.get("concurrency") {
        events::concurrency(node, report, &mut pipeline);
    }
    pipeline.put_some("triggers", triggers);
    let jobs = tree.get("jobs").and_then(Node::as_map).unwrap_or_default();
    let mut names = Names::default();
    for (key, _) in jobs {
        names.give(&key.name);
    }
    let mut maker = jobs::Maker { importer, tree, workflows, names, report, steps: Map::default() };
    for (key, job) in jobs {
        maker.job(key, job);
    }
    pipeline.put("steps", maker.steps);
    pipeline.text()
}

/// Expressions over inputs, secrets, the matrix and a few facts; the first other one is refused.
fn expression(text: &str) -> Result<String, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((inner, tail)) = after.split_once("}}") else { break };
        let ours = path(inner.trim()).ok_or_else(|| format!("${{{{{inner}}}}}"))?;
        made.push_str(before);
        made.push_str(&format!("${{{{ {ours} }}}}"));
        rest = tail;
    }
    made.push_str(rest);
    Ok(made)
}

/// A name of theirs in our words.
fn path(name: &str) -> Option<String> {
    let is_word = |text: &&str| {
        !text.is_empty()
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    };
    let one = |prefix: &str| name.strip_prefix(prefix).filter(is_word);
    if let Some(input) = one("inputs.").or_else(|| one("github.event.inputs.")) {
        return Some(format!("inputs.{}", name_of(input)));
    }
    if let Some(secret) = one("secrets.").filter(|secret| *secret != "GITHUB_TOKEN") {
        return Some(format!("secrets.{}", name_of(secret)));
    }
    if let Some(axis) = one("matrix.") {
        return Some(format!("matrix.{}", name_of(axis)));
    }
    match name {
        "github.run_id" => Some("run.id".to_owned()),
        "github.workflow" => Some("run.pipeline".to_owned()),
        _ => None,
    }
}
