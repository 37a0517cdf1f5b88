//! What changed in Delta tables and datasets, copied by the program: tables of its own, and those of Python's `deltalake`.

use crate::delta::python;
use crate::project::Project;

const SINKS: &str = "db: {sqlite: {path: data/mirror.db}}\n";

/// What changed, applied to a sink.
fn mirrored(project: &Project, from: &str, to: &str, keys: &str) -> String {
    let write = format!("write={{apply_changes: {{keys: [{keys}]}}}}");
    copied(project, from, to, &["--with", &write])
}

fn copied(project: &Project, from: &str, to: &str, more: &[&str]) -> String {
    let state = format!("state=state/{}.json", to.replace([':', '/'], "-"));
    let mut arguments = vec!["copy", from, to, "--with", "incremental={changes: true}", "--with", &state];
    arguments.extend(more);
    let said = project.millrace(&arguments);
    assert!(said.starts_with("exit 0"), "{said}");
    said
}

/// The rows of a place, in the order of their lines.
fn rows(project: &Project, from: &str) -> String {
    let said = project.millrace(&["copy", from, "out.csv"]);
    assert!(said.starts_with("exit 0"), "{said}");
    let text = project.read("out.csv");
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    lines.join(" ")
}

fn loaded(project: &Project, rows: &str, write: &str) {
    project.write("rows.csv", format!("id,n\n{rows}"));
    let write = format!("write={write}");
    let said = project.millrace(&["copy", "rows.csv", "data:orders", "--with", &write]);
    assert!(said.starts_with("exit 0"), "{said}");
}

#[test]
fn changes_of_a_dataset_go_on_where_they_were() {
    let project = Project::new(&[("connections.yaml", SINKS)]);
    loaded(&project, "1,a\n2,b\n3,c\n", "overwrite");
    let mirrors = ["db:mirror", "data:mirror", "delta:lake/mirror"];
    let follow = |expected: &str| {
        for to in mirrors {
            mirrored(&project, "data:orders", to, "id");
            assert_eq!(rows(&project, to), expected, "{to}");
        }
        copied(&project, "data:orders", "db:log", &["--append"]);
    };
    // A look remembers nothing.
    let options = ["incremental={changes: true}", "state=state/looked.json", "schema=evolve"];
    let options = options.iter().flat_map(|option| ["--with", option]);
    let looked: Vec<&str> =
        ["copy", "data:orders", "db:looked", "--append", "--dry-run"].into_iter().chain(options).collect();
    let said = project.millrace(&looked);
    assert!(said.contains("would copy data:orders to db:looked") && said.contains("3   c"), "{said}");
    assert!(!project.path().join("state").exists());
    follow("1,a 2,b 3,c");
    loaded(&project, "4,d\n", "append");
    loaded(&project, "2,B\n5,e\n", "{upsert: [id]}");
    follow("1,a 2,B 3,c 4,d 5,e");
    loaded(&project, "5,E\n6,f\n", "overwrite");
    follow("5,E 6,f");
    // Nothing is written where nothing changed.
    let versions = || project.millrace(&["data", "list", "--json"]);
    let before = versions();
    for to in mirrors {
        let said = mirrored(&project, "data:orders", to, "id");
        assert!(said.contains("nothing of `orders` has changed"), "{said}");
    }
    assert_eq!(versions(), before);
    // The log, applied, is the table.
    let last = "db:(select id, n from (select *, row_number() over (partition by id order by rowid desc) as place from log) where place = 1 and _op = 'upsert')";
    assert_eq!(rows(&project, last), "5,E 6,f");
}

/// A pipeline is given the version of the dataset, and a step that is run again takes what is new.
#[test]
fn a_pipeline_follows_a_dataset() {
    let pipeline = "steps:\n  mirror:\n    copy:\n      from: data:orders\n      to: db:mirror\n      write: {apply_changes: {keys: [id]}}\n      incremental: {changes: true}\n      state: state/mirror.json\n";
    let project = Project::new(&[("connections.yaml", SINKS), ("pipelines/p.yaml", pipeline)]);
    loaded(&project, "1,a\n2,b\n", "overwrite");
    for (write, load, expected) in [
        ("append", "3,c\n", "1,a 2,b 3,c"),
        ("{upsert: [id]}", "1,A\n", "1,A 2,b 3,c"),
        ("overwrite", "9,i\n", "9,i"),
    ] {
        loaded(&project, load, write);
        let ended = project.last_json(&["run", "p", "--json"]);
        assert_eq!(ended["state"], "succeeded", "{ended}");
        assert_eq!(rows(&project, "db:mirror"), expected);
    }
}

/// Two tables of another program, one with a change data feed.
const BEGIN: &str = "
rows = pa.table({'id': [1, 2, 3, 4], 'part': ['x', 'x', 'y', 'y'], 'n': ['a', None, 'c', 'd']})
write_deltalake('lake/noted', rows, configuration={'delta.enableChangeDataFeed': 'true'}, partition_by=['part'])
write_deltalake('lake/plain', rows)
";

