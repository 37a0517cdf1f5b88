use millrace_storage::testing::TestS3;
use serde_json::json;

use super::{outputs, runs, settled, wait_until_asked};
use crate::project::{Project, wait_until};
use crate::server::Up;

fn pipeline(what: &str) -> String {
    format!(
        "triggers:\n  landed: {{{what}, every: 200ms, settle: 300ms}}\n  gone: {{{what}, every: 200ms, settle: 0s, events: [deleted]}}\n\
         steps: {{note: {{set: {{path: \"${{{{ event.blob.path }}}}\", size: \"${{{{ event.blob.size }}}}\", change: \"${{{{ event.blob.change }}}}\"}}}}}}\n"
    )
}

#[test]
fn event_blob_created_and_deleted_in_a_local_folder() {
    let project = Project::new(&[
        ("pipelines/p.yaml", &pipeline("file: \"landing/**/*.csv\"")),
        ("landing/old.csv", "a\n1\n"),
    ]);
    let server = Up::start(&project);
    wait_until_asked(&server, "landed");
    wait_until_asked(&server, "gone");
    project.write("landing/day/empty.csv", "");
    project.write("landing/day/a.txt", "not a table");
    project.write("landing/day/new.csv", "a\n1\n2\n");
    let event = settled(&server, "landed");
    assert_eq!(event["type"], "file.created");
    assert_eq!(
        outputs(&server, &event["run_id"]),
        json!({"path": "landing/day/new.csv", "size": 6, "change": "created"})
    );
    std::fs::remove_file(project.path().join("landing/old.csv")).unwrap();
    let event = settled(&server, "gone");
    assert_eq!(outputs(&server, &event["run_id"])["path"], "landing/old.csv");
    // Replaced by other content it has come again; the same file looked at again has not.
    project.write("landing/day/new.csv", "a\n1\n2\n3\n");
    wait_until(|| runs(&server, "p").len() == 3);
    drop(server);
    let server = Up::start(&project);
    project.write("landing/last.csv", "a\n");
    wait_until(|| runs(&server, "p").len() == 4);
    assert_eq!(outputs(&server, &settled(&server, "landed")["run_id"])["path"], "landing/last.csv");
}

#[test]
fn event_blob_created_while_no_server_was_up() {
    let project = Project::new(&[("pipelines/p.yaml", &pipeline("file: \"landing/*.csv\""))]);
    let server = Up::start(&project);
    wait_until_asked(&server, "landed");
    drop(server);
    project.write("landing/meanwhile.csv", "a\n1\n");
    let server = Up::start(&project);
    let event = settled(&server, "landed");
    assert_eq!(outputs(&server, &event["run_id"])["path"], "landing/meanwhile.csv");
}

#[test]
fn event_blob_created_on_s3() {
    let start = TestS3::start();
    let bucket = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(start);
    let Some(bucket) = bucket else { return };
    let project = Project::new(&[("pipelines/p.yaml", &pipeline("blob: \"s3://lake/landing/**/*.csv\""))]);
    let project = project.with_variables(bucket.variables());
    let server = Up::start(&project);
    wait_until_asked(&server, "landed");
    wait_until_asked(&server, "gone");
    bucket.boto("s3.put_object(Bucket='lake', Key='landing/day/a.csv', Body=b'a')");
    bucket.boto("s3.put_object(Bucket='lake', Key='elsewhere/a.csv', Body=b'a')");
    let event = settled(&server, "landed");
    assert_eq!(event["type"], "blob.created");
    assert_eq!(
        outputs(&server, &event["run_id"]),
        json!({"path": "landing/day/a.csv", "size": 1, "change": "created"})
    );
    bucket.boto("s3.delete_object(Bucket='lake', Key='landing/day/a.csv')");
    assert_eq!(outputs(&server, &settled(&server, "gone")["run_id"])["change"], "deleted");
    assert_eq!(runs(&server, "p").len(), 2);
}

#[test]
fn event_blob_created_in_the_workspaces_own_storage() {
    let project = Project::new(&[("pipelines/p.yaml", &pipeline("blob: \"lake://landing/*.csv\""))]);
    let server = Up::start(&project);
    wait_until_asked(&server, "landed");
    project.write(".millrace/storage/landing/a.csv", "a\n");
    assert_eq!(outputs(&server, &settled(&server, "landed")["run_id"])["path"], "landing/a.csv");
}
