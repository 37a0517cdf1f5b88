//! Delta tables that are no datasets: the command `copy` and steps, beside Python's `deltalake`, in folders and in a bucket (moto).
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]

use std::process::Command;

use millrace_storage::testing::TestS3;

use crate::project::Project;

const ORDERS: &str = "id,day,amount\n1,2026-03-01,1.50\n2,2026-03-01,\n3,2026-03-02,-0.25\n";

/// What a program of Python prints in the workspace; `None` where there is no interpreter with `deltalake`.
pub(crate) fn python(project: &Project, program: &str) -> Option<String> {
    let Some(python) = std::env::var_os("MILLRACE_TEST_FORMATS") else {
        println!(
            "skipped: MILLRACE_TEST_FORMATS names no interpreter with deltalake; `cargo xtask test` sets it"
        );
        return None;
    };
    // The interpreter is not taken down: threads of its packages that are still there may make it abort after all is said.
    let program = format!("{program}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n");
    let output = Command::new(python).args(["-c", &program]).current_dir(project.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn copied(project: &Project, arguments: &[&str]) {
    let all: Vec<&str> = ["copy"].iter().chain(arguments).copied().collect();
    let said = project.millrace(&all);
    assert!(said.starts_with("exit 0"), "{said}");
}

fn text(project: &Project, from: &str) -> String {
    copied(project, &[from, "out.csv"]);
    project.read("out.csv")
}

#[test]
fn a_table_is_written_and_read_at_every_version() {
    let files = [
        ("orders.csv", ORDERS),
        ("later.csv", "amount,id,day\n9.75,4,2026-03-03\n5,2,2026-03-04\n6,2,2026-03-05\n"),
    ];
    let project = Project::new(&files);
    let decimal = ["--column", "amount=decimal(10,2)"];
    copied(
        &project,
        &["orders.csv", "delta:lake/orders", decimal[0], decimal[1], "--with", "verify=checksums"],
    );
    copied(&project, &["orders.csv", "delta:lake/orders", decimal[0], decimal[1], "--append"]);
    copied(&project, &["orders.csv", "delta:lake/orders", decimal[0], decimal[1]]);
    let upsert = ["later.csv", "delta:lake/orders", decimal[0], decimal[1], "--with", "write={upsert: [id]}"];
    copied(&project, &upsert);
    copied(&project, &["delta:lake/orders", "newest.csv", "--with", "columns={}"]);
    let mut newest: Vec<String> = project.read("newest.csv").lines().skip(1).map(str::to_owned).collect();
    newest.sort();
    assert_eq!(newest, ["1,2026-03-01,1.50", "2,2026-03-05,6.00", "3,2026-03-02,-0.25", "4,2026-03-03,9.75"]);
    assert_eq!(text(&project, "delta:lake/orders@0").lines().count(), 4);
    assert_eq!(text(&project, "delta:lake/orders@1").lines().count(), 7);
    // A time is that of the newest version that was there.
    let log = project.read("lake/orders/_delta_log/00000000000000000001.json");
    let info = log.lines().find(|line| line.contains("commitInfo")).unwrap();
    let info: serde_json::Value = serde_json::from_str(info).unwrap();
    let at = info["commitInfo"]["timestamp"].as_i64().unwrap();
    let place = |milliseconds: i64| {
        format!("delta:lake/orders@{}", jiff::Timestamp::from_millisecond(milliseconds).unwrap())
    };
    assert_eq!(text(&project, &place(at)).lines().count(), 7);
    let mut said = vec![project.millrace(&["copy", "delta:lake/orders@1999-01-01T00:00:00Z", "x.csv"])];
    for from in ["delta:lake/orders@9", "delta:lake/absent", "delta:lake/orders@2026-03-01"] {
        said.push(project.millrace(&["copy", from, "x.csv"]));
    }
    said.push(project.millrace(&["copy", "orders.csv", "delta:lake/orders@1"]));
    said.push(project.millrace(&["copy", "orders.csv", "delta:lake/orders", "--with", "write=snapshot"]));
    said.push(project.millrace(&[
        "copy",
        "orders.csv",
        "delta:lake/orders",
        "--with",
        "write={upsert: [amount]}",
    ]));
    // A time in whole seconds has no fraction.
    let said = regex::Regex::new(r"\.\d+Z").unwrap().replace_all(&said.join("\n"), "Z").into_owned();
    insta::assert_snapshot!(said, @r###"
    exit 1
    ----
    error[copy-read]: cannot read `delta:lake/orders`: its first version is of [time]Z

    exit 1
    ----
    error[copy-read]: cannot read `delta:lake/orders`: there is no version 9, the newest is 3

    exit 1
    ----
    error[copy-read]: cannot read `delta:lake/absent`: there is no Delta table here

    exit 1
    ----
    error[copy-config]: `2026-03-01` is neither a version nor an instant such as `[time]Z`
    hint: delta:lake/orders, delta:lake/orders@12

    exit 1
    ----
    error[copy-config]: a version that is there cannot be written
    hint: delta:lake/orders, without `@`

    exit 1
    ----
    error[copy-config]: only tables of databases can be written so
    hint: `write: overwrite`, or copy to `connection:table`

    exit 1
    ----
    error[copy-write]: cannot write `delta:lake/orders`: a row has no value in `amount`, which is among its keys
    "###);
    let Some(found) = python(&project, READ) else { return };
    assert_eq!(found, "3 [(1, '1.50'), (2, '6.00'), (3, '-0.25'), (4, '9.75')] 6\n");
}

const READ: &str = "
from deltalake import DeltaTable
table = DeltaTable('lake/orders')
rows = sorted((row['id'], str(row['amount'])) for row in table.to_pyarrow_table().to_pylist())
print(table.version(), rows, len(DeltaTable('lake/orders', version=1).to_pyarrow_table()))
";

/// Tables that another program writes and changes, some of them in ways that are not written here.
const WRITE: &str = "
import datetime as dt, decimal
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
table = pa.table({'id': [1, 2, 3], 'name': ['a', None, 'Z\u{fc}rich'], 'day': [dt.date(2026, 3, 1)] * 3,
    'price': pa.array([decimal.Decimal('1.10')] * 3, pa.decimal128(12, 2)), 'tags': [['x', None], [], None]})
write_deltalake('lake/theirs', table)
DeltaTable('lake/theirs').delete('id = 2')
write_deltalake('lake/divided', table, partition_by=['day'])
write_deltalake('lake/watched', table, configuration={'delta.enableChangeDataFeed': 'true'})
";

#[test]
fn tables_of_other_programs_are_read_and_not_broken() {
    let project = Project::new(&[("more.csv", "id,name,day,price,tags\n")]);
    if python(&project, WRITE).is_none() {
        return;
    }
    assert_eq!(
        text(&project, "delta:lake/theirs"),
        "id,name,day,price,tags\n1,a,2026-03-01,1.10,\"[\"\"x\"\",null]\"\n3,Zürich,2026-03-01,1.10,\n"
    );
    assert_eq!(text(&project, "delta:lake/theirs@0").lines().count(), 4);
    assert_eq!(text(&project, "delta:lake/divided").lines().count(), 4);
    let mut said = Vec::new();
    for table in ["divided", "watched"] {
        said.push(project.millrace(&[
            "copy",
            "delta:lake/theirs",
            &format!("delta:lake/{table}"),
            "--append",
        ]));
    }
    insta::assert_snapshot!(said.join("\n"), @r###"
    exit 1
    ----
    error[copy-write]: cannot write `delta:lake/divided`: the table is divided by `day`, which is not written here; write it with its own engine, or a table of another name

    exit 1
    ----
    error[copy-write]: cannot write `delta:lake/watched`: the table wants a writer that knows version 4 of the protocol; write a table of another name
    "###);
    copied(&project, &["delta:lake/theirs@0", "delta:lake/theirs", "--append"]);
    let found = python(
        &project,
        "
from deltalake import DeltaTable
print(sorted(row['id'] for row in DeltaTable('lake/theirs').to_pyarrow_table().to_pylist()))
",
    );
    assert_eq!(found.as_deref(), Some("[1, 1, 2, 3, 3]\n"));
}

#[test]
fn a_table_in_a_bucket_is_reached_by_its_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some(bucket) = runtime.block_on(TestS3::start()) else { return };
    let variables = bucket.variables();
    let variable = |name: &str| variables.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let connection = format!(
        "lake: {{s3: {{bucket: lake, endpoint: \"{}\", allow_http: true, access_key_id: {}, secret_access_key: {}}}}}\n",
        variable("AWS_ENDPOINT_URL"),
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    );
    let project = Project::new(&[("connections.yaml", &connection), ("orders.csv", ORDERS)]);
    copied(&project, &["orders.csv", "delta:s3://lake/tables/orders", "--with", "verify=checksums"]);
    copied(&project, &["orders.csv", "delta:s3://lake/tables/orders", "--with", "write={upsert: [id]}"]);
    copied(&project, &["orders.csv", "delta:s3://lake/tables/orders", "--append"]);
    assert_eq!(text(&project, "delta:s3://lake/tables/orders@1").lines().count(), 4);
    assert_eq!(text(&project, "delta:s3://lake/tables/orders").lines().count(), 7);
}

/// A step that is begun again after it had committed adds nothing, and a dataset takes keys too.
#[test]
fn datasets_take_keys_too() {
    let pipeline = "steps:\n  load: {copy: {from: orders.csv, to: \"data:orders\", write: {upsert: [id]}}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("orders.csv", ORDERS)]);
    for (orders, rows) in [(ORDERS, 3), ("id,day,amount\n3,2026-03-09,7\n4,2026-03-09,8\n", 4)] {
        project.write("orders.csv", orders);
        let ended = project.last_json(&["run", "p", "--json"]);
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let found = project.json(&["sql", "select count(*) as n, max(day) as day from orders", "--json"]);
        assert!(found.to_string().contains(&rows.to_string()), "{found}");
    }
}
