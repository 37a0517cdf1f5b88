//! What `millrace check` says about `connections.yaml`.

use crate::project::Project;

const CONNECTIONS: &str =
    "partner: {sftp: {host: sftp.example, user: us, password: \"${{ secrets.partner }}\"}}
raw:
  azblob:
    container: raw
    account: example
    acces_key: \"${{ secrets.azure }}\"
feeds: {http: {url: \"https://feeds.example/\", bearer: 4711}}
land: {gcs: {bucket: land, anonymous: true}}
";

#[test]
fn settings_of_stores_are_checked_at_their_place() {
    let pipeline = "steps:\n  a: {copy: {from: \"land:a.csv\", to: \"gs://lnd/a.csv\"}}\n";
    let project = Project::new(&[("pipelines/p.yaml", pipeline), ("connections.yaml", CONNECTIONS)]);
    insta::assert_snapshot!(project.millrace(&["check"]), @r###"
    exit 1
    ----
    error[copy-config]: no connection leads to `gs://lnd/a.csv`
     --> pipelines/p.yaml:2:13
      |
    2 |   a: {copy: {from: "land:a.csv", to: "gs://lnd/a.csv"}}
      |             ^
    hint: in connections.yaml: `land: {gcs: {bucket: lnd, service_account_key: "${{ secrets.land }}"}}`
    error[copy-config]: the connection `partner`: `known_host` is missing; `ssh-keyscan -p 22 sftp.example | ssh-keygen -lf -` prints the fingerprints of the server's keys
     --> connections.yaml:1:10
      |
    1 | partner: {sftp: {host: sftp.example, user: us, password: "${{ secrets.partner }}"}}
      |          ^
    hint: in connections.yaml: `partner: {sftp: {host: …, user: …, password: "${{ secrets.partner }}", known_host: "SHA256:…"}}`
    error[copy-config]: the connection `raw`: unknown field `acces_key`, expected one of `container`, `prefix`, `account`, `access_key`, `sas_token`, `tenant_id`, `client_id`, `client_secret`, `endpoint`, `anonymous`, `allow_http`
     --> connections.yaml:6:5
      |
    6 |     acces_key: "${{ secrets.azure }}"
      |     ^^^^^^^^^
    hint: in connections.yaml: `raw: {azblob: {container: …, account: …, access_key: "${{ secrets.raw }}"}}`
    error[copy-config]: the connection `feeds`: `bearer` is not text; put it in quotes
     --> connections.yaml:7:47
      |
    7 | feeds: {http: {url: "https://feeds.example/", bearer: 4711}}
      |                                               ^^^^^^
    hint: in connections.yaml: `feeds: {http: {url: "https://…/", bearer: "${{ secrets.feeds }}"}}`
    2 of 2 files have errors
    "###);
}

/// What the commands say of connections: one answers, nobody listens at the next, and the last has no secret.
#[test]
fn connections_are_listed_and_tried() {
    let project = Project::new(&[(
        "connections.yaml",
        "shop: {sqlite: {path: shop.db}}\nqueue: {redis: {url: \"redis://:hush@127.0.0.1:1\"}}\ncrm: {rest: {url: \"https://crm.example\", auth: {bearer: \"${{ secrets.crm }}\"}}}\nown: {program: {command: [./rows, --all]}}\n",
    )]);
    let made = std::process::Command::new("python3")
        .args([
            "-c",
            "import sqlite3; sqlite3.connect('shop.db').execute('create table orders (id integer)')",
        ])
        .current_dir(project.path())
        .status();
    assert!(made.unwrap().success());
    insta::assert_snapshot!(project.millrace(&["connections", "list"]), @r"
    exit 0
    NAME   KIND     LEADS TO                     USABLE
    shop   sqlite   shop.db                      yes
    queue  redis    redis://:••••••@127.0.0.1:1  yes
    crm    rest     https://crm.example          no
    own    program  ./rows                       yes
    ----
    connections.yaml:3: the connection `crm` uses `secrets.crm`, which is not set
    ");
    insta::assert_snapshot!(project.millrace(&["connections", "test", "queue", "crm"]), @r"
    exit 1
    ✗ queue: `redis://127.0.0.1:1` cannot be reached: Connection refused (os error 111)
    ✗ crm: the connection `crm` uses `secrets.crm`, which is not set
        hint: `millrace secrets set crm`, or `export MILLRACE_SECRET_CRM=…`
    ----
    ");
    let tried = project.output(&["connections", "test", "shop", "--json"]);
    let row: serde_json::Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!(
        (&row["name"], &row["names"], &row["problem"]),
        (&"shop".into(), &serde_json::json!(["orders"]), &serde_json::Value::Null)
    );
    assert!(tried.status.success());
    insta::assert_snapshot!(project.millrace(&["connections", "test", "shp"]), @r"
    exit 1
    ----
    error[unknown-connection]: there is no connection `shp`
    hint: the connections are: shop, queue, crm, own
    ");
}

/// A second process in a workspace is told where the first one is.
#[test]
fn a_workspace_that_is_taken_says_where_its_server_is() {
    let project = Project::new(&[("pipelines/p.yaml", "steps: {a: {run: \"true\"}}\n")]);
    let server = crate::server::Up::start(&project);
    let said = project.millrace(&["run", "p"]).replace(&server.url, "URL");
    insta::assert_snapshot!(said, @r"
    exit 1
    ----
    error[workspace-taken]: another `millrace run` or a server works in this workspace
    hint: it is at URL: `millrace run --server URL PIPELINE` gives it a run
    ");
}
