//! Datasets and models as users name, look into and compare them.

use insta::assert_snapshot;
use serde_json::json;

use crate::clients::drive;
use crate::project::Project;
use crate::server::Up;

const PIPELINE: &str = r#"
steps:
  rows: {copy: {from: raw.csv, to: "data:rows"}}
  parts:
    split: {data: "${{ steps.rows.data }}", fractions: {train: 0.8, test: 0.2}, seed: 1, to: rows}
  model:
    train: {data: "${{ steps.parts.train }}", target: late, trainer: {gradient_boosting: {trees: 20}}}
  quality:
    evaluate: {model: "${{ steps.model.model }}", data: "${{ steps.parts.test }}"}
  register:
    register: {model: "${{ steps.model.model }}", name: late, metrics: "${{ steps.quality.metrics }}"}
  deploy:
    deploy: {model: "${{ steps.register.version }}", to: "endpoint:late"}
"#;

/// Rows whose answer follows from them; `extra` is a column more.
fn rows(extra: bool) -> String {
    let row = |n: u64| {
        let (distance, wind) = ((n * 37) % 1_000, (n * 11) % 40);
        let carrier = ["AA", "UA", "DL"][usize::try_from(n % 3).unwrap()];
        let more = if extra { format!(",{}", n % 7) } else { String::new() };
        format!("{carrier},{distance},{wind},{}{more}\n", distance > 500 && wind > 15)
    };
    let head = if extra { "carrier,distance,wind,late,gust\n" } else { "carrier,distance,wind,late\n" };
    std::iter::once(head.to_owned()).chain((0..1_000).map(row)).collect()
}

