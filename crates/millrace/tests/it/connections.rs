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
