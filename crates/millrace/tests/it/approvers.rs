//! Who counts as asked: roles of `access.yaml` together with those of accounts, and each person once.

use serde_json::{Value, json};

use crate::approvals::{ask_as, basic, with_accounts};
use crate::project::{Project, wait_until};
use crate::server::{TOKEN, Up};

const PIPELINE: &str =
    "steps:\n  gate: {approve: {by: [role:ml_owner], min: 2}}\n  after: {set: {a: 1}, needs: gate}\n";

fn operator() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// Starts the pipeline and answers the address of the approval, once it waits.
fn asked(server: &Up) -> String {
    let (_, run) = ask_as(server, &operator(), "POST", "/api/pipelines/p/runs", "{}");
    let list = format!("/api/approvals?run={}", run["id"].as_str().unwrap());
    let mut found = Value::Null;
    wait_until(|| {
        found = ask_as(server, &operator(), "GET", &list, "").1["approvals"][0].clone();
        !found.is_null()
    });
    format!("/api/approvals/{}", found["id"].as_str().unwrap())
}

fn roles(server: &Up, method: &str, what: &str, body: &Value) -> Value {
    let path = format!("/api/3.0/mlflow/roles/{what}");
    let (status, answer) = ask_as(server, &operator(), method, &path, &body.to_string());
    assert_eq!(status, 200, "{what}: {answer}");
    answer
}

fn approve(server: &Up, approval: &str, who: &str) -> (u16, Value) {
    ask_as(server, &basic(who), "POST", &format!("{approval}/decisions"), r#"{"approve": true}"#)
}

#[test]
fn approval_by_approvers_and_roles_of_accounts_and_of_the_file_together() {
    let project = Project::new(&[
        ("pipelines/p.yaml", PIPELINE),
        ("access.yaml", "roles:\n  ml_owner: [user:anna]\n"),
        ("environments.yaml", "production: {approvers: {by: [role:auditor]}}\n"),
    ]);
    let server = with_accounts(&project, &["anna", "bert", "eve"]);
    let owner = roles(&server, "POST", "create", &json!({"name": "ml_owner", "workspace": "default"}));
    let owner = owner["role"]["id"].clone();
    let auditor = roles(&server, "POST", "create", &json!({"name": "auditor", "workspace": "default"}));
    for (role, name) in [(&owner, "bert"), (&owner, "anna"), (&auditor["role"]["id"], "eve")] {
        roles(&server, "POST", "assign", &json!({"role_id": role, "username": name}));
    }
    // Also where files are checked: the role of the environment is one of accounts alone.
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");

    let approval = asked(&server);
    let view = || ask_as(&server, &basic("bert"), "GET", &approval, "").1;
    assert_eq!(view()["approvers"][0]["people"], json!(["anna", "bert"]));
    assert_eq!(approve(&server, &approval, "eve").1["code"], "not-asked");
    // The login decides, whatever the request says.
    let way = format!("{approval}/decisions");
    let other = ask_as(&server, &basic("eve"), "POST", &way, r#"{"approve": true, "by": "bert"}"#);
    assert_eq!((other.0, other.1["code"].as_str()), (403, Some("not-you")));
    let bert = approve(&server, &approval, "bert").1;
    assert_eq!((&bert["given"], &bert["decisions"][0]["by"]), (&json!(1), &json!("bert")), "{bert}");
    // Anna has the role twice, by the file and by her account, and is one person.
    let anna = approve(&server, &approval, "anna").1;
    assert_eq!((&anna["state"], &anna["given"]), (&json!("approved"), &json!(2)), "{anna}");

    // Who has left the role since cannot decide any more; nobody could in their name before.
    let approval = asked(&server);
    roles(&server, "DELETE", "unassign", &json!({"role_id": owner, "username": "bert"}));
    assert_eq!(approve(&server, &approval, "bert").1["code"], "not-asked");
}

#[test]
fn approval_quorum_counts_each_person_once_however_often_and_at_once_they_decide() {
    let project = Project::new(&[
        ("pipelines/p.yaml", PIPELINE),
        (
            "access.yaml",
            "groups:\n  owners: [anna]\nroles:\n  ml_owner: [user:anna, group:owners, user:bert]\n",
        ),
    ]);
    let server = with_accounts(&project, &["anna", "bert"]);
    let approval = asked(&server);
    // Eight requests of one person at once: one counts, the others are told so.
    let answers: Vec<(u16, Value)> = std::thread::scope(|threads| {
        let ask = || threads.spawn(|| approve(&server, &approval, "anna"));
        let all: Vec<_> = (0..8).map(|_| ask()).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let taken = answers.iter().filter(|(status, _)| *status == 200).count();
    let again = answers.iter().filter(|(_, answer)| answer["code"] == "approval-decided").count();
    assert_eq!((taken, again), (1, 7), "{answers:?}");
    let view = ask_as(&server, &basic("anna"), "GET", &approval, "").1;
    assert_eq!((&view["state"], &view["given"]), (&json!("waiting"), &json!(1)), "{view}");
    assert_eq!(view["decisions"].as_array().map(Vec::len), Some(1), "{view}");
    assert_eq!(approve(&server, &approval, "bert").1["state"], "approved");
}

#[test]
fn a_promotion_is_decided_by_those_that_the_model_names() {
    let project = Project::new(&[
        ("pipelines/p.yaml", crate::serving::PIPELINE),
        ("raw.csv", &crate::serving::rows()),
        ("access.yaml", "roles:\n  ml_owner: [user:bert]\n"),
    ]);
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    let server = with_accounts(&project, &["anna", "bert", "eve"]);
    let post = |login: &str, path: &str, body: Value| ask_as(&server, login, "POST", path, &body.to_string());
    let tag = "/api/2.0/mlflow/registered-models/set-tag";
    let owners = json!({"name": "late", "key": "millrace.approvers", "value": "role:ml_owner"});
    assert_eq!(post(&operator(), tag, owners.clone()).0, 200);

    let requests = "/api/models/late/promotions";
    let wanted = json!({"version": 1, "alias": "live"});
    // Who may only read the model does not ask, and who may change it does not say who decides.
    assert_eq!(post(&basic("anna"), requests, wanted.clone()).0, 403);
    let grant = json!({"username": "anna", "resource_type": "registered_model", "resource_id": "late", "permission": "EDIT"});
    let (status, granted) = post(&operator(), "/api/3.0/mlflow/users/permissions/grant", grant);
    assert_eq!(status, 200, "{granted}");
    let (status, asked) = post(&basic("anna"), requests, wanted);
    assert_eq!((status, &asked["approvers"]), (200, &json!(["role:ml_owner"])), "{asked}");
    assert_eq!(post(&basic("anna"), tag, owners).0, 403);

    let votes = format!("/api/promotions/{}/votes", asked["id"].as_str().unwrap());
    for login in [basic("eve"), operator()] {
        let (status, refused) = post(&login, &votes, json!({"approve": true}));
        assert_eq!((status, &refused["code"]), (403, &json!("not-asked")), "{refused}");
    }
    let (status, decided) = post(&basic("bert"), &votes, json!({"approve": true}));
    assert_eq!((status, &decided["state"]), (200, &json!("approved")), "{decided}");
}
