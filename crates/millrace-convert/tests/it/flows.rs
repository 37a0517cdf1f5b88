//! Mapping data flows: what each transformation and each family of functions becomes, and what is said of what cannot be mapped.

use millrace_convert::{Converted, Importer, Outcome, SourceFile};

use super::{folder, source, told_of};

fn imported(files: &[&str]) -> Converted {
    let files: Vec<SourceFile> =
        files.iter().map(|file| source(&format!("adf_flows/dataflow/{file}.json"))).collect();
    Importer::default().data_factory(&files).unwrap()
}

fn said(files: &[&str]) -> String {
    told_of(&imported(files))
}

#[test]
fn rows_are_filtered_derived_joined_split_and_counted() {
    insta::assert_snapshot!(said(&["Clean Orders"]));
}

#[test]
fn lists_pivots_windows_and_lookups_come_here() {
    insta::assert_snapshot!(said(&["shapes"]));
}

#[test]
fn assertions_texts_with_json_and_acts_come_here() {
    insta::assert_snapshot!(said(&["checks"]));
}

#[test]
fn column_patterns_come_here() {
    insta::assert_snapshot!(said(&["patterns"]));
}

#[test]
fn flowlets_come_here() {
    insta::assert_snapshot!(said(&["Trim Names", "flowlet user"]));
}

#[test]
fn functions_come_here() {
    insta::assert_snapshot!(said(&["functions"]));
}

#[test]
fn what_has_no_counterpart_fails_where_it_is() {
    let converted = imported(&["missing"]);
    insta::assert_snapshot!(told_of(&converted));
    let places = converted.findings.iter().filter(|finding| finding.outcome == Outcome::NoCounterpart);
    assert!(places.clone().count() > 4 && places.into_iter().all(|finding| finding.place.is_some()));
}

#[test]
fn a_pipeline_executes_a_data_flow_with_its_data() {
    let mut files = Vec::new();
    for part in ["pipeline", "dataflow", "dataset", "linkedService"] {
        let mut names: Vec<_> = std::fs::read_dir(folder().join("adf_flows").join(part)).unwrap().collect();
        names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        for entry in names {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if part != "dataflow" || name == "Clean Orders.json" {
                files.push(source(&format!("adf_flows/{part}/{name}")));
            }
        }
    }
    let mut converted = Importer::default().data_factory(&files).unwrap();
    converted.files.retain(|(path, _)| path.starts_with("pipelines/"));
    converted
        .findings
        .retain(|finding| finding.place.as_ref().is_none_or(|place| !place.file.contains("dataflow/")));
    insta::assert_snapshot!(told_of(&converted));
}

#[test]
fn a_script_that_cannot_be_read_is_told_with_its_place() {
    let text = "{\"name\": \"x\", \"properties\": {\"type\": \"MappingDataFlow\", \"typeProperties\": {\"scriptLines\": [\n  \"source(output(a as string)) ~> s\",\n  \"s filter(a == ) ~> t\"\n]}}}";
    let file = SourceFile { path: "x.json".to_owned(), text: text.to_owned() };
    let problem = Importer::default().data_factory(&[file]).unwrap_err();
    let place = problem.place.clone().unwrap();
    assert_eq!((problem.code.as_str(), place.line, place.column), ("data-flow-script", 3, 18));
    assert!(problem.message.ends_with("a value is expected here, not `)`"), "{}", problem.message);
}
