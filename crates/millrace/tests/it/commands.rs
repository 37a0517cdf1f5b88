use insta::assert_snapshot;

use crate::project::Project;

const CITIES: &str =
    "city,country,inhabitants\nBerlin,DE,3850809\nHamburg,DE,1945532\nLyon,FR,522250\nParis,FR,2102650\n";
const PIPELINE: &str = r#"
inputs: {at_least: 1000000}
steps:
  cities:
    copy: {from: raw/cities.csv, to: "data:cities"}
  by_country:
    sql: select country, count(*) as cities from cities where inhabitants >= ${{ inputs.at_least }} group by country order by country
    inputs: {cities: "${{ steps.cities.data }}"}
  large:
    if: steps.by_country.rows > 2
    run: echo many
  report:
    run: echo "$COUNTRIES countries"; echo careful >&2
    env: {COUNTRIES: "${{ steps.by_country.rows }}"}
"#;

fn project() -> Project {
    Project::new(&[("raw/cities.csv", CITIES), ("pipelines/cities.yaml", PIPELINE)])
}

#[test]
fn a_new_workspace_runs_as_it_is() {
    let project = Project::new(&[]);
    std::fs::remove_file(project.path().join("millrace.yaml")).unwrap();
    assert_snapshot!(project.millrace(&["init"]), @r"
    exit 0
    made a workspace in `.`:
      millrace.yaml
      .gitignore
      raw/cities.csv
      pipelines/cities.yaml
    ----
    next: `millrace run cities`
    ");
    assert_eq!(project.json(&["run", "cities", "--json"])["state"], "succeeded");
}

#[test]
fn a_second_run_reuses_what_did_not_change_and_says_so() {
    let project = project();
    assert_snapshot!(project.millrace(&["run", "cities"]), @r"
    exit 0
    run [id] succeeded in [duration]: 3 done, 0 reused, 0 failed, 1 skipped
    ----
      ✓ succeeded    cities
      ✓ succeeded    by_country
      - skipped      large
      ✓ succeeded    report
    ");
    project.output(&["run", "cities", "-i", "at_least=600000"]);
    assert_snapshot!(project.millrace(&["why", "latest"]), @r"
    exit 0
    STEP        STATE        WHY
    cities      = cached     reused the result of run [id]: nothing it depends on changed
    by_country  ✓ succeeded  ran because sql.params changed from `[1000000]` to `[600000]`
    large       - skipped    skipped because its condition is false
    report      ✓ succeeded  ran because this kind of step always runs
    ----
    ");
    assert_snapshot!(project.millrace(&["logs", "latest", "report"]), @r"
    exit 0
    2 countries
    careful
    ----
    ");
}

#[test]
fn tables_can_be_queried_with_sql() {
    let project = project();
    project.output(&["run", "cities"]);
    assert_snapshot!(project.millrace(&["sql", "select city from cities order by inhabitants desc limit 2"]), @r"
    exit 0
    city
    Berlin
    Paris
    ----
    ");
    let wrong = project.millrace(&["sql", "select town from cities"]);
    assert!(wrong.starts_with("exit 1") && wrong.contains("town"), "{wrong}");
}

#[test]
fn a_wrong_file_is_shown_with_its_line_and_nothing_runs() {
    let project = Project::new(&[(
        "pipelines/daily.yaml",
        "steps:\n  a:\n    sql: select 1\n  b:\n    run: echo ${{ steps.aa.rows }}\n",
    )]);
    assert_snapshot!(project.millrace(&["run", "daily"]), @r"
    exit 1
    ----
    error[unknown-step]: there is no step `aa`
     --> pipelines/daily.yaml:5:10
      |
    5 |     run: echo ${{ steps.aa.rows }}
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `a`?
    ");
    assert_eq!(project.millrace(&["runs", "--json"]).lines().next(), Some("exit 0"));
}

#[test]
fn a_folder_without_a_workspace_and_an_unknown_pipeline_are_explained() {
    let project = project();
    assert_snapshot!(project.millrace(&["run", "citys"]), @r"
    exit 1
    ----
    error[unknown-pipeline]: there is no pipeline `citys`
    hint: did you mean `cities`?
    ");
    std::fs::remove_file(project.path().join("millrace.yaml")).unwrap();
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 1
    ----
    error[no-workspace]: there is no workspace here: no `millrace.yaml` in `[folder]` or above it
    hint: make one with `millrace init`, or change into one
    ");
}

#[test]
fn a_request_with_the_same_key_starts_nothing() {
    let project = project();
    let first = project.json(&["run", "cities", "--json", "--idempotency-key", "k1"]);
    let second = project.json(&["run", "cities", "--json", "--idempotency-key", "k1"]);
    assert_eq!(first["run"], second["run"]);
}

#[test]
fn every_kind_can_be_explained_and_the_schema_is_json() {
    let project = project();
    let listed = project.output(&["explain", "--json"]);
    let kinds: Vec<serde_json::Value> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(kinds.len() > 15, "{kinds:?}");
    for kind in &kinds {
        let name = kind["name"].as_str().unwrap();
        assert!(project.output(&["explain", name]).status.success(), "{name}");
    }
    let schema = project.json(&["schema"]);
    assert!(schema["$defs"]["kind_copy"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        assert!(!project.output(&["completions", shell]).stdout.is_empty());
    }
}
