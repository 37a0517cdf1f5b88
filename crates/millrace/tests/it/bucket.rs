//! A workspace whose datasets, models and artifacts are in a bucket of a real S3 server (moto).

use millrace_storage::testing::TestS3;

use crate::clients::{drive, drive_with};
use crate::project::Project;
use crate::server::Up;
use crate::serving::{PIPELINE, rows};

/// What a program is given of a model that lies in the bucket, and rows that it scores.
const USE: &str = r#"
inputs:
  model: {type: model, default: "model:late@champion"}
steps:
  look:
    run: "grep -q onnx $MILLRACE_INPUT_MODEL/MLmodel && ls $MILLRACE_INPUT_ROWS/*.parquet"
    inputs: {model: "${{ inputs.model }}", rows: "data:rows"}
  score:
    score: {model: "model:late@champion", data: "data:rows", to: "data:scored"}
"#;

fn start() -> Option<TestS3> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(TestS3::start())
}

fn variables(server: &TestS3) -> Vec<(String, String)> {
    let mut variables = server.variables();
    variables.push(("MILLRACE_STORAGE".to_owned(), "s3://lake/teams/one".to_owned()));
    variables
}

#[test]
fn everything_that_is_kept_is_in_the_bucket() {
    let Some(bucket) = start() else { return };
    let files = [("pipelines/p.yaml", PIPELINE), ("pipelines/use.yaml", USE), ("raw.csv", &rows())];
    let project = Project::new(&files).with_variables(variables(&bucket));
    let ended = project.json(&["run", "p", "--json"]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let states = |ended: &serde_json::Value| -> Vec<String> {
        let steps = ended["steps"].as_array().unwrap();
        steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
    };
    let again = project.json(&["run", "p", "--json"]);
    assert!(states(&again).iter().all(|state| state == "cached"), "{again}");
    let used = project.json(&["run", "use", "--json"]);
    assert_eq!(used["state"], "succeeded", "{used}");
    let rows = project.json(&["sql", "select count(*) as rows from scored", "--json"]);
    assert!(rows.to_string().contains("2000"), "{rows}");

    let keys = bucket.boto(
        "sorted({'/'.join(o['Key'].split('/')[:4]) for o in s3.list_objects_v2(Bucket='lake')['Contents']})",
    );
    for kept in ["teams/one/datasets/rows", "teams/one/datasets/scored", "teams/one/models/late"] {
        assert!(keys.contains(kept), "{keys}");
    }
    for local in ["datasets", "models", "artifacts"] {
        assert!(!project.path().join(".millrace/storage").join(local).exists(), "{local} lie here, too");
    }
    let doctor = project.millrace(&["doctor"]);
    assert!(doctor.contains("s3://lake/teams/one"), "{doctor}");

    let server = Up::start(&project);
    drive("serving_client.py", &[&server.url, "late"], project.path());
    let model = server.get("/api/models/late");
    let folder = model["version"]["artifact_path"].as_str().unwrap_or_default();
    let files = server.get(&format!("/api/2.0/mlflow-artifacts/artifacts?path={folder}"));
    assert!(files.to_string().contains("MLmodel"), "{model} {files}");
    assert_ne!(model["version"]["onnx"], serde_json::Value::Null, "{model}");
    let sample = server.get("/api/datasets/rows/sample?limit=3");
    assert_eq!(sample["rows"].as_array().map(Vec::len), Some(3), "{sample}");
}

#[test]
fn clients_of_mlflow_keep_their_files_in_the_bucket() {
    let Some(bucket) = start() else { return };
    let project = Project::new(&[]).with_variables(variables(&bucket));
    let server = Up::start(&project);
    drive_with("mlflow_client.py", &[&server.url], project.path(), &variables(&bucket));
    drive("mlflow_large_files.py", &[&server.url, "bucket"], project.path());
    assert_eq!(bucket.boto("s3.list_multipart_uploads(Bucket='lake').get('Uploads', [])"), "[]");
}

#[test]
fn a_bucket_that_is_not_there_is_said() {
    let mut given = vec![("MILLRACE_STORAGE".to_owned(), "s3:/lake".to_owned())];
    let project = Project::new(&[("pipelines/p.yaml", PIPELINE), ("raw.csv", &rows())]);
    let project = project.with_variables(given.clone());
    insta::assert_snapshot!(project.millrace(&["run", "p"]), @r"
    exit 1
    ----
    error[failed]: MILLRACE_STORAGE in the environment
     = `s3:/lake` is no storage: the bucket is missing after `s3://`; write `s3://BUCKET/PREFIX`, or the absolute path of a folder
    ");
    let Some(bucket) = start() else { return };
    given = bucket.variables();
    given.push(("MILLRACE_STORAGE".to_owned(), "s3://no-such-bucket".to_owned()));
    let project = Project::new(&[]).with_variables(given);
    let doctor = project.millrace(&["doctor"]);
    assert!(doctor.contains("there is no bucket `no-such-bucket`"), "{doctor}");
}
