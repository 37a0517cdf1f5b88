//! Flows and SQL on Sail, a server that speaks Spark's protocol. `MILLRACE_TEST_SAIL` names an interpreter that has it.

use insta::assert_snapshot;

use crate::project::Project;

const FLOW: &str = "flow: late
nodes:
  flights:
    source:
      name: flights
      columns: {carrier: string, delay: integer, day: date}
  late: {filter: delay > 15, from: flights}
  out: {aggregate: {by: carrier, values: {flights: count(*), delay: avg(delay)}}, from: late}
";

/// The flow here and elsewhere, and a query there.
#[cfg(any(feature = "spark", feature = "ballista"))]
const PIPELINE: &str = r#"
steps:
  flights: {copy: {from: f.csv, to: "data:flights"}}
  here:
    flow: {file: flows/late.yaml, to: "data:here", engine: local}
    inputs: {flights: "${{ steps.flights.data }}"}
  there:
    flow: {file: flows/late.yaml, to: "data:there", engine: auto}
    inputs: {flights: "${{ steps.flights.data }}"}
  sql:
    sql: {query: "select carrier, delay from flights where delay > ${{ inputs.least }}", engine: ENGINE, to: "data:few"}
    inputs: {flights: "${{ steps.flights.data }}"}
inputs: {least: {type: integer, default: 20}}
"#;

#[cfg(any(feature = "spark", feature = "ballista"))]
const ROWS: &str = "carrier,delay,day\nUA,20,2026-03-01\nAA,30,2026-03-02\nUA,40,2026-03-03\nAA,,\n";

#[test]
fn check_tells_what_spark_cannot_do_the_same_at_its_place() {
    let flow = FLOW.replace("delay: avg(delay)", "delay: avg(delay), text: cast(avg(delay) as varchar)");
    let steps = "steps:\n  flights: {copy: {from: f.csv, to: \"data:flights\"}}\n  late:\n    flow: {file: flows/late.yaml, engine: auto}\n    inputs: {flights: \"${{ steps.flights.data }}\"}\n";
    let project = Project::new(&[
        ("pipelines/p.yaml", steps),
        ("flows/late.yaml", &flow),
        ("f.csv", "carrier,delay,day\n"),
    ]);
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 1
    ----
    error[flow-node]: node `out`: Spark cannot do the same: a cast from double to string differs: each writes large and small numbers in its own way
     --> flows/late.yaml:8:87
      |
    8 | rrier, values: {flights: count(*), delay: avg(delay), text: cast(avg(delay) as varchar)}}, from: late}
      |                                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: cast it to a decimal first
    1 of 2 files have errors
    ");
    // Here the same flow is sound.
    project.write("pipelines/p.yaml", steps.replace("engine: auto", "engine: local"));
    assert!(project.output(&["check"]).status.success());
}

