//! What was imported, is exported, and is imported again, is the same.

use std::collections::HashMap;

use millrace_convert::{Importer, SourceFile, to_azureml, to_data_factory};
use millrace_spec::pipeline::Pipeline;
use serde_json::Value;

use crate::{azureml, data_factory, pipelines};

/// A pipeline without the places where its parts stand.
fn facts(pipeline: &Pipeline) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.shift_remove("place");
                fields.values_mut().for_each(forget);
            }
            Value::Array(items) => items.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let mut facts = serde_json::to_value(pipeline).unwrap();
    forget(&mut facts);
    facts
}

fn check(first: &[Pipeline], again: &[Pipeline]) {
    let names = |all: &[Pipeline]| {
        let mut names: Vec<String> = all.iter().map(|pipeline| pipeline.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(first), names(again));
    for pipeline in first {
        let same = again.iter().find(|other| other.name == pipeline.name).unwrap();
        let (before, after) = (facts(pipeline), facts(same));
        let lines = |value: &Value| -> Vec<String> {
            serde_json::to_string_pretty(value).unwrap().lines().map(str::to_owned).collect()
        };
        let (before, after) = (lines(&before), lines(&after));
        let differs = before.iter().zip(&after).position(|(before, after)| before != after);
        let from = differs.unwrap_or_else(|| before.len().min(after.len())).saturating_sub(6);
        let part =
            |lines: &[String]| lines.iter().skip(from).take(14).cloned().collect::<Vec<_>>().join("\n");
        assert!(before == after, "{}:\n{}\n--- became\n{}", pipeline.name, part(&before), part(&after));
    }
}

#[test]
fn a_data_factory_goes_back_and_comes_again() {
    let first = pipelines(&data_factory());
    assert!(first.len() >= 5, "{}", first.len());
    let files: Vec<SourceFile> = first
        .iter()
        .flat_map(|pipeline| to_data_factory(pipeline).files)
        .map(|(path, text)| SourceFile { path, text })
        .collect();
    let again = Importer::default().data_factory(&files).unwrap();
    check(&first, &pipelines(&again));
}

#[test]
fn azure_ml_goes_back_and_comes_again() {
    let paths = ["azureml/pipeline.yml", "azureml/nightly.schedule.yml"];
    let first = pipelines(&azureml(&paths));
    let files: Vec<(String, String)> =
        first.iter().flat_map(|pipeline| to_azureml(pipeline, "..").files).collect();
    let beside: HashMap<String, String> = files.iter().cloned().collect();
    let files: Vec<SourceFile> =
        files.into_iter().map(|(path, text)| SourceFile { path: format!("out/{path}"), text }).collect();
    let read = |_: &str, name: &str| beside.get(name.trim_start_matches("./")).cloned();
    let again = Importer::default().azureml(&files, &read).unwrap();
    check(&first, &pipelines(&again));
}