/// Two versions of `rows`, the second with a column more, and a model of the first.
fn project() -> Project {
    let project =
        Project::new(&[("pipelines/p.yaml", PIPELINE), ("raw.csv", &rows(false)), ("more.csv", &rows(true))]);
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    project.output(&["data", "alias", "rows@1", "base"]);
    let copied = project.output(&["copy", "more.csv", "data:rows"]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    project
}

#[test]
fn versions_have_names_tags_and_differences() {
    let project = project();
    assert_snapshot!(project.millrace(&["data", "tag", "rows@base", "checked=yes"]), @r#"
    exit 0
    KEY      VALUE
    checked  yes
    ----
    "#);
    assert_snapshot!(project.millrace(&["data", "diff-schema", "rows@1"]), @r#"
    exit 0
    COLUMN  CHANGE  BEFORE  AFTER   BREAKING
    gust    added           Int64?
    ----
    rows@1 -> rows@2: 1 changes, 0 of them breaking
    "#);
    assert_snapshot!(project.millrace(&["data", "diff-schema", "rows@2", "rows@base"]), @r#"
    exit 1
    COLUMN  CHANGE   BEFORE  AFTER  BREAKING
    gust    removed  Int64?         yes
    ----
    rows@2 -> rows@1: 1 changes, 1 of them breaking
    "#);
    assert_snapshot!(project.millrace(&["data", "alias", "rows@1", "3"]), @r#"
    exit 1
    ----
    error[failed]: `3` is not a name for an alias: it would be taken for a version
    "#);
    let shown = project.json(&["data", "show", "rows@base", "--json"]);
    assert_eq!((&shown["version"], &shown["aliases"]), (&json!(1), &json!(["base"])));
    assert_eq!(shown["tags"], json!({"checked": "yes"}));
    assert_snapshot!(project.millrace(&["data", "untag", "rows@1", "checked"]), @r#"
    exit 0
    KEY  VALUE
    ----
    "#);
    assert_snapshot!(project.millrace(&["data", "unalias", "rows", "bose"]), @r#"
    exit 1
    ----
    error[failed]: `rows` has no alias `bose`; `millrace data versions rows` lists them
    "#);
}

#[test]
fn rows_are_read_at_a_version_an_alias_or_a_time_and_filtered() {
    let project = project();
    let told = project.json(&["data", "show", "rows@1", "--json"])["created_at"].as_str().unwrap().to_owned();
    let count = |table: &str| {
        let sql = format!("select count(*) as n from {table} where wind > 30");
        project.json(&["sql", &sql, "--json"])["n"].clone()
    };
    assert_eq!(count("rows@base"), count("rows"));
    let gusts = |table: &str| project.millrace(&["sql", &format!("select max(gust) as gust from {table}")]);
    assert!(gusts("rows@2").contains("6"));
    assert!(gusts(&format!("\"rows@{told}\"")).contains("gust"), "the first version has no such column");
    assert_snapshot!(gusts("rows@bose"), @r#"
    exit 1
    ----
    error[unknown-dataset]: there is no dataset `rows@bose`
    "#);
    assert_snapshot!(gusts("\"rows@2001-01-01\""), @r#"
    exit 1
    ----
    error[unknown-dataset]: there is no dataset `rows@2001-01-01`
    "#);
    let preview = |more: &[&str]| project.millrace(&[&["data", "preview", "rows@base"], more].concat());
    assert_snapshot!(preview(&["--where", "distance > 990 and carrier = 'AA'", "--columns", "wind,carrier", "-n", "2"]), @r#"
    exit 0
    wind  carrier
    17    AA
    34    AA
    ----
    only the first 2 rows; `-n` shows more
    "#);
    assert_snapshot!(preview(&["--where", "distance > 990 and carier = 'AA'"]), @r#"
    exit 1
    ----
    error[invalid-filter]: No field named carier. Did you mean 'carrier'?
    Valid fields are carrier, distance, wind, late
     --> --where:1:20
      |
    1 | distance > 990 and carier = 'AA'
      |                    ^
    "#);
    assert_snapshot!(preview(&["--where", "distance > 990) or (1 = 1"]), @r#"
    exit 1
    ----
    error[invalid-filter]: Expected: end of expression, found: )
     --> --where:1:15
      |
    1 | distance > 990) or (1 = 1
      |               ^
    "#);
    assert_snapshot!(preview(&["--where", "distance"]), @r#"
    exit 1
    ----
    error[invalid-filter]: the condition gives Int64, not true or false; compare it with something
     --> --where:1:1
      |
    1 | distance
      | ^
    "#);
    assert_snapshot!(preview(&["--columns", "wnd"]), @r#"
    exit 1
    ----
    error[invalid-filter]: there is no column `wnd`; did you mean `wind`?
    "#);
}

#[test]
fn a_pipeline_reads_the_version_that_an_alias_names() {
    let project = project();
    let count =
        "steps:\n  count: {sql: select count(*) as n from rows, inputs: {rows: \"data:rows@base\"}}\n";
    project.write("pipelines/count.yaml", count);
    assert_eq!(project.json(&["run", "count", "--json"])["state"], "succeeded");
    let lineage = project.millrace(&["data", "lineage", "count_count"]);
    assert!(lineage.contains("dataset:rows@1  dataset:count_count@1  made"), "{lineage}");
    project.output(&["data", "alias", "rows@2", "base"]);
    let again = project.json(&["run", "count", "--json"]);
    assert_eq!(again["steps"][0]["state"], "succeeded", "the alias moved, so nothing is reused: {again}");
}

#[test]
fn an_endpoint_is_followed_back_to_the_source_rows() {
    let project = project();
    assert_snapshot!(project.millrace(&["data", "lineage", "rows@1"]), @r#"
    exit 0
    FROM                  TO                    HOW        BY STEP  OF RUN
    dataset:rows@1        dataset:rows_test@1   made       parts    [id]
    dataset:rows@1        dataset:rows_train@1  made       parts    [id]
    dataset:rows_test@1   model:late@1          evaluated  quality  [id]
    dataset:rows_train@1  model:late@1          made       model    [id]
    model:late@1          endpoint:late         serves     deploy   [id]
    source:raw.csv        dataset:rows@1        made       rows     [id]
    ----
    "#);
}

#[test]
fn versions_of_a_model_are_shown_and_compared() {
    let project = project();
    project.write("pipelines/more.yaml", PIPELINE.replace("trees: 20", "trees: 5"));
    assert_eq!(project.json(&["run", "more", "--json"])["state"], "succeeded");
    let shown = project.json(&["models", "show", "late@1", "--json"]);
    assert_eq!(shown["metrics_by_dataset"][0]["dataset"], "rows_test", "{shown}");
    assert_eq!(shown["params"]["trees"], "20", "{shown}");
    assert_eq!(shown["onnx"]["outputs"].as_array().map(Vec::is_empty), Some(false), "{shown}");
    assert_eq!(shown["input_example"]["columns"], json!(["carrier", "distance", "wind"]), "{shown}");
    let compared = project.millrace(&["models", "compare", "late@1", "late@2"]);
    let trees = compared.lines().find(|line| line.starts_with("params") && line.contains("trees")).unwrap();
    assert_eq!(trees.split_whitespace().collect::<Vec<_>>(), ["params", "trees", "20", "5"]);
    project.write("card.md", "Made for the *test*.\n");
    let card = project.millrace(&["models", "card", "late@1", "--write", "card.md", "--as", "ann"]);
    for part in [
        "Made for the *test*.",
        "# late@1",
        "| rows\\_train@1 | trained on |",
        "| rows\\_test@1 | evaluated on |",
        "| raw.csv | source |",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert_snapshot!(project.millrace(&["models", "lineage", "endpoint:late"]), @r#"
    exit 0
    FROM                  TO                    HOW        BY STEP  OF RUN
    dataset:rows@1        dataset:rows_test@1   made       parts    [id]
    dataset:rows@1        dataset:rows_train@1  made       parts    [id]
    dataset:rows_test@1   model:late@2          evaluated  quality  [id]
    dataset:rows_train@1  model:late@2          made       model    [id]
    model:late@2          endpoint:late         serves     deploy   [id]
    source:raw.csv        dataset:rows@1        made       rows     [id]
    ----
    "#);
}

#[test]
fn a_version_is_promoted_when_others_approve() {
    let project = project();
    assert_snapshot!(project.millrace(&["models", "requests"]), @r#"
    exit 0
    ----
    no requests yet; `millrace models request NAME@VERSION ALIAS` makes one
    "#);
    let asked =
        project.json(&["models", "request", "late@1", "champion", "-m", "better", "--as", "ann", "--json"]);
    let id = asked["id"].as_str().unwrap();
    assert_snapshot!(project.millrace(&["models", "approve", id, "--as", "ann"]), @r#"
    exit 1
    ----
    error[failed]: `ann` made this request: somebody else has to decide it
    "#);
    assert_snapshot!(project.millrace(&["models", "reject", id, "--as", "bob"]), @r#"
    exit 1
    ----
    error[failed]: who rejects a request says why: `--message WHY`
    "#);
    assert_snapshot!(project.millrace(&["models", "approve", id, "-m", "looked at it", "--as", "bob"]), @r#"
    exit 0
    `champion` to late@1: approved, and set
    ----
    "#);
    assert_snapshot!(project.millrace(&["models", "requests", "late"]), @r#"
    exit 0
    REQUEST                           MODEL   ALIAS     STATE     APPROVALS  BY   WHY
    [id]  late@1  champion  approved  1 of 1     ann  better
    ----
    "#);
    assert_eq!(project.json(&["models", "show", "late@champion", "--json"])["version"], 1);
}

#[test]
fn a_folder_is_a_dataset_with_a_manifest() {
    let project = Project::new(&[("images/a/cat.txt", "cat"), ("images/dog.txt", "dog")]);
    assert_snapshot!(project.millrace(&["data", "add", "images", "images"]), @r#"
    exit 0
    kept 2 files, 6 bytes, as images@1
    ----
    "#);
    project.write("images/dog.txt", "dogs");
    project.output(&["data", "add", "images", "images"]);
    assert_snapshot!(project.millrace(&["data", "files", "images@1", "images@2"]), @r#"
    exit 0
    FILE     CHANGE   BYTES
    dog.txt  changed  4
    ----
    "#);
    assert_snapshot!(project.millrace(&["data", "files", "images@1", "--verify"]), @r#"
    exit 0
    ----
    2 files were read, 0 differ from the manifest
    "#);
    assert_snapshot!(project.millrace(&["data", "preview", "images"]), @r#"
    exit 1
    ----
    error[failed]: `images` is a folder of files; list them with `millrace data files images`
    "#);
}

#[test]
fn what_the_mlflow_client_logs_is_the_dataset_it_read() {
    let project = project();
    let folder = project.path().join(".millrace/storage/datasets/rows");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    files.retain(|file| file.path().extension().is_some_and(|ending| ending == "parquet"));
    // The first version's file was written first.
    files.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
    let server = Up::start(&project);
    drive("datasets_client.py", &[&server.url, &files[0].path().to_string_lossy()], project.path());
}

/// What another run put in its place is not what this one is to leave.
#[test]
fn a_dataset_that_was_written_again_since_is_no_result_to_reuse() {
    let project = Project::new(&[
        ("raw/a.csv", "id\n1\n"),
        ("raw/b.csv", "id\n2\n"),
        (
            "pipelines/load.yaml",
            "inputs: {file: {type: string}}\nsteps:\n  rows: {copy: {from: \"${{ inputs.file }}\", to: \"data:rows\"}}\n",
        ),
    ]);
    let mut left = Vec::new();
    for file in ["a", "a", "b", "a"] {
        let ran = project.millrace(&["run", "load", "--input", &format!("file=raw/{file}.csv")]);
        let reused = ran.contains("1 reused");
        left.push((reused, project.json(&["sql", "--json", "select id from rows"])["id"].clone()));
    }
    assert_eq!(left, [(false, json!(1)), (true, json!(1)), (false, json!(2)), (false, json!(1))]);
}
