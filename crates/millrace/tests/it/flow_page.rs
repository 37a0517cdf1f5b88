//! What the page of a flow asks: what a text says, changes to it, rows of a node, and its file.

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

const FLOW: &str = "# Orders by day.
nodes:
  orders: {source: orders}  # as copied
  kept:
    filter: amount > 1   # in euros
    from: orders
  few: {limit: 2, from: kept}
";
const ORDERS: &str = "id,amount\n1,0.5\n2,3\n3,4\n4,5\n";
const PIPELINE: &str = "steps:
  load: {copy: {from: raw/orders.csv, to: \"data:shop_orders\"}}
  few: {flow: flows/few.yaml, inputs: {orders: \"${{ steps.load.data }}\"}}
";

fn project() -> Project {
    let files = [("flows/few.yaml", FLOW), ("raw/orders.csv", ORDERS), ("pipelines/shop.yaml", PIPELINE)];
    let project = Project::new(&files);
    assert!(project.output(&["run", "shop"]).status.success());
    project
}

/// Each node with what it gives, or what is wrong with it.
fn nodes(model: &Value) -> Vec<String> {
    let node = |node: &Value| {
        let columns =
            node["ports"].as_array().into_iter().flatten().flat_map(|port| port["columns"].as_array());
        let names: Vec<&str> = columns.flatten().filter_map(|column| column["name"].as_str()).collect();
        let problem = node["problem"]["message"].as_str().unwrap_or_default();
        format!(
            "{} {}: {}{problem}",
            node["id"].as_str().unwrap(),
            node["kind"].as_str().unwrap(),
            names.join(" ")
        )
    };
    model["nodes"].as_array().unwrap().iter().map(node).collect()
}

#[test]
fn a_flow_is_shown_with_the_tables_that_pipelines_give_it() {
    let project = project();
    let up = Up::start(&project);
    let flow = up.get("/api/flows/few");
    assert_eq!(flow["tables"], json!({"orders": "shop_orders"}));
    assert_eq!(flow["used_by"], json!([{"pipeline": "shop", "step": "few"}]));
    assert_eq!(flow["read_only"], Value::Null);
    assert_eq!(flow["model"]["outputs"], json!({"data": "few"}));
    let expected = ["orders source: id amount", "kept filter: id amount", "few limit: id amount"];
    assert_eq!(nodes(&flow["model"]), expected);
    assert_eq!(up.get("/api/flows")[0]["nodes"], 3);
    assert_eq!(up.get("/api/flows/none")["code"], "unknown-flow");
    let kinds = up.get("/api/flow-kinds");
    let reads = |name: &str| {
        kinds.as_array().unwrap().iter().find(|kind| kind["name"] == name).map(|kind| kind["reads"].clone())
    };
    let known = ["source", "filter", "join", "union"].map(|name| reads(name).unwrap());
    assert_eq!(known, ["none", "one", "two", "many"]);
}

#[test]
fn an_edit_changes_its_lines_alone_and_says_what_is_wrong_now() {
    let project = project();
    let up = Up::start(&project);
    let tables = json!({"orders": "shop_orders"});
    let edit = |edits: Value| {
        up.post("/api/flow-edits", &json!({"yaml": FLOW, "edits": edits, "tables": tables}).to_string())
    };
    let edited = edit(json!([{"op": "configure", "id": "kept", "config": "amuont > 3"}]));
    assert_eq!(edited["yaml"], FLOW.replace("amount > 1", "amuont > 3"));
    let said = nodes(&edited["model"]);
    assert!(said[1].contains("there is no column `amuont`"), "{said:?}");
    assert_eq!(edited["model"]["nodes"][1]["problem"]["place"]["line"], 4);
    assert_eq!(said[0], "orders source: id amount");
    assert_eq!(edit(json!([{"op": "remove", "id": "none"}]))["code"], "unknown-node");
    let wrong = up.post("/api/flow-checks", &json!({"yaml": "nodes: [", "tables": {}}).to_string());
    assert_eq!(wrong["problems"][0]["code"], "yaml-syntax");
    let absent =
        up.post("/api/flow-checks", &json!({"yaml": FLOW, "tables": {"orders": "none"}}).to_string());
    assert_eq!(absent["nodes"][0]["problem"]["message"], "there is no dataset `none`");
}

#[test]
fn rows_of_a_node_need_only_what_it_reads() {
    let project = project();
    let up = Up::start(&project);
    let ask = |yaml: &str, node: &str, table: &str| {
        let body = json!({"yaml": yaml, "node": node, "tables": {"orders": table}, "limit": 10});
        let answer = up.post("/api/flow-previews", &body.to_string());
        answer.get("rows").unwrap_or_else(|| &answer["message"]).clone()
    };
    assert_eq!(ask(FLOW, "few", "shop_orders"), json!([[2, 3.0], [3, 4.0]]));
    assert_eq!(ask(FLOW, "kept", "raw/orders.csv"), json!([[2, 3.0], [3, 4.0], [4, 5.0]]));
    let broken = FLOW.replace("limit: 2", "limitt: 2");
    assert_eq!(ask(&broken, "kept", "shop_orders").as_array().map(Vec::len), Some(3));
    assert_eq!(ask(&broken, "few", "shop_orders"), "node `few`: there is no transform `limitt`");
}

#[test]
fn a_source_that_declares_its_columns_has_a_table_too() {
    let project = project();
    let declared =
        FLOW.replace("{source: orders}", "{source: {name: orders, columns: {id: integer, amount: float}}}");
    project.write("flows/few.yaml", &declared);
    let up = Up::start(&project);
    let flow = up.get("/api/flows/few");
    assert_eq!(flow["tables"], json!({"orders": "shop_orders"}));
    assert_eq!((&flow["model"]["sources"], &flow["model"]["problems"]), (&json!(["orders"]), &json!([])));
    let body = json!({"yaml": declared, "node": "few", "tables": {"orders": "shop_orders"}, "limit": 10});
    assert_eq!(up.post("/api/flow-previews", &body.to_string())["rows"], json!([[2, 3.0], [3, 4.0]]));
    let none = json!({"yaml": declared, "tables": {}});
    let checked = up.post("/api/flow-checks", &none.to_string());
    assert_eq!(checked["nodes"][0]["problem"]["message"], "no table is chosen for `orders`");
}

#[test]
fn a_text_is_saved_only_over_the_one_it_was_made_from() {
    let project = project();
    let up = Up::start(&project);
    let etag = up.get("/api/flows/few")["etag"].clone();
    let put = |name: &str, yaml: &str, etag: &Value| {
        up.put(&format!("/api/flows/{name}"), &json!({"yaml": yaml, "etag": etag}).to_string())
    };
    let after = FLOW.replace("limit: 2", "limit: 3");
    let saved = put("few", &after, &etag);
    assert_eq!(project.read("flows/few.yaml"), after, "{saved}");
    assert_eq!(put("few", FLOW, &etag)["code"], "changed-meanwhile");
    assert_eq!(project.read("flows/few.yaml"), after);
    assert_eq!(put("new", "nodes: {}\n", &Value::Null)["file"], "flows/new.yaml");
    assert_eq!(put("new", "nodes: {}\n", &Value::Null)["code"], "changed-meanwhile");
    assert_eq!(put("..%2Fpipelines%2Fshop", "steps: {}\n", &Value::Null)["code"], "bad-flow-name");
    assert_eq!(put("a.b", "nodes: {}\n", &Value::Null)["code"], "bad-flow-name");
}
