//! What becomes of columns and values that the sink does not expect.

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};

use super::Place;

const FIRST: &str = "id,n,note\n1,10,a\n";
/// A column that the sink has not, one less, and a value of another type.
const LATER: &str = "id,n,extra\n2,x,\n3,30,7\n4,40,\n";

fn append(contract: Value) -> Value {
    json!({"from": "later.csv", "to": "db:t", "write": "append", "on_error": "reject", "schema": contract})
}

/// The same for all systems; how each shows a null and a number in a column of text is the same too.
async fn a_contract_is_kept(place: &Place) {
    place.file("first.csv", FIRST);
    place.file("later.csv", LATER);
    let begin = async || place.done(json!({"from": "first.csv", "to": "db:t"})).await;
    let rows = async || place.rows("select * from t order by id").await;
    begin().await;

    let message = place.message(append(json!("freeze"))).await;
    assert!(message.starts_with("the column `n` is string in the source and "), "{message}");
    let message = place.message(append(json!({"columns": "freeze", "types": "discard_value"}))).await;
    assert_eq!(message, "the source has the column `extra`, which the table `t` has not");
    assert_eq!(rows().await, "id,n,note\n1,10,a\n");

    let told = place.copy(append(json!("discard_row"))).await.unwrap().outputs;
    assert_eq!(rows().await, "id,n,note\n1,10,a\n4,40,\n");
    assert_eq!(told["rejected"], 2);
    let rejects = place.text("attempt/rejects.csv");
    assert!(rejects.contains("\"n\",type,") && rejects.contains("\"extra\",schema,"), "{rejects}");

    begin().await;
    let told = place.copy(append(json!("discard_value"))).await.unwrap().outputs;
    assert_eq!(rows().await, "id,n,note\n1,10,a\n2,,\n3,30,\n4,40,\n");
    let difference = &told["schema_changes"];
    assert_eq!(difference["added"], json!({"extra": "integer"}));
    assert_eq!((&difference["missing"], &difference["discarded_values"]), (&json!(["note"]), &json!(2)));

    // A sink that is not there yet has nothing to say.
    let mut fresh = append(json!("freeze"));
    fresh["to"] = json!("db:fresh");
    place.done(fresh).await;
    assert_eq!(place.rows("select * from fresh order by id").await, "id,n,extra\n2,x,\n3,30,7\n4,40,\n");

    // All columns stay when the table is filled anew.
    begin().await;
    let mut anew = append(json!({"types": "discard_value", "columns": "evolve"}));
    anew["write"] = json!("overwrite");
    place.done(anew).await;
    assert_eq!(rows().await, "id,n,note,extra\n2,,,\n3,30,,7\n4,40,,\n");
}

/// The table gets the column, and the type that has room for old and new.
async fn a_table_evolves(place: &Place, all: &str) {
    place.done(json!({"from": "first.csv", "to": "db:e"})).await;
    let mut evolve = append(json!("evolve"));
    evolve["to"] = json!("db:e");
    let told = place.copy(evolve).await.unwrap().outputs;
    assert_eq!(place.rows("select * from e order by id").await, all);
    assert_eq!(told["schema_changes"]["widened"], json!({"n": "string"}));
}

#[tokio::test]
async fn contract_with_postgres() {
    let Some(server) = TestPostgres::start() else { return };
    let place = Place::with("db", json!({"postgres": {"url": server.url()}}));
    a_contract_is_kept(&place).await;
    a_table_evolves(&place, "id,n,note,extra\n1,10,a,\n2,x,,\n3,30,,7\n4,40,,\n").await;
}

#[tokio::test]
async fn contract_with_mariadb() {
    let Some(server) = TestMariadb::start() else { return };
    let place = Place::with("db", json!({"mysql": {"url": server.url()}}));
    a_contract_is_kept(&place).await;
    a_table_evolves(&place, "id,n,note,extra\n1,10,a,\n2,x,,\n3,30,,7\n4,40,,\n").await;
}

#[tokio::test]
async fn contract_with_sqlite() {
    let place = Place::with("db", json!({"sqlite": {"path": "data/db.sqlite"}}));
    a_contract_is_kept(&place).await;
    place.done(json!({"from": "first.csv", "to": "db:e"})).await;
    let mut evolve = append(json!({"types": "evolve"}));
    evolve["to"] = json!("db:e");
    let message = place.message(evolve).await;
    assert_eq!(
        message,
        "the column `n` is integer in the table `e` and cannot become string beside the rows that are there"
    );
}

#[tokio::test]
async fn files_have_no_contract() {
    let place = Place::new();
    place.file("a.csv", FIRST);
    let message = place.message(json!({"from": "a.csv", "to": "b.csv", "schema": "freeze"})).await;
    assert_eq!(message, "`schema` compares with the columns that are there; a file has none that stay");
}
