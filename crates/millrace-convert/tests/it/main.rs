//! Files in the shape of others' examples, what becomes of them, and what is said of each thing in them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod flows;
mod round_trip;

use std::path::{Path, PathBuf};

use millrace_convert::{Converted, Importer, Outcome, SourceFile, shown, to_azureml, to_data_factory};
use millrace_spec::pipeline::Pipeline;
use millrace_spec::sql_models::{Project, ProjectFile};

const KINDS: [&str; 8] = ["run", "python", "sql", "copy", "set", "pipeline", "call", "flow"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn source(path: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: std::fs::read_to_string(folder().join(path)).unwrap() }
}

/// The files, then what is said of everything in the source.
fn told(converted: &Converted) -> String {
    pipelines(converted);
    told_of(converted)
}

/// The same of files that are not all pipelines.
fn told_of(converted: &Converted) -> String {
    let mut text = String::new();
    for (path, content) in &converted.files {
        text.push_str(&format!("== {path}\n{content}"));
    }
    for finding in converted.findings.iter().filter(|finding| finding.outcome != Outcome::TakenOver) {
        // Nothing is missing without its place, its reason, and, where it belongs to a pipeline, a comment.
        assert!(finding.place.is_some() && !finding.message.is_empty(), "{finding:?}");
    }
    format!("{text}-- what became of it\n{}\n", shown(converted))
}

/// Every file is a pipeline; what needs the rest of the workspace, `millrace check` is asked by the tests of the program.
fn pipelines(converted: &Converted) -> Vec<Pipeline> {
    let read = |(path, text): &(String, String)| {
        let loaded = millrace_spec::load::pipeline(path, text, &KINDS);
        loaded.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")).pipeline
    };
    converted.files.iter().map(read).collect()
}

fn azureml(paths: &[&str]) -> Converted {
    let files: Vec<SourceFile> = paths.iter().map(|path| source(path)).collect();
    let beside = |folder_name: &str, name: &str| {
        std::fs::read_to_string(folder().join(folder_name).join(name.trim_start_matches("./"))).ok()
    };
    Importer::default().azureml(&files, &beside).unwrap()
}

fn data_factory() -> Converted {
    let mut files = Vec::new();
    for part in ["pipeline", "trigger", "dataset", "linkedService"] {
        let mut names: Vec<_> = std::fs::read_dir(folder().join("adf").join(part)).unwrap().collect();
        names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        files.extend(
            names
                .into_iter()
                .map(|entry| source(&format!("adf/{part}/{}", entry.unwrap().file_name().to_string_lossy()))),
        );
    }
    Importer::default().data_factory(&files).unwrap()
}

#[test]
fn an_azure_ml_pipeline_comes_here() {
    let paths = ["azureml/pipeline.yml", "azureml/nightly.schedule.yml", "azureml/often.schedule.yml"];
    insta::assert_snapshot!(told(&azureml(&paths)));
}

#[test]
fn components_conditions_and_loops_of_azure_ml_come_here() {
    insta::assert_snapshot!(told(&azureml(&["azureml/nested/pipeline.yml"])));
}

#[test]
fn searches_of_azure_ml_come_here() {
    insta::assert_snapshot!(told(&azureml(&["azureml/search.yml"])));
}

#[test]
fn what_azure_ml_alone_has_is_listed() {
    insta::assert_snapshot!(told(&azureml(&["azureml/sweep.yml"])));
}

#[test]
fn a_data_factory_comes_here() {
    insta::assert_snapshot!(told(&data_factory()));
}

#[test]
fn a_template_of_a_data_factory_comes_here() {
    insta::assert_snapshot!(told(&Importer::default().data_factory(&[source("adf_template.json")]).unwrap()));
}

#[test]
fn a_dbt_project_comes_here() {
    let converted = Importer::default().dbt(&source("manifest.json")).unwrap();
    let is_model = |path: &&(String, String)| !path.0.starts_with("pipelines/");
    let files = converted.files.iter().filter(is_model);
    let files: Vec<_> =
        files.map(|(path, text)| ProjectFile { path: path.clone(), text: text.clone() }).collect();
    let project = Project::read(&files);
    assert_eq!(project.problems, [], "models that were made can be read");
    assert_eq!(project.models.len(), 7);
    insta::assert_snapshot!(told_of(&converted));
}

#[test]
fn workflows_of_github_come_here() {
    let files = [source("github/nightly.yml"), source("github/reuse.yml")];
    insta::assert_snapshot!(told(&Importer::default().github(&files).unwrap()));
}

#[test]
fn what_is_none_of_them_is_refused() {
    let file = SourceFile { path: "x.yml".to_owned(), text: "a: 1\n".to_owned() };
    let files = std::slice::from_ref(&file);
    let importer = Importer::default();
    for refused in [
        importer.azureml(files, &|_, _| None),
        importer.github(files),
        importer.dbt(&file),
        importer.data_factory(files),
    ] {
        assert_eq!(refused.unwrap_err().code, "import-format");
    }
}

const OURS: &str = r#"
inputs: {day: "2026-03-01", rows: {type: folder}}
triggers:
  daily: {cron: "30 6 * * mon-fri", timezone: Europe/Berlin}
  odd: {cron: "0 0 * * 5#2"}
  nights: {window: 1d, from: 2026-01-01, timezone: UTC, after: [{self: -1d}]}
  pushed: {git: origin}
steps:
  train:
    run: python train.py --rows "$MILLRACE_INPUT_ROWS" --model "$MILLRACE_OUTPUT_MODEL"
    inputs: {rows: "${{ inputs.rows }}"}
    outputs: {model: folder}
    timeout: 90s
    retry: 1
  score:
    python: score.py
    inputs: {model: "${{ steps.train.model }}"}
    if: failed()
  pause: {run: sleep 5, needs: score}
  sums: {sql: select 1 as one, if: "inputs.day | title == 'x'"}
finally:
  tell: {run: echo done}
"#;

#[test]
fn a_pipeline_goes_there_as_far_as_it_can() {
    let pipeline = millrace_spec::load::pipeline("pipelines/churn.yaml", OURS, &KINDS).unwrap().pipeline;
    let said = |converted: Converted| {
        let files: String = converted.files.iter().map(|(path, text)| format!("== {path}\n{text}")).collect();
        format!("{files}-- what became of it\n{}\n", shown(&converted))
    };
    insta::assert_snapshot!(said(to_azureml(&pipeline, "..")));
    insta::assert_snapshot!(said(to_data_factory(&pipeline)));
}
