//! Files in the shape of others' examples, what becomes of them, and what is said to be missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use millrace_convert::{Converted, Importer, SourceFile, to_azureml, to_data_factory};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn source(path: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: std::fs::read_to_string(folder().join(path)).unwrap() }
}

fn importer() -> Importer {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Importer { kinds: words(&["run", "sql", "copy", "set"]), triggers: words(&["cron"]) }
}

/// The files, then what is missing with its place.
fn shown(converted: &Converted) -> String {
    let mut text = String::new();
    for (path, content) in &converted.files {
        text.push_str(&format!("== {path}\n{content}"));
    }
    for gap in &converted.gaps {
        let place = gap.place.as_ref().map(|place| format!("{}:{}:{}", place.file, place.line, place.column));
        text.push_str(&format!("-- {}: {}\n", place.unwrap_or_default(), gap.message));
        // Each stands in a file as well, where it is missing.
        let said = |(_, content): &(String, String)| content.contains(&gap.message);
        assert!(converted.files.iter().any(said), "{}", gap.message);
    }
    text
}

fn azureml(path: &str) -> Converted {
    let beside = |name: &str| {
        std::fs::read_to_string(folder().join("azureml").join(name.trim_start_matches("./"))).ok()
    };
    importer().azureml(&source(path), &beside).unwrap()
}

#[test]
fn an_azure_ml_pipeline_comes_here() {
    insta::assert_snapshot!(shown(&azureml("azureml/pipeline.yml")), @"");
}

#[test]
fn what_azure_ml_alone_has_is_listed() {
    insta::assert_snapshot!(shown(&azureml("azureml/sweep.yml")), @"");
}

#[test]
fn a_data_factory_comes_here() {
    let files = [
        "pipeline/nightly",
        "trigger/daily",
        "trigger/arrived",
        "dataset/orders_table",
        "dataset/orders_file",
        "linkedService/Lake",
    ];
    let files: Vec<SourceFile> = files.iter().map(|name| source(&format!("adf/{name}.json"))).collect();
    insta::assert_snapshot!(shown(&importer().data_factory(&files).unwrap()), @"");
    insta::assert_snapshot!(shown(&importer().data_factory(&[source("adf_template.json")]).unwrap()), @"");
}

#[test]
fn a_dbt_project_comes_here() {
    insta::assert_snapshot!(shown(&importer().dbt(&source("manifest.json")).unwrap()), @"");
}

#[test]
fn a_workflow_of_github_comes_here() {
    insta::assert_snapshot!(shown(&importer().github(&source("workflow.yml")).unwrap()), @"");
}

#[test]
fn what_is_none_of_them_is_refused() {
    let file = SourceFile { path: "x.yml".to_owned(), text: "a: 1\n".to_owned() };
    let importer = importer();
    for refused in [
        importer.azureml(&file, &|_| None),
        importer.github(&file),
        importer.dbt(&file),
        importer.data_factory(std::slice::from_ref(&file)),
    ] {
        assert_eq!(refused.unwrap_err().code, "import-format");
    }
}

const OURS: &str = r#"
inputs: {day: "2026-03-01", rows: {type: folder}}
triggers:
  daily: {cron: "30 6 * * mon-fri", timezone: Europe/Berlin}
  odd: {cron: "0 0 * * 5#2"}
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
  sums: {sql: select 1 as one}
finally:
  tell: {run: echo done}
"#;

#[test]
fn a_pipeline_goes_there_as_far_as_it_can() {
    let kinds = ["run", "python", "sql"];
    let pipeline = millrace_spec::load::pipeline("pipelines/churn.yaml", OURS, &kinds).unwrap().pipeline;
    let said = |converted: Converted| {
        let files: String = converted.files.iter().map(|(path, text)| format!("== {path}\n{text}")).collect();
        let gaps: Vec<String> = converted.gaps.into_iter().map(|gap| gap.message).collect();
        format!("{files}-- {}", gaps.join("\n-- "))
    };
    insta::assert_snapshot!(said(to_azureml(&pipeline)), @"");
    insta::assert_snapshot!(said(to_data_factory(&pipeline)), @"");
}
