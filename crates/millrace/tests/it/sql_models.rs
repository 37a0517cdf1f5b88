//! SQL models from files to datasets, by the program.

use serde_json::{Value, json};

use crate::project::Project;

const LOAD: &str = "inputs: {file: {type: string, default: raw/a.csv}}\nsteps:\n  load: {copy: {from: \"${{ inputs.file }}\", to: \"data:raw_orders\"}}\n";
const SOURCES: &str = "shop:\n  tables:\n    orders: {from: \"data:raw_orders\"}\n";
const A: &str = "id,day,v\n1,2026-03-01,10\n2,2026-03-01,20\n3,2026-03-02,30\n";
const B: &str = "id,day,v\n2,2026-03-01,21\n4,2026-03-03,40\n";

/// A workspace whose source has the rows of `A`.
fn loaded(files: &[(&str, &str)]) -> Project {
    let own = [
        ("pipelines/load.yaml", LOAD),
        ("sources.yaml", SOURCES),
        ("raw/a.csv", A),
        ("raw/b.csv", B),
        ("models/staging/orders.sql", "select id, day, v from {{ source('shop', 'orders') }}\n"),
    ];
    let files: Vec<(&str, &str)> = own.iter().chain(files).copied().collect();
    let project = Project::new(&files);
    load(&project, "raw/a.csv");
    project
}

