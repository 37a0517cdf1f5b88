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
fn check_knows_the_engines() {
    let flow = |engine: &str| {
        format!(
            "    flow: {{file: flows/late.yaml, engine: {engine}}}\n    inputs: {{flights: \"data:flights\"}}\n"
        )
    };
    let steps: String =
        ["auto", "clustr", "{spark: farm}", "{auto: big}", "{auto: cluster}", "farm", "local"]
            .iter()
            .enumerate()
            .map(|(number, engine)| format!("  s{number}:\n{}", flow(engine)))
            .collect();
    let project = Project::new(&[
        (
            "connections.yaml",
            "cluster: {spark: {url: \"sc://127.0.0.1:1\"}}\nfarm: {ballista: {url: \"df://127.0.0.1:1\"}}\n",
        ),
        ("pipelines/p.yaml", &format!("steps:\n{steps}")),
        ("flows/late.yaml", FLOW),
    ]);
    assert_snapshot!(project.millrace(&["check"]), @r"
    exit 1
    ----
    error[engine-ambiguous]: `engine: auto` finds several engines: cluster, farm
     --> pipelines/p.yaml:3:43
      |
    3 |     flow: {file: flows/late.yaml, engine: auto}
      |                                           ^^^^
    hint: say which: `engine: {auto: <connection>}`
    error[engine-unknown]: there is no engine `clustr`
     --> pipelines/p.yaml:6:43
      |
    6 |     flow: {file: flows/late.yaml, engine: clustr}
      |                                           ^^^^^^
    hint: the engines are `local`, `auto` and cluster, farm
    error[engine-unknown]: `farm` is not a `spark` connection
     --> pipelines/p.yaml:9:51
      |
    9 |     flow: {file: flows/late.yaml, engine: {spark: farm}}
      |                                                   ^^^^
    hint: engine: farm
    error[engine-unknown]: there is no engine `big`
      --> pipelines/p.yaml:12:50
       |
    12 |     flow: {file: flows/late.yaml, engine: {auto: big}}
       |                                                  ^^^
    hint: the engines are `local`, `auto` and cluster, farm
    1 of 3 files have errors
    ");
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

/// Servers that speak Spark's protocol: each runs the same pipeline as the local engine.
#[cfg(feature = "spark")]
mod spark {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::{FLOW, PIPELINE, ROWS};
    use crate::project::{Project, wait_until};

    /// A server; it ends with all that it has started.
    struct Server(Child, String);

    impl Server {
        fn start(command: impl FnOnce(&str) -> Command) -> Self {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port().to_string();
            drop(free);
            let mut command = command(&port);
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let server = Self(command.spawn().unwrap(), port);
            wait_until(|| std::net::TcpStream::connect(format!("127.0.0.1:{}", server.1)).is_ok());
            server
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            Command::new("kill").args(["-9", "--", &format!("-{}", self.0.id())]).status().ok();
            self.0.wait().ok();
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test is told where its servers are")]
    fn python(variable: &str) -> Option<std::path::PathBuf> {
        let python = std::env::var_os(variable);
        if python.is_none() {
            eprintln!("skipped: {variable} names no interpreter with a server");
        }
        python.map(Into::into)
    }

    fn leaves_the_same_datasets(server: &Server) {
        let url = format!("sc://127.0.0.1:{}", server.1);
        let connection = format!("cluster: {{spark: {{url: \"{url}\", auto_above: 1B}}}}\n");
        let pipeline = PIPELINE.replace("ENGINE", "{spark: cluster}");
        let project = Project::new(&[
            ("connections.yaml", &connection),
            ("pipelines/p.yaml", &pipeline),
            ("flows/late.yaml", FLOW),
            ("f.csv", ROWS),
        ]);
        let ended = project.json(&["run", "p", "--json"]);
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let rows = |sql: &str| String::from_utf8(project.output(&["sql", sql, "--json"]).stdout).unwrap();
        let here = rows("select * from here order by carrier");
        assert_eq!(here, rows("select * from there order by carrier"));
        assert!(here.contains(r#"{"carrier":"UA","flights":2,"delay":30.0}"#), "{here}");
        assert_eq!(rows("select count(*) as n from few"), "{\"n\":2}\n");
        let why = project.millrace(&["why", "latest"]);
        assert!(why.contains("it ran on `cluster`: the inputs have"), "{why}");
    }

    #[test]
    fn a_run_on_sail_leaves_the_same_datasets() {
        let Some(python) = python("MILLRACE_TEST_SAIL") else { return };
        leaves_the_same_datasets(&Server::start(|port| {
            let mut command = Command::new(python.with_file_name("sail"));
            command.args(["spark", "server", "--ip", "127.0.0.1", "--port", port]);
            command
        }));
    }

    /// Apart from the other tests: `cargo xtask test engines` runs it.
    #[test]
    fn a_run_on_spark_leaves_the_same_datasets() {
        let Some(python) = python("MILLRACE_TEST_SPARK") else { return };
        let find = "import os, pyspark; print(os.path.dirname(pyspark.__file__))";
        let found = Command::new(&python).args(["-c", find]).output().unwrap();
        let home = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        let logs = tempfile::tempdir().unwrap();
        leaves_the_same_datasets(&Server::start(|port| {
            let mut command = Command::new(format!("{home}/sbin/start-connect-server.sh"));
            let setting = format!("spark.connect.grpc.binding.port={port}");
            command.args(["--master", "local[2]", "--conf", &setting, "--conf", "spark.ui.enabled=false"]);
            command.env("SPARK_NO_DAEMONIZE", "1").env("SPARK_LOG_DIR", logs.path());
            command.env("SPARK_HOME", &home).env("PYSPARK_PYTHON", &python).current_dir(logs.path());
            command
        }));
    }
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
        fn start(arguments: &[&str], variables: &[(String, String)]) -> (Self, serde_json::Value) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
            command.arg("ballista").args(arguments).arg("--json");
            command.envs(variables.iter().map(|(name, value)| (name, value)));
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (Self(child), serde_json::from_str(&line).unwrap())
        }

        fn executor(scheduler: &str, variables: &[(String, String)]) -> Self {
            let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let (port, control) = (free(), free().to_string());
            let listen = format!("127.0.0.1:{port}");
            let named = ["executor", "--scheduler", scheduler, "--listen", &listen];
            let (node, _) = Self::start(&[&named[..], &["--control-port", &control]].concat(), variables);
            wait_until(|| std::net::TcpStream::connect(&listen).is_ok());
            node
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
        let (_scheduler, said) = Node::start(&["scheduler", "--listen", "127.0.0.1:0"], &[]);
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
        let one = Node::executor(url, &[]);
        let _other = Node::executor(url, &[]);
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

    /// Datasets in a bucket: the scheduler looks into it, and the executors read it, with the variables of their environment.
    #[test]
    fn a_cluster_reads_datasets_in_a_bucket() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(bucket) = runtime.block_on(millrace_storage::testing::TestS3::start()) else { return };
        let variables = bucket.variables();
        let (_scheduler, said) = Node::start(&["scheduler", "--listen", "127.0.0.1:0"], &variables);
        let url = said["url"].as_str().unwrap();
        let _executor = Node::executor(url, &variables);
        let storage = ("MILLRACE_STORAGE".to_owned(), "s3://lake/teams/one".to_owned());
        let project = Project::new(&[
            ("connections.yaml", &format!("farm: {{ballista: {{url: \"{url}\", partitions: 4}}}}\n")),
            ("pipelines/p.yaml", &PIPELINE.replace("auto", "farm").replace("ENGINE", "farm")),
            ("flows/late.yaml", FLOW),
            ("f.csv", ROWS),
        ])
        .with_variables([variables, vec![storage]].concat());
        let ended = project.json(&["run", "p", "--json"]);
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let rows = |sql: &str| String::from_utf8(project.output(&["sql", sql, "--json"]).stdout).unwrap();
        let there = rows("select * from there order by carrier");
        assert_eq!(rows("select * from here order by carrier"), there);
        assert!(there.contains(r#"{"carrier":"UA","flights":2,"delay":30.0}"#), "{there}");
    }
}
