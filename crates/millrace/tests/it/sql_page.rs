//! What the SQL page asks: queries over datasets and files, their limits, and what a query can read.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

const CITIES: &str = "city,country,people\nBerlin,DE,3850809\nLyon,FR,522250\nParis,FR,2102650\n";

fn project() -> Project {
    let project = Project::new(&[("raw/cities.csv", CITIES), ("raw/notes.txt", "no table\n")]);
    assert!(project.output(&["copy", "raw/cities.csv", "data:cities"]).status.success());
    project
}

/// Rows of an answer, or what is wrong and where.
fn rows(answer: &Value) -> String {
    match answer.get("rows") {
        Some(rows) => format!("{rows} {}", answer["truncated"]),
        None => {
            let at = answer.get("place").map(|place| format!("{}:{}: ", place["line"], place["column"]));
            format!("{} {}{}", answer["code"], at.unwrap_or_default(), answer["message"])
        }
    }
}

#[test]
fn queries_read_datasets_and_files_with_bound_values_and_within_limits() {
    let project = project();
    let up = Up::start(&project);
    let ask = |body: Value| rows(&up.post("/api/sql", &body.to_string()));
    let by_value = "select city from cities where country = $1 and people > $2 order by city";
    assert_eq!(ask(json!({"sql": by_value, "params": ["FR", 1_000_000]})), r#"[["Paris"]] false"#);
    assert_eq!(ask(json!({"sql": by_value, "params": ["FR' or '1'='1", 0]})), "[] false");
    let file = r#"select c.city from "raw/cities.csv" as c join cities as d on c.city = d.city order by 1"#;
    assert_eq!(ask(json!({"sql": file, "limit": 2})), r#"[["Berlin"],["Lyon"]] true"#);
    // Names that lead out, or to what is hidden or no table, are none.
    for path in ["../cities.csv", "/etc/passwd.csv", ".millrace/a.csv", "raw/none.csv"] {
        let said = ask(json!({"sql": format!("select * from \"{path}\"")}));
        assert_eq!(said, format!("\"unknown-file\" \"there is no file `{path}` in the workspace\""));
    }
    let said = ask(json!({"sql": "select city,\n  nobody from cities"}));
    assert!(said.starts_with(r#""query-failed" 2:3: "#), "{said}");
    let said = ask(json!({"sql": "select city form cities where"}));
    assert!(said.starts_with(r#""query-failed" 1:"#), "{said}");
    let endless = "with recursive n as (select 1 as i union all select i + 1 from n where i < 100000000) select count(*) from n";
    let said = ask(json!({"sql": endless, "timeout_ms": 200}));
    assert_eq!(said, r#""query-timeout" "the query took longer than 0.2 s and was ended""#);
    assert_eq!(ask(json!({"sql": "select 1 as one"})), "[[1]] false");
}

#[test]
fn the_command_binds_values_and_reads_files() {
    let project = project();
    let query = r#"select city from "raw/cities.csv" where country = $1 and people > $2"#;
    assert_snapshot!(project.millrace(&["sql", query, "--param", "FR", "--param", "1000000"]), @r###"
    exit 0
    city
    Paris
    ----
    "###);
    assert_snapshot!(project.millrace(&["sql", r#"select * from "raw/none.csv""#]), @r###"
    exit 1
    ----
    error[unknown-file]: there is no file `raw/none.csv` in the workspace
    hint: a path is relative to the workspace and in double quotes: `from "raw/flights.csv"`
    "###);
}

#[test]
fn the_page_lists_what_a_query_can_read() {
    let project = project();
    project.write(".hidden/a.csv", "a\n1\n");
    let up = Up::start(&project);
    let tables = up.get("/api/sql/tables");
    let columns: Vec<String> = tables[0]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| format!("{} {}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap()))
        .collect();
    assert_eq!(tables[0]["name"], "cities");
    assert_eq!(columns, ["city Utf8", "country Utf8", "people Int64"]);
    let listed = |folder: &str| -> Vec<String> {
        let files = up.get(&format!("/api/files?folder={folder}"));
        let file = |file: &Value| format!("{} {} {}", file["path"], file["is_folder"], file["is_table"]);
        files.as_array().map(|files| files.iter().map(file).collect()).unwrap_or_default()
    };
    let root = listed("");
    assert!(root.contains(&r#""raw" true false"#.to_owned()), "{root:?}");
    assert!(root.iter().all(|file| !file.contains("hidden") && !file.contains(".millrace")), "{root:?}");
    assert_eq!(listed("raw"), [r#""raw/cities.csv" false true"#, r#""raw/notes.txt" false false"#]);
    for outside in ["..", ".millrace", "/etc", "raw/../.."] {
        assert_eq!(up.get(&format!("/api/files?folder={outside}"))["code"], "unknown-folder", "{outside}");
    }
}