fn load(project: &Project, file: &str) {
    let done = project.output(&["run", "load", "--input", &format!("file={file}")]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What `build` did with each model.
fn build(project: &Project, arguments: &[&str]) -> Vec<String> {
    let whole: Vec<&str> = ["sql-models", "build", "--json"].iter().chain(arguments).copied().collect();
    let output = project.output(&whole);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let problem = line["problem"]["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
        format!("{} {}{problem}", line["name"].as_str().unwrap(), line["status"].as_str().unwrap())
    };
    let mut said: Vec<String> = lines.lines().map(line).collect();
    if said.is_empty() {
        said.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    said
}

fn rows(project: &Project, query: &str) -> Vec<Value> {
    let output = project.output(&["sql", "--json", "-n", "1000", query]);
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn models_are_built_in_order_and_again_when_something_changed() {
    let project = loaded(&[
        ("models/by_day.sql", "select day, sum(v) as v from {{ ref('doubled') }} group by day\n"),
        ("models/doubled.sql", "select id, day, v * {{ var('factor', 2) }} as v from {{ ref('orders') }}\n"),
        ("models/doubled.yaml", "ephemeral: true\n"),
        ("models/alone.sql", "select 1 as one\n"),
    ]);
    assert_eq!(
        build(&project, &["--select", "+by_day"]),
        ["orders built", "doubled inlined", "by_day built"]
    );
    let sums = rows(&project, "select v from by_day order by day");
    assert_eq!(sums, [json!({"v": 60}), json!({"v": 60})]);
    assert_eq!(build(&project, &[]), ["alone built", "orders reused", "doubled inlined", "by_day reused"]);
    assert_eq!(
        build(&project, &["--var", "factor=3"]),
        ["alone reused", "orders reused", "doubled inlined", "by_day built"]
    );
    project.write("models/doubled.sql", "select id, day, v * 5 as v from {{ ref('orders') }}\n");
    assert_eq!(build(&project, &["-s", "by_day"]), ["by_day built"]);
    load(&project, "raw/b.csv");
    assert_eq!(build(&project, &["-s", "source:shop+"]), ["orders built", "doubled inlined", "by_day built"]);
    assert_eq!(rows(&project, "select sum(v) as v from by_day"), [json!({"v": 305})]);
    let lineage = project.millrace(&["data", "lineage", "by_day"]);
    assert!(lineage.contains("orders") && lineage.contains("raw_orders"), "{lineage}");
    let listed = project.millrace(&["sql-models", "list"]);
    insta::assert_snapshot!(listed, @r###"
    exit 0
    MODEL    MATERIALIZED  READS        TESTS  TAGS  FILE
    alone    table                      0            models/alone.sql
    orders   table         shop.orders  0            models/staging/orders.sql
    doubled  ephemeral     orders       0            models/doubled.sql
    by_day   table         doubled      0            models/by_day.sql
    ----
    "###);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let project = loaded(&[
        ("models/a.sql", "select *\nfrom {{ ref('ordres') }}\n"),
        ("models/b.sql", "select * from {{ ref('c') }}\n"),
        ("models/c.sql", "select * from {{ ref('b') }}\n"),
        ("models/d.yaml", "description: nothing\n"),
        ("models/orders.sql", "select 1 as x\n"),
        ("models/e.sql", "select 1 as x\n"),
        (
            "models/e.yaml",
            "incremental: {strategy: merge}\ncolumns: {x: {tests: [unique, {holds: x > 0, unique: []}]}}\ntags: daily\n",
        ),
    ]);
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[model-file]: expected a list, found text
     --> models/e.yaml:3:7
      |
    3 | tags: daily
      |       ^^^^^
    error[model-name]: two models are named `orders`: the other one is `models/orders.sql`
     --> models/staging/orders.sql:1:1
      |
    1 | select id, day, v from {{ source('shop', 'orders') }}
      | ^
    hint: rename one of the files
    error[model-file]: there is no query beside it: no `models/d.sql`
     --> models/d.yaml:1:1
      |
    1 | description: nothing
      | ^
    error[unknown-ref]: there is no model `ordres`
     --> models/a.sql:2:14
      |
    2 | from {{ ref('ordres') }}
      |              ^^^^^^
    hint: did you mean `orders`?
    error[model-cycle]: models read each other in a circle: b -> c -> b
     --> models/c.sql:1:23
      |
    1 | select * from {{ ref('b') }}
      |                       ^
    5 of 6 files have errors
    "###);
}

#[test]
fn the_query_itself_is_checked() {
    let project = loaded(&[
        ("models/a.sql", "select id,\n  {% if true %}vv{% endif %} as v\nfrom {{ ref('orders') }}\n"),
        ("models/b.sql", "select *\nfrom orders\n"),
        ("models/c.sql", "select {{ nothing('x') }} as x\n"),
        (
            "models/d.sql",
            "{% set names = ['day', 'v'] %}\nselect {% for name in names %}{{ identifier(name) }}, {% endfor %} iid\nfrom {{ ref('orders') }}\n",
        ),
        ("models/tests/t.sql", "select * from {{ ref('orders') }} where w < 0\n"),
        (
            "pipelines/p.yaml",
            "steps:\n  a: {sql_models: \"ordres+\"}\n  b: {sql_models: {select: \"tga:x\"}}\n",
        ),
    ]);
    assert!(project.output(&["sql-models", "build", "-s", "orders", "--no-test"]).status.success());
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[model-selection]: no model fits `ordres+`
     --> pipelines/p.yaml:2:19
      |
    2 |   a: {sql_models: "ordres+"}
      |                   ^^^^^^^^^
    hint: did you mean `orders`?
    error[model-selection]: `tga:` does not select models
     --> pipelines/p.yaml:3:28
      |
    3 |   b: {sql_models: {select: "tga:x"}}
      |                            ^^^^^^^
    hint: did you mean `tag:`?
    error[sql-plan]: No field named vv. Did you mean 'orders.v'?
    Valid fields are orders.id, orders.day, orders.v
     --> models/a.sql:2:16
      |
    2 |   {% if true %}vv{% endif %} as v
      |                ^^
    error[sql-plan]: there is no table `orders` here
     --> models/b.sql:2:6
      |
    2 | from orders
      |      ^^^^^^
    hint: from {{ ref('orders') }}
    error[model-template]: nothing is unknown
     --> models/c.sql:1:11
      |
    1 | select {{ nothing('x') }} as x
      |           ^
    hint: there are ref('model'), source('source', 'table'), var('name'), identifier('name'), is_incremental() and this
    error[sql-plan]: No field named iid. Did you mean 'orders.id'?
    Valid fields are orders.id, orders.day, orders.v
     --> models/d.sql:2:68
      |
    2 | {% for name in names %}{{ identifier(name) }}, {% endfor %} iid
      |                                                             ^^^
    error[sql-plan]: No field named w.
    Valid fields are orders.id, orders.day, orders.v
     --> models/tests/t.sql:1:41
      |
    1 | select * from {{ ref('orders') }} where w < 0
      |                                         ^
    6 of 7 files have errors
    "###);
}

#[test]
fn values_are_bound_and_never_read_as_sql() {
    let project = loaded(&[(
        "models/said.sql",
        "{% macro twice(x) %}{{ x }} || {{ x }}{% endmacro %}\nselect {{ twice(var('word')) }} as said, '{{ 1 }}' as text\n",
    )]);
    let said = build(&project, &["-s", "said", "--var", "word=x' or 1=1 --"]);
    assert_eq!(said, ["said built"]);
    assert_eq!(
        rows(&project, "select said, text from said"),
        [json!({"said": "x' or 1=1 --x' or 1=1 --", "text": "$2"})]
    );
    let missing = build(&project, &["-s", "said"]);
    assert!(missing[0].starts_with("said failed: the variable `word` has no value"), "{missing:?}");
}

#[test]
fn failing_rows_are_kept_and_hold_up_what_reads_them() {
    let project = loaded(&[
        (
            "models/staging/orders.yaml",
            "columns:\n  id: {tests: [unique, not_null]}\n  v:\n    tests:\n      - {accepted_values: [10, 20]}\n      - {holds: v > 15, severity: warn}\n",
        ),
        ("models/next.sql", "select * from {{ ref('orders') }}\n"),
        ("models/tests/no_march.sql", "select * from {{ ref('orders') }} where day >= '2026-03-02'\n"),
        ("models/tests/no_march.yaml", "error_if: \"> 1\"\n"),
    ]);
    insta::assert_snapshot!(project.millrace(&["sql-models", "build"]), @r###"
    exit 1
           NAME                      STATE    ROWS  VERSION
    model  orders                    built    3     1
    model  next                      skipped
    test   orders_id_unique          pass     0
    test   orders_id_not_null        pass     0
    test   orders_v_accepted_values  fail     1
    test   orders_v_holds            warn     1
    test   no_march                  warn     1
    ----
    orders_v_accepted_values (models/staging/orders.yaml:5): 1 row, kept as failures_orders_v_accepted_values@1
        {"id":3,"day":"2026-03-02","v":30}
    orders_v_holds (models/staging/orders.yaml:6): 1 row, kept as failures_orders_v_holds@1
        {"id":1,"day":"2026-03-01","v":10}
    no_march (models/tests/no_march.sql:1): 1 row, kept as failures_no_march@1
        {"id":3,"day":"2026-03-02","v":30}
    "###);
    assert_eq!(rows(&project, "select id from failures_orders_v_accepted_values"), [json!({"id": 3})]);
    project.write("pipelines/p.yaml", "steps:\n  m: {sql_models: {}}\n");
    let run = project.millrace(&["run", "p"]);
    assert!(run.contains("1 rows fail the test `orders_v_accepted_values`"), "{run}");
    project.write("models/staging/orders.yaml", "columns: {id: {tests: [unique, not_null]}}\n");
    assert_eq!(project.last_json(&["run", "p", "--json"])["state"], "succeeded");
    let tested = project.output(&["sql-models", "test", "--json"]);
    assert!(tested.status.success());
    assert_eq!(String::from_utf8_lossy(&tested.stdout).lines().count(), 3);
}

#[test]
fn each_strategy_adds_in_its_way() {
    let project = loaded(&[
        ("models/added.sql", "select * from {{ ref('orders') }}\n"),
        ("models/added.yaml", "incremental: {}\n"),
        ("models/merged.sql", "select * from {{ ref('orders') }}\n"),
        ("models/merged.yaml", "incremental: {unique_key: [id]}\n"),
        ("models/replaced.sql", "select day, v from {{ ref('orders') }}\n"),
        ("models/replaced.yaml", "incremental: {strategy: delete_insert, unique_key: [day]}\n"),
        (
            "models/parts.sql",
            "select * from {{ ref('orders') }} {% if is_incremental() %}where day > '2026-03-02'{% endif %}\n",
        ),
        ("models/parts.yaml", "incremental: {strategy: insert_overwrite, partition_by: [day]}\n"),
    ]);
    build(&project, &[]);
    load(&project, "raw/b.csv");
    let done = build(&project, &[]);
    assert_eq!(done, ["orders built", "added built", "merged built", "parts built", "replaced built"]);
    let ids = |table: &str| {
        let query = format!("select string_agg(cast(v as varchar), ' ' order by v) as v from {table}");
        rows(&project, &query)[0]["v"].as_str().unwrap().to_owned()
    };
    assert_eq!(ids("added"), "10 20 21 30 40");
    assert_eq!(ids("merged"), "10 21 30 40");
    assert_eq!(ids("replaced"), "21 30 40");
    assert_eq!(ids("parts"), "10 20 30 40");
    let again = build(&project, &[]);
    assert!(again.iter().all(|line| line.ends_with("reused")), "{again:?}");
    assert_eq!(build(&project, &["-s", "added", "--full-refresh"]), ["added built"]);
    assert_eq!(ids("added"), "21 40");
    assert_eq!(build(&project, &["-s", "added"]), ["added reused"]);
}

#[test]
fn other_columns_are_refused_left_out_or_taken() {
    let project = loaded(&[]);
    for (name, rule) in [
        ("strict", "fail"),
        ("blind", "ignore"),
        ("wider", "append_new_columns"),
        ("synced", "sync_all_columns"),
    ] {
        project.write(&format!("models/{name}.sql"), "select id, v from {{ ref('orders') }}\n");
        project.write(
            &format!("models/{name}.yaml"),
            format!("incremental: {{unique_key: [id], on_schema_change: {rule}}}\n"),
        );
    }
    build(&project, &[]);
    for name in ["strict", "blind", "wider", "synced"] {
        project
            .write(&format!("models/{name}.sql"), "select id, day from {{ ref('orders') }} where id = 1\n");
    }
    let done = build(&project, &[]);
    assert_eq!(
        done,
        [
            "orders reused",
            "blind built",
            "strict failed: `strict`: the query has `day` and the dataset has not; the dataset has `v` and the query has not",
            "synced built",
            "wider built"
        ]
    );
    assert_eq!(rows(&project, "select * from blind order by id limit 1"), [json!({"id": 1, "v": null})]);
    assert_eq!(
        rows(&project, "select * from wider order by id limit 2"),
        [json!({"id": 1, "v": null, "day": "2026-03-01"}), json!({"id": 2, "v": 20, "day": null})]
    );
    assert_eq!(
        rows(&project, "select * from synced order by id limit 2"),
        [json!({"id": 1, "day": "2026-03-01"}), json!({"id": 2, "day": null})]
    );
    project.write("models/merged.sql", "select 1 as id, v from {{ ref('orders') }}\n");
    project.write("models/merged.yaml", "incremental: {unique_key: [id]}\n");
    assert_eq!(build(&project, &["-s", "merged"]), ["merged built"]);
    project.write("models/merged.sql", "select 1 as id, v + 1 as v from {{ ref('orders') }}\n");
    assert_eq!(
        build(&project, &["-s", "merged"]),
        ["merged failed: `merged`: two rows have one key: {\"id\":1}"]
    );
}

#[test]
fn a_snapshot_knows_what_was_when() {
    let project = loaded(&[
        ("models/checked.sql", "select id, v from {{ ref('orders') }}\n"),
        ("models/checked.yaml", "snapshot: {unique_key: [id], check: [], hard_deletes: invalidate}\n"),
        ("models/stamped.sql", "select id, v, day from {{ ref('orders') }}\n"),
        ("models/stamped.yaml", "snapshot: {unique_key: [id], updated_at: day}\n"),
        ("models/marked.sql", "select id, v from {{ ref('orders') }}\n"),
        ("models/marked.yaml", "snapshot: {unique_key: [id], check: [v], hard_deletes: new_record}\n"),
    ]);
    build(&project, &[]);
    project.write("raw/c.csv", "id,day,v\n1,2026-03-01,11\n2,2026-03-05,22\n4,2026-03-05,40\n");
    load(&project, "raw/c.csv");
    build(&project, &["--full-refresh"]);
    let history = |table: &str, more: &str| {
        let query = format!(
            "select id, v, valid_to is null as now{more} from {table} order by id, valid_from, v, now"
        );
        let text = |row: Value| {
            let deleted = if row["is_deleted"] == true { " deleted" } else { "" };
            let end = if row["now"] == true { "" } else { " ended" };
            format!("{} {}{end}{deleted}", row["id"], row["v"])
        };
        rows(&project, &query).into_iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(history("checked", ""), ["1 10 ended", "1 11", "2 20 ended", "2 22", "3 30 ended", "4 40"]);
    assert_eq!(history("stamped", ""), ["1 10", "2 20 ended", "2 22", "3 30", "4 40"]);
    assert_eq!(
        history("marked", ", is_deleted"),
        ["1 10 ended", "1 11", "2 20 ended", "2 22", "3 30 ended", "3 30 deleted", "4 40"]
    );
    // Who comes back begins anew.
    load(&project, "raw/a.csv");
    build(&project, &[]);
    assert_eq!(
        history("marked", ", is_deleted").into_iter().filter(|row| row.starts_with('3')).collect::<Vec<_>>(),
        ["3 30 ended", "3 30 ended deleted", "3 30"]
    );
    let seams =
        "select count(*) as n from checked a join checked b on a.id = b.id and a.valid_to = b.valid_from";
    assert_eq!(rows(&project, seams), [json!({"n": 4})]);
}

#[test]
fn sources_are_as_new_as_their_newest_row() {
    let project = loaded(&[]);
    project.write(
        "sources.yaml",
        "shop:\n  freshness: {warn_after: 1d}\n  tables:\n    orders: {from: \"data:raw_orders\"}\n    days: {from: \"data:raw_orders\", loaded_at: day, freshness: {error_after: 7d}}\n",
    );
    let lines = project.output(&["sql-models", "freshness", "--json"]);
    assert_eq!(lines.status.code(), Some(1));
    let lines = String::from_utf8_lossy(&lines.stdout).into_owned();
    let states: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone()).collect();
    assert_eq!(states, ["pass", "error"]);
    assert!(project.output(&["sql-models", "freshness", "shop.orders"]).status.success());
    let unknown = project.millrace(&["sql-models", "freshness", "shpo"]);
    assert!(unknown.contains("did you mean `shop`?"), "{unknown}");
}

/// The process is killed with -9 before and after everything that a build commits: rows that are added are added once.
#[test]
fn a_killed_build_adds_nothing_twice() {
    let project = loaded(&[
        ("models/added.sql", "select id, v from {{ ref('orders') }}\n"),
        ("models/added.yaml", "incremental: {}\n"),
    ]);
    build(&project, &[]);
    let run = ["sql-models", "build", "--json"];
    let mut expected = 3;
    let mut point = 0;
    loop {
        project.write("raw/d.csv", format!("id,day,v\n{},2026-03-01,{point}\n", point + 100));
        load(&project, "raw/d.csv");
        let killed = project.command(&run).env("MILLRACE_TEST_KILL_AT", point.to_string()).output().unwrap();
        build(&project, &[]);
        expected += 1;
        assert_eq!(
            rows(&project, "select count(*) as n from added"),
            [json!({"n": expected})],
            "killed at {point}"
        );
        if killed.status.success() {
            break;
        }
        point += 1;
        assert!(point < 100, "a build has fewer commits");
    }
    assert!(point >= 4, "{point} points are fewer than a build has");
}