#[test]
fn a_flow_is_printed_as_a_script() {
    let project =
        Project::new(&[("flows/late.yaml", FLOW), ("f.csv", "carrier,delay,day\nUA,20,2026-03-01\n")]);
    assert_snapshot!(project.millrace(&["export", "spark", "flows/late.yaml"]), @r"
    exit 0
    set spark.sql.ansi.enabled = true;
    set spark.sql.session.timeZone = UTC;
    set spark.sql.caseSensitive = true;
    set spark.sql.timestampType = TIMESTAMP_NTZ;
    set spark.sql.parser.escapedStringLiterals = false;
    with flights_1 as (
      select `carrier`, `delay`, `day`
      from flights
    ),
    late as (
      select `carrier`, `delay`, `day`
      from flights_1
      where (`delay` > 15L)
    ),
    out_1 as (
      select `carrier`, count(1L) as `count(Int64(1))`, avg(cast(`delay` as double)) as `avg(late.delay)`
      from late
      group by `carrier`
    ),
    out as (
      select `carrier`, `count(Int64(1))` as `flights`, `avg(late.delay)` as `delay`
      from out_1
    )
    select `carrier`, `flights`, `delay` from out;
    ----
    ");
    let script = project.millrace(&["export", "spark", "flows/late.yaml", "--input", "flights=f.csv"]);
    assert!(script.contains("create or replace temporary view flights_input (`carrier` string, `delay` string, `day` string) using csv"));
}

#[cfg(feature = "spark")]
#[test]
fn a_run_on_another_engine_leaves_the_same_datasets() {
    use std::process::{Command, Stdio};

    #[allow(clippy::disallowed_methods, reason = "a test is told where its servers are")]
    let Ok(python) = std::env::var("MILLRACE_TEST_SAIL") else {
        eprintln!("skipped: MILLRACE_TEST_SAIL names no interpreter with Sail; `cargo xtask test` sets it");
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let sail = std::path::PathBuf::from(python).with_file_name("sail");
    let mut server = Command::new(sail)
        .args(["spark", "server", "--ip", "127.0.0.1", "--port", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let connection = format!("cluster: {{spark: {{url: \"sc://127.0.0.1:{port}\", auto_above: 1B}}}}\n");
    let pipeline = PIPELINE.replace("ENGINE", "{spark: cluster}");
    let project = Project::new(&[
        ("connections.yaml", &connection),
        ("pipelines/p.yaml", &pipeline),
        ("flows/late.yaml", FLOW),
        ("f.csv", ROWS),
    ]);
    let ended = project.json(&["run", "p", "--json"]);
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let rows = |sql: &str| String::from_utf8(project.output(&["sql", sql, "--json"]).stdout).unwrap();
    let here = rows("select * from here order by carrier");
    assert_eq!(here, rows("select * from there order by carrier"));
    assert!(here.contains(r#"{"carrier":"UA","flights":2,"delay":30.0}"#), "{here}");
    assert_eq!(rows("select count(*) as n from few"), "{\"n\":2}\n");
    let why = project.millrace(&["why", "latest"]);
    assert!(why.contains("it ran on `cluster`: the inputs have"), "{why}");
}

/// The program itself as a scheduler and as two executors, one of which dies.
#[cfg(feature = "ballista")]
mod ballista {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::{FLOW, PIPELINE, ROWS};
    use crate::project::{Project, wait_until};

    /// A node; killed when dropped.
    struct Node(Child);

    impl Node {
        /// Starts one and waits until it says that it is up.
        fn start(arguments: &[&str]) -> (Self, serde_json::Value) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
            command.arg("ballista").args(arguments).arg("--json");
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (Self(child), serde_json::from_str(&line).unwrap())
        }

        fn executor(scheduler: &str) -> (Self, u16) {
            let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let (port, control) = (free(), free().to_string());
            let listen = format!("127.0.0.1:{port}");
            let named = ["executor", "--scheduler", scheduler, "--listen", &listen];
            let (node, _) = Self::start(&[&named[..], &["--control-port", &control]].concat());
            wait_until(|| std::net::TcpStream::connect(&listen).is_ok());
            (node, port)
        }
    }

    impl Drop for Node {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    #[test]
    fn a_cluster_of_this_program_leaves_the_same_datasets() {
        let (_scheduler, said) = Node::start(&["scheduler", "--listen", "127.0.0.1:0"]);
        let url = said["url"].as_str().unwrap();
        let connection = format!("farm: {{ballista: {{url: \"{url}\", partitions: 4, auto_above: 1B}}}}\n");
        let pipeline = PIPELINE.replace("ENGINE", "{ballista: farm}");
        // What Spark could not do the same is no mistake here.
        let flow = FLOW.replace("delay: avg(delay)", "delay: avg(delay), text: cast(avg(delay) as varchar)");
        let project = Project::new(&[
            ("connections.yaml", &connection),
            ("pipelines/p.yaml", &pipeline),
            ("flows/late.yaml", &flow),
            ("f.csv", ROWS),
        ]);
        let checked = project.millrace(&["check"]);
        assert!(checked.starts_with("exit 0"), "{checked}");
        let (one, _) = Node::executor(url);
        let (_other, _) = Node::executor(url);
        let run = |when: &str| {
            let ended = project.json(&["run", "p", "--force", "--json"]);
            assert_eq!(ended["state"], "succeeded", "{when}: {ended}");
            let rows = |sql: &str| String::from_utf8(project.output(&["sql", sql, "--json"]).stdout).unwrap();
            let here = rows("select * from here order by carrier");
            assert_eq!(here, rows("select * from there order by carrier"), "{when}");
            assert!(
                here.contains(r#"{"carrier":"UA","flights":2,"delay":30.0,"text":"30.0"}"#),
                "{when}: {here}"
            );
            assert_eq!(rows("select count(*) as n from few"), "{\"n\":2}\n", "{when}");
        };
        run("both executors");
        let why = project.millrace(&["why", "latest"]);
        assert!(why.contains("it ran on `farm`: the inputs have"), "{why}");
        drop(one);
        run("one executor was killed");
    }
}
