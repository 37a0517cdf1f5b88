//! Which columns the sink gets, and what becomes of values on the way.

use serde_json::json;

use super::Place;

#[tokio::test]
async fn columns_are_chosen_named_and_added() {
    let place = Place::new();
    place.file("a1.csv", "c_id,c_name,note,price\n1,Ann,x,1.5\n2,Bob,y,\n");
    place.file("a2.csv", "c_id,c_name,note,price\n3,Cy,z,2.5\n");
    let config = json!({"from": "a*.csv", "to": "b.csv", "drop": ["no*"], "rename": {"/^c_(.*)$/": "$1", "price": "cost"},
        "add": {"file": "$file", "row": "$row", "source": "shop", "version": 2, "checked": true}});
    place.copy(config).await.unwrap();
    insta::assert_snapshot!(place.text("b.csv"), @r###"
    id,name,cost,file,row,source,version,checked
    1,Ann,1.5,a1.csv,1,shop,2,true
    2,Bob,,a1.csv,2,shop,2,true
    3,Cy,2.5,a2.csv,3,shop,2,true
    "###);
    place.copy(json!({"from": "a1.csv", "to": "c.csv", "select": ["price", "c_*"]})).await.unwrap();
    insta::assert_snapshot!(place.text("c.csv"), @r###"
    price,c_id,c_name
    1.5,1,Ann
    ,2,Bob
    "###);
}

#[tokio::test]
async fn a_mapping_converts_and_what_does_not_convert_is_rejected() {
    let place = Place::new();
    let rows = [
        json!({"id": "1", "who": {"name": "Ann", "born": "03.01.1970"}, "total": "1.234,50", "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}),
        json!({"id": "x", "who": {"name": "Bob", "born": "03.01.1970"}, "total": "1,00", "items": []}),
        json!({"id": "3", "who": null, "total": "-", "items": null}),
    ];
    place.file("a.jsonl", rows.map(|row| row.to_string()).join("\n"));
    let config = json!({"from": "a.jsonl", "to": "b.jsonl", "unnest": ["items"], "on_error": "reject", "mapping": {
        "id": {"from": "id", "type": "integer"},
        "name": {"from": "$.who.name", "default": "nobody"},
        "born": {"from": "$.who.born", "type": "date", "format": "%d.%m.%Y"},
        "total": {"from": 3, "type": "decimal(10,2)", "culture": "de", "null_values": ["-"]},
        "sku": "$.items.sku",
    }});
    let outcome = place.copy(config).await.unwrap();
    insta::assert_snapshot!(place.text("b.jsonl"), @r###"
    {"id":1,"name":"Ann","born":"1970-01-03","total":1234.50,"sku":"a"}
    {"id":1,"name":"Ann","born":"1970-01-03","total":1234.50,"sku":"b"}
    {"id":3,"name":"nobody","born":null,"total":null,"sku":null}
    "###);
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r###"
    file,line,byte_offset,column,kind,raw,message
    "a.jsonl",3,0,"id",type,"{""id"":""x"",""who"":{""name"":""Bob"",""born"":""03.01.1970""},""total"":""1,00""}","`x` in column `id` is not of the type integer"
    "###);
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn a_wider_type_is_narrowed_without_a_loss_unseen() {
    let place = Place::new();
    place.file(
        "a.csv",
        "n,t\n1.5,2026-03-01\n3,2026-03-01T00:00:00\n0.25,2026-03-01\n2,2026-03-01T06:00:00\n,\n",
    );
    place.copy(json!({"from": "a.csv", "to": "a.parquet"})).await.unwrap();
    let mut config = json!({"from": "a.parquet", "to": "b.csv", "columns": {"n": "decimal(3,1)", "t": "date"}, "on_error": "reject"});
    place.copy(config.clone()).await.unwrap();
    insta::assert_snapshot!(place.text("b.csv") + &place.text("attempt/rejects.csv"), @r###"
    n,t
    1.5,2026-03-01
    3.0,2026-03-01
    ,
    file,line,byte_offset,column,kind,raw,message
    "a.parquet",3,0,"n",type,"{""n"":0.25,""t"":""2026-03-01T00:00:00""}","`0.25` in column `n` is not of the type decimal(3,1)"
    "a.parquet",4,0,"t",type,"{""n"":2.0,""t"":""2026-03-01T06:00:00""}","`2026-03-01T06:00:00` in column `t` is not of the type date"
    "###);
    let truncate = |kind: &str| json!({"type": kind, "truncate": true});
    config["columns"] = json!({"n": truncate("decimal(3,1)"), "t": truncate("date")});
    place.copy(config).await.unwrap();
    insta::assert_snapshot!(place.text("b.csv"), @r###"
    n,t
    1.5,2026-03-01
    3.0,2026-03-01
    0.3,2026-03-01
    2.0,2026-03-01
    ,
    "###);
    place.file("big.csv", "n\n1\n99999999999\n");
    place.copy(json!({"from": "big.csv", "to": "big.parquet"})).await.unwrap();
    let config =
        json!({"from": "big.parquet", "to": "c.csv", "columns": {"n": "decimal(5,0)"}, "on_error": "reject"});
    let outcome = place.copy(config).await.unwrap();
    assert_eq!(outcome.outputs["rejected"], json!(1));
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r###"
    file,line,byte_offset,column,kind,raw,message
    "big.parquet",2,0,"n",type,"{""n"":99999999999}","`99999999999` in column `n` is not of the type decimal(5,0)"
    "###);
}

#[tokio::test]
async fn what_is_wrong_with_the_columns_is_said() {
    let place = Place::new();
    place.file("a.csv", "id,name\n1,Ann\n");
    place.file("a.jsonl", r#"{"id": 1, "who": {"name": "Ann"}, "tags": ["x"]}"#);
    let mut said = Vec::new();
    for config in [
        json!({"from": "a.csv", "select": ["nam"]}),
        json!({"from": "a.csv", "rename": {"name": "id"}}),
        json!({"from": "a.csv", "rename": {"/(/": "x"}}),
        json!({"from": "a.csv", "mapping": {"x": 3}}),
        json!({"from": "a.csv", "mapping": {"x": "id"}, "drop": ["id"]}),
        json!({"from": "a.csv", "mapping": {"x": {"from": "id", "type": "integer", "default": "none"}}}),
        json!({"from": "a.csv", "add": {"id": 1}}),
        json!({"from": "a.csv", "add": {"x": "$path"}}),
        json!({"from": "a.csv", "drop": ["*"]}),
        json!({"from": "a.csv", "unnest": ["id"]}),
        json!({"from": "a.csv", "columns": {"id": {"type": "integer", "format": "%d"}}}),
        json!({"from": "a.jsonl", "columns": {"tags": "integer"}}),
        json!({"from": "a.jsonl", "mapping": {"x": "$.who.nam"}}),
        json!({"from": "a.jsonl", "mapping": {"x": "$.tags.x"}}),
    ] {
        let mut config = config;
        config["to"] = json!("b.jsonl");
        let error = place.copy(config).await.unwrap_err();
        said.push(format!("{}\n  hint: {}", error.problem.message, error.problem.hints.join("; ")));
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    there is no column `nam` to select
      hint: did you mean `name`?
    two columns would be named `id`
      hint: rename: {name: another_name}
    `/(/` is not a regular expression: regex parse error:
        (
        ^
    error: unclosed group
      hint: rename: {"/^customer_(.*)$/": $1}
    there is no column 3; the source has 2
      hint: columns are counted from 1
    `mapping` names every column of the sink, so `drop` has nothing to say
      hint: leave `drop` out
    `none`, the default of `x`, is not of its type integer
      hint: default: a value of the type of `x`
    `add` names the column `id`, which is there already
      hint: give it another name
    `$path` of the column `x` is not known
      hint: add: {file: $file, changed: $modified, row: $row, run: $run, at: $loaded_at}
    no column is left
      hint: select: ["*"]
    the column `id` has no lists to unnest; it is integer
      hint: leave `id` out of `unnest`
    column `id`: `format` is for dates and times; a column of the type integer has none
      hint: id: {type: date, format: "%d.%m.%Y"}
    row cannot be read: `["x"]` is not of the type integer
      hint: to keep the column as text: `columns: {tags: string}`; to go on and collect such rows: `on_error: reject`
    `$.who.nam` leads nowhere: there is no field `nam`
      hint: did you mean `name`?
    `$.tags.x` leads nowhere: what `x` should be in is a list; `unnest` it first
      hint: mapping: {city: $.address.city}
    "###);
}

#[tokio::test]
async fn a_share_of_bad_rows_is_judged_before_anything_is_written() {
    let place = Place::new();
    place.file("a.csv", "id\n1\n2\nx\n4\n");
    let config = |limit: &str| json!({"from": "a.csv", "to": "b.csv", "columns": {"id": "integer"}, "on_error": "reject", "max_rejects": limit});
    let message = place.message(config("24.9%")).await;
    assert_eq!(message, "more than 24.9% of the rows were rejected");
    assert!(!place.folder.path().join("b.csv").exists());
    let outcome = place.copy(config("25%")).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn what_was_written_is_compared_with_what_was_read() {
    let place = Place::new();
    place.file(
        "a.csv",
        "id,price,day,note\n1,1.10,2026-03-01,x\n2,,2026-03-02,\"a\nb\"\n1,1.10,2026-03-01,x\n",
    );
    for to in ["b.csv", "b.jsonl", "b.parquet", "b.csv.zst"] {
        let config = json!({"from": "a.csv", "to": to, "verify": "checksums",
            "columns": {"id": "integer", "price": "decimal(9,2)", "day": "date"}});
        let outcome = place.copy(config).await.unwrap();
        assert_eq!(outcome.outputs["verification"]["result"], json!("Verified"), "{to}");
    }
    // An empty text is null in CSV.
    place.file("c.jsonl", r#"{"note": ""}"#);
    let message = place.message(json!({"from": "c.jsonl", "to": "d.csv", "verify": "checksums"})).await;
    assert_eq!(message, "what was written to `d.csv` is not what was read: the values of note differ");
    let outcome = place.copy(json!({"from": "a.csv", "to": "b.csv", "verify": "none"})).await.unwrap();
    assert_eq!(outcome.outputs["verification"]["result"], json!("NotVerified"));
}
