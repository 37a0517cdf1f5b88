//! What the copy wizard asks: a look at the source, the pipeline and the command, and the run.

use serde_json::{Value, json};

use crate::project::{Project, wait_until};
use crate::server::Up;

const ORDERS: &str = "id;day;amount\n1;01.03.2026;1,5\n2;02.03.2026;2,5\nx;03.03.2026;3,5\n";

fn config() -> Value {
    json!({
        "from": "raw/orders.csv", "delimiter": ";", "on_error": "reject", "to": "data:orders",
        "mapping": {"id": {"from": "id", "type": "integer"}, "amount": {"from": "amount", "type": "number", "culture": "de"}},
    })
}

#[test]
fn a_look_shows_what_the_sink_would_get_and_writes_nothing() {
    let project = Project::new(&[("raw/orders.csv", ORDERS)]);
    let up = Up::start(&project);
    let look = |copy: Value| up.post("/api/copy-previews", &json!({"copy": copy, "limit": 10}).to_string());
    let found = look(config());
    assert_eq!(found["table"]["rows"], json!([[1, 1.5], [2, 2.5]]), "{found}");
    assert_eq!(found["rejected"], 1);
    assert!(found["rejects"][1].as_str().unwrap().contains("raw/orders.csv"), "{found}");
    assert!(
        found["yaml"]
            .as_str()
            .unwrap()
            .starts_with("steps:\n  copy:\n    copy:\n      from: raw/orders.csv\n"),
        "{found}"
    );
    assert!(
        found["command"]
            .as_str()
            .unwrap()
            .starts_with("millrace copy raw/orders.csv data:orders --with 'delimiter=\";\"'"),
        "{found}"
    );
    assert_eq!(up.get("/api/datasets"), json!([]));
    let absent = look(json!({"from": "raw/none.csv"}));
    assert!(absent["problem"]["message"].as_str().unwrap().contains("raw/none.csv"), "{absent}");
    assert_eq!(look(json!({"from": "raw/orders.csv", "delimitr": ";"}))["problem"]["code"], "copy-config");
    let left = std::fs::read_dir(project.path().join(".millrace")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("look-")));
}

#[test]
fn a_copy_becomes_a_pipeline_and_runs() {
    let project = Project::new(&[("raw/orders.csv", ORDERS)]);
    let up = Up::start(&project);
    let start =
        |name: &str, copy: Value| up.post("/api/copies", &json!({"name": name, "copy": copy}).to_string());
    let run = start("orders", config());
    let id = run["id"].as_str().unwrap_or_else(|| panic!("{run}")).to_owned();
    wait_until(|| up.get(&format!("/api/runs/{id}"))["run"]["status"] == "succeeded");
    assert_eq!(up.get("/api/datasets")[0]["rows"], 2);
    assert!(project.read("pipelines/orders.yaml").contains("from: raw/orders.csv"));
    // The same again runs again; another one does not take its place.
    assert!(start("orders", config())["id"].is_string());
    assert_eq!(
        start("orders", json!({"from": "raw/orders.csv", "to": "data:b"}))["code"],
        "changed-meanwhile"
    );
    assert_eq!(start("../b", config())["code"], "bad-pipeline-name");
}