fn run(project: &Project, body: &str) -> Option<String> {
    python(
        project,
        &format!("import pyarrow as pa\nfrom deltalake import DeltaTable, write_deltalake\n{body}"),
    )
}

/// Another program notes its changes in files of their own, or not at all.
#[test]
fn changes_that_another_program_notes_are_read() {
    let project = Project::new(&[("connections.yaml", SINKS)]);
    if run(&project, BEGIN).is_none() {
        return;
    }
    let change = "
for name in ['noted', 'plain']:
    table = DeltaTable('lake/' + name)
    table.update(updates={'n': \"'changed'\"}, predicate='id = 1')
    table.update(updates={'id': '20'}, predicate='id = 2')
    table.delete('id = 3')
    coming = pa.table({'id': [4, 5], 'part': ['y', 'z'], 'n': ['D', 'e']})
    (DeltaTable('lake/' + name).merge(coming, 's.id = t.id', source_alias='s', target_alias='t')
        .when_matched_update_all().when_not_matched_insert_all().execute())
    DeltaTable('lake/' + name).optimize.compact()
";
    for name in ["noted", "plain"] {
        mirrored(&project, &format!("delta:lake/{name}"), &format!("db:{name}"), "id");
        copied(&project, &format!("delta:lake/{name}"), &format!("db:{name}_log"), &["--append"]);
    }
    run(&project, change).unwrap();
    for name in ["noted", "plain"] {
        let said = mirrored(&project, &format!("delta:lake/{name}"), &format!("db:{name}"), "id");
        assert_eq!(
            rows(&project, &format!("db:(select id, part, n from {name})")),
            "1,x,changed 20,x, 4,y,D 5,z,e",
            "{said}"
        );
        copied(&project, &format!("delta:lake/{name}"), &format!("db:{name}_log"), &["--append"]);
    }
    // What a compaction moved has not changed.
    let log = "db:(select id, n, _op from noted_log where rowid > 4)";
    assert_eq!(
        rows(&project, log),
        "1,a,delete 1,changed,upsert 2,,delete 20,,upsert 3,c,delete 4,D,upsert 4,d,delete 5,e,upsert"
    );

    // A column that comes later; rows that were there are not new because of it.
    let evolve = "
rows = pa.table({'id': [6], 'part': ['z'], 'n': ['f'], 'more': [1]})
write_deltalake('lake/noted', rows, mode='append', schema_mode='merge')
";
    let whole = ["--with", "write={apply_changes: {keys: [id]}}", "--with", "schema=evolve"];
    copied(&project, "delta:lake/noted", "db:wide", &whole);
    run(&project, evolve).unwrap();
    copied(&project, "delta:lake/noted", "db:wide", &whole);
    assert_eq!(rows(&project, "db:(select id, n, more from wide where id in (5, 6))"), "5,e, 6,f,1");
}

/// Files whose rows a version took away are gone; then its log is gone too.
#[test]
fn changes_that_another_program_took_away_are_told() {
    let project = Project::new(&[("connections.yaml", SINKS)]);
    if run(&project, BEGIN).is_none() {
        return;
    }
    mirrored(&project, "delta:lake/plain", "db:plain", "id");
    let vacuum = "
DeltaTable('lake/plain').update(updates={'n': \"'b'\"}, predicate='id = 2')
DeltaTable('lake/plain').delete('id = 1')
DeltaTable('lake/plain').vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
write_deltalake('lake/plain', pa.table({'id': [1], 'part': ['x'], 'n': ['again']}), mode='append')
";
    let forget = "
import os
DeltaTable('lake/plain').create_checkpoint()
for number in range(DeltaTable('lake/plain').version()):
    os.remove(f'lake/plain/_delta_log/{number:020}.json')
";
    let mut arguments = vec!["copy", "delta:lake/plain", "db:plain"];
    for option in
        ["incremental={changes: true}", "state=state/db-plain.json", "write={apply_changes: {keys: [id]}}"]
    {
        arguments.extend(["--with", option]);
    }
    run(&project, vacuum).unwrap();
    let said = project.millrace(&arguments);
    assert!(said.starts_with("exit 1") && said.contains("remove what was copied"), "{said}");
    run(&project, forget).unwrap();
    insta::assert_snapshot!(project.millrace(&arguments), @r###"
    exit 1
    ----
    error[copy-read]: cannot read `delta:lake/plain`: what version 1 changed is not in its log any more; if that stays so, remove what was copied, and the next copy takes every row
    "###);
    assert_eq!(rows(&project, "db:(select id, n from plain)"), "1,a 2, 3,c 4,d");
    // As it says.
    let dropped = ["copy", "out.csv", "db:other", "--with", "post_sql=[drop table plain]"];
    assert!(project.millrace(&dropped).starts_with("exit 0"));
    mirrored(&project, "delta:lake/plain", "db:plain", "id");
    assert_eq!(rows(&project, "db:(select id, n from plain)"), "1,again 2,b 3,c 4,d");
}
