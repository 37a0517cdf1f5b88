use millrace_deployment::{Dialect, ScoreOptions, mlflow_error_code};
use serde_json::{Value, json};

use crate::support::{TestServer, row};

async fn served() -> TestServer {
    let test = TestServer::new().await;
    let target = test.late("late@champion", 3);
    assert!(test.deploy("main", target, 100).await.unwrap());
    test
}

fn body(value: &Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn rows_come_in_four_shapes_and_give_one_answer() {
    let test = served().await;
    let columns: Vec<String> = row().as_object().unwrap().keys().cloned().collect();
    let cells: Vec<Value> = row().as_object().unwrap().values().cloned().collect();
    let bodies = [
        json!({"rows": [row()]}),
        row(),
        json!([row()]),
        json!({"rows": [cells]}),
        json!({"input_data": {"columns": columns, "index": [7], "data": [cells]}}),
        json!({"input_data": [cells]}),
    ];
    let mut answers = Vec::new();
    for given in &bodies {
        let answer = test.ask(Dialect::Rows, &body(given)).await.unwrap();
        assert_eq!((&answer["model"], &answer["deployment"]), (&json!("late@3"), &json!("main")));
        assert_eq!(answer["prediction_ids"].as_array().unwrap().len(), 1);
        answers.push(answer["predictions"].clone());
    }
    answers.dedup();
    let [answer] = answers.as_slice() else { panic!("{answers:?}") };
    let probabilities = answer[0]["probabilities"].as_object().unwrap();
    let [early, late] = ["early", "late"].map(|class| probabilities[class].as_f64().unwrap());
    assert!((early + late - 1.0).abs() < 1e-6);
    assert_eq!(answer[0]["prediction"], json!(if early > late { "early" } else { "late" }));
    let two = test.ask(Dialect::Rows, &body(&json!({"rows": [row(), row()]}))).await.unwrap();
    let ids: Vec<&str> = two["prediction_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(ids[0].ends_with("-0") && ids[1].ends_with("-1") && ids[0][..32] == ids[1][..32], "{ids:?}");
}

/// The columns of a row in another order than the model's, and its cells.
fn turned() -> (Value, Value) {
    (json!(["carrier", "x0", "x1", "x2", "x3", "x4"]), json!(["AA", 0.5, 1, -0.25, 0, 2]))
}

#[tokio::test]
async fn mlflows_table_of_good_requests_is_kept() {
    let test = served().await;
    let table = |change: &dyn Fn(&mut Value)| {
        let mut record = row();
        change(&mut record);
        json!({"dataframe_records": [record]})
    };
    let (columns, cells) = turned();
    let by_name = json!({"x0": [0.5], "x1": [1], "x2": [-0.25], "x3": [0], "x4": [[2]], "carrier": ["AA"]});
    let good = [
        ("another order", json!({"dataframe_split": {"columns": columns, "data": [cells]}})),
        ("an index", json!({"dataframe_split": {"columns": columns, "index": [4], "data": [cells]}})),
        ("an extra column", table(&|record| record["extra"] = json!([1, {"a": 2}]))),
        ("whole numbers for doubles", table(&|_| {})),
        ("instances", json!({"instances": [row()], "params": {"a": 1}})),
        ("inputs", json!({"inputs": by_name, "signature_name": "x"})),
        ("a null number", table(&|record| record["x1"] = Value::Null)),
    ];
    for (name, given) in &good {
        let answer = test.ask(Dialect::Invocations, &body(given)).await;
        let answer = answer.unwrap_or_else(|problem| panic!("{name}: {}", problem.message));
        let predictions = answer["predictions"].as_array().unwrap();
        assert!(
            answer.as_object().unwrap().len() == 1 && predictions.len() == 1 && predictions[0].is_string()
        );
    }
}

#[tokio::test]
async fn mlflows_table_of_bad_requests_is_kept_and_the_data_stays_out_of_it() {
    let test = served().await;
    let table = |change: &dyn Fn(&mut Value)| {
        let mut record = row();
        change(&mut record);
        json!({"dataframe_records": [record]})
    };
    let (columns, cells) = turned();
    let split = |columns: Value, data: Value| json!({"dataframe_split": {"columns": columns, "data": data}});
    let bad = [
        ("missing column", body(&table(&|record| _ = record.as_object_mut().unwrap().shift_remove("x2")))),
        ("misspelt column", body(&split(json!(["carier", "x0", "x1", "x2", "x3", "x4"]), json!([cells])))),
        ("wrong type", body(&table(&|record| record["x1"] = json!("SECRET")))),
        ("number for text", body(&table(&|record| record["carrier"] = json!(777)))),
        ("list in a cell", body(&table(&|record| record["x1"] = json!([1])))),
        ("ragged rows", body(&split(columns.clone(), json!([cells, ["AA"]])))),
        ("empty records", body(&json!({"dataframe_records": []}))),
        ("empty split", body(&split(columns.clone(), json!([])))),
        ("bad JSON", "{\"dataframe_records\": [{\"x0\": SECRET}]}".to_owned()),
        ("no JSON", String::new()),
        ("top-level list", body(&json!([row()]))),
        ("no format", body(&json!({"rows": [row()]}))),
        ("two formats", body(&json!({"instances": [row()], "inputs": [row()]}))),
        (
            "foreign split key",
            body(&json!({"dataframe_split": {"columns": columns, "data": [cells], "dtype": "x"}})),
        ),
        ("split without data", body(&json!({"dataframe_split": {"columns": columns}}))),
        ("split is a list", body(&json!({"dataframe_split": [row()]}))),
        ("records is an object", body(&json!({"dataframe_records": row()}))),
        ("records of lists", body(&json!({"dataframe_records": [cells]}))),
        ("too few cells", body(&json!({"instances": [[1, 2]]}))),
        ("mixed instances", body(&json!({"instances": [row(), 1]}))),
        ("unequal columns", body(&json!({"inputs": {"x0": [1, 2], "x1": [1]}}))),
        ("instances is an object", body(&json!({"instances": row()}))),
    ];
    let mut found = Vec::new();
    for (name, given) in &bad {
        let problem = test.ask(Dialect::Invocations, given).await.unwrap_err();
        assert!(
            !format!("{problem:?}").contains("SECRET") && !format!("{problem:?}").contains("777"),
            "{problem:?}"
        );
        found.push(format!("{name}: {} {}", mlflow_error_code(&problem), problem.message));
    }
    insta::assert_snapshot!(found.join("\n"), @r#"
    missing column: INVALID_PARAMETER_VALUE the column `x2` is missing
    misspelt column: INVALID_PARAMETER_VALUE the column `carrier` is missing
    wrong type: BAD_REQUEST the column `x1` is text in row 1, not double
    number for text: BAD_REQUEST the column `carrier` is a whole number in row 1, not string
    list in a cell: BAD_REQUEST the column `x1` is a list in row 1, not double
    ragged rows: BAD_REQUEST row 2 has not 6 cells but 1
    empty records: BAD_REQUEST there are no rows
    empty split: BAD_REQUEST there are no rows
    bad JSON: BAD_REQUEST the body is not JSON, at line 1, column 31
    no JSON: BAD_REQUEST the body is not JSON, at line 1, column 0
    top-level list: BAD_REQUEST the body is not an object
    no format: BAD_REQUEST the body has 0 of the keys dataframe_split, dataframe_records, instances, inputs, not one
    two formats: BAD_REQUEST the body has 2 of the keys dataframe_split, dataframe_records, instances, inputs, not one
    foreign split key: BAD_REQUEST `dataframe_split` has the key `dtype`; its keys are data, columns and index
    split without data: BAD_REQUEST `dataframe_split.data` is not a list
    split is a list: BAD_REQUEST `dataframe_split` is not an object
    records is an object: BAD_REQUEST `dataframe_records` is not a list of objects
    records of lists: BAD_REQUEST `dataframe_records` is not a list of objects
    too few cells: BAD_REQUEST the rows have 2 cells, and the model takes 6 columns
    mixed instances: BAD_REQUEST the rows are not all of one shape
    unequal columns: BAD_REQUEST the column `x1` is not as long as the others
    instances is an object: BAD_REQUEST `instances` is not a list
    "#);
}

#[tokio::test]
async fn tensors_come_flat_or_nested_and_outputs_may_be_chosen() {
    let test = served().await;
    let tensor = |name: &str, shape: Value, datatype: &str, data: Value| json!({"name": name, "shape": shape, "datatype": datatype, "data": data});
    let numbers = |name: &str| tensor(name, json!([2]), "FP64", json!([0.5, 1]));
    let inputs = json!([
        numbers("x4"),
        numbers("x3"),
        tensor("x2", json!([2, 1]), "FP32", json!([[1.5], [2]])),
        numbers("x1"),
        tensor("x0", json!([2, 1]), "INT64", json!([1, 2])),
        tensor("carrier", json!([2]), "BYTES", json!(["AA", "UA"])),
    ]);
    let answer =
        test.ask(Dialect::OpenInference, &body(&json!({"id": "abc", "inputs": inputs}))).await.unwrap();
    assert_eq!(
        (&answer["id"], &answer["model_name"], &answer["model_version"]),
        (&json!("abc"), &json!("flights"), &json!("3"))
    );
    let names: Vec<&Value> =
        answer["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, [&json!("prediction"), &json!("probability_early"), &json!("probability_late")]);
    assert_eq!(answer["outputs"][0]["datatype"], "BYTES");
    assert_eq!(answer["outputs"][2]["shape"], json!([2, 1]));
    let chosen = json!({"inputs": inputs, "outputs": [{"name": "probability_late"}]});
    let chosen = test.ask(Dialect::OpenInference, &body(&chosen)).await.unwrap();
    assert_eq!(chosen["outputs"], json!([answer["outputs"][2]]));
    assert_eq!(chosen["id"].as_str().unwrap().len(), 32);

    let with = |at: usize, key: &str, value: Value| {
        let mut inputs = inputs.clone();
        inputs[at][key] = value;
        json!({"inputs": inputs})
    };
    let mut few = inputs.clone();
    few.as_array_mut().unwrap().pop();
    let bad = [
        ("unknown name", with(0, "name", json!("x5"))),
        ("short data", with(0, "data", json!([1]))),
        ("wrong width", with(0, "shape", json!([1, 2]))),
        ("wrong datatype", with(0, "datatype", json!("BYTES"))),
        ("unknown datatype", with(0, "datatype", json!("FLOAT"))),
        ("text for numbers", json!({"inputs": [tensor("x0", json!([1]), "BYTES", json!(["SECRET"]))]})),
        ("missing input", json!({"inputs": few})),
        ("twice", with(0, "name", json!("x3"))),
        ("raw bytes", with(0, "parameters", json!({"binary_data_size": 16}))),
        (
            "raw outputs",
            json!({"inputs": inputs, "outputs": [{"name": "prediction", "parameters": {"binary_data": true}}]}),
        ),
        ("unknown output", json!({"inputs": inputs, "outputs": [{"name": "label"}]})),
        ("no inputs", json!({"outputs": []})),
    ];
    let mut found = Vec::new();
    for (name, given) in &bad {
        let problem = test.ask(Dialect::OpenInference, &body(given)).await.unwrap_err();
        assert!(!format!("{problem:?}").contains("SECRET"), "{problem:?}");
        found.push(format!("{name}: {} {}", problem.code, problem.message));
    }
    insta::assert_snapshot!(found.join("\n"), @r#"
    unknown name: bad-input the model has no input `x5`
    short data: bad-input the input `x4` has 1 elements, which do not fill its shape [2]
    wrong width: bad-input the input `x4` has the shape [1, 2], not [rows] or [rows, 1]
    wrong datatype: bad-input the input `x4` has elements that are not BYTES
    unknown datatype: bad-input the input `x4` has an unknown datatype
    text for numbers: bad-input the column `x0` is text in row 1, not double
    missing input: missing-column the column `carrier` is missing
    twice: bad-input the input `x3` is there twice
    raw bytes: bad-input inputs as raw bytes are not supported
    raw outputs: bad-input outputs as raw bytes are not supported
    unknown output: bad-input the model has no output `label`
    no inputs: bad-input the body is not `{"inputs": [{"name", "shape", "datatype", "data"}]}`
    "#);
}

#[tokio::test]
async fn a_matrix_of_all_columns_is_one_tensor() {
    let test = TestServer::new().await;
    let url = crate::support::folder(&test.folder.path().join("m"), "forest", "");
    let target = test.registry.put("forest", "forest", 1, &url);
    test.deploy("main", target, 100).await.unwrap();
    let given = json!({"inputs": [{"name": "X", "shape": [2, 5], "datatype": "FP32", "data": [[1, 2, 3, 4, 5], [0.5, 0, 0, 0, 0]]}]});
    let answer = test.ask(Dialect::OpenInference, &body(&given)).await.unwrap();
    assert_eq!(answer["outputs"][0]["datatype"], "INT64");
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 4);
    let lists =
        test.ask(Dialect::Invocations, "{\"inputs\": [[1, 2, 3, 4, 5], [0.5, 0, 0, 0, 0]]}").await.unwrap();
    let flat: Vec<Value> = answer["outputs"][0]["data"].as_array().unwrap().clone();
    assert_eq!(lists["predictions"].as_array().unwrap(), &flat);
    let narrow = json!({"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]});
    let problem = test.ask(Dialect::OpenInference, &body(&narrow)).await.unwrap_err();
    assert_eq!(problem.message, "the rows have 2 cells, and the model takes 5 columns");
}

#[tokio::test]
async fn metadata_lists_the_columns_as_tensors() {
    let test = served().await;
    let metadata = test.server.metadata("flights").unwrap();
    assert_eq!(
        (&metadata["name"], &metadata["versions"], &metadata["platform"]),
        (&json!("flights"), &json!(["3"]), &json!("onnx"))
    );
    assert_eq!(metadata["inputs"][5], json!({"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]}));
    assert_eq!(
        metadata["outputs"][1],
        json!({"name": "probability_early", "datatype": "FP64", "shape": [-1, 1]})
    );
    assert_eq!(test.server.metadata("flight"), None);
}

#[tokio::test]
async fn many_rows_are_scored_off_the_thread_alike() {
    let test = served().await;
    let rows: Vec<Value> =
        (0..3000).map(|n| json!({"x0": n, "x1": 1, "x2": 0, "x3": 0, "x4": 0, "carrier": "AA"})).collect();
    let all = test.ask(Dialect::Rows, &body(&json!({"rows": rows}))).await.unwrap();
    for at in [0, 1, 99, 2999] {
        let one = test.ask_for(Dialect::Rows, &body(&rows[at]), ScoreOptions::default()).await.unwrap();
        assert_eq!(one["predictions"][0], all["predictions"][at]);
    }
    let cells: Vec<Value> = (0..100).map(|n| json!([n, 1, 0, 0, 0, "AA"])).collect();
    let hundred = test.ask(Dialect::Invocations, &body(&json!({"instances": cells}))).await.unwrap();
    assert_eq!(hundred["predictions"][99], all["predictions"][99]["prediction"]);
}
