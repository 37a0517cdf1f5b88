//! What the page of connections asks: what stands in their file, changes to it, and whether they lead anywhere.

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Up;

const CONNECTIONS: &str = "# Where data is.
shop:   # the old one
  postgres: {url: \"postgres://shop:s3cret-in-url@127.0.0.1:1/shop\"}

local: {sqlite: {path: shop.db}}  # ours
";

fn project() -> Project {
    let project = Project::new(&[("connections.yaml", CONNECTIONS), ("raw/orders.csv", "id\n1\n2\n")]);
    assert!(project.output(&["copy", "raw/orders.csv", "local:orders"]).status.success());
    project
}

/// Saves a connection of the file as it is now.
fn save(up: &Up, name: &str, kind: &str, settings: &Value) -> Value {
    let etag = up.get("/api/connections")["etag"].clone();
    up.put(
        &format!("/api/connections/{name}"),
        &json!({"kind": kind, "settings": settings, "etag": etag}).to_string(),
    )
}

fn tried(up: &Up, name: &str, kind: &str, settings: &Value) -> Value {
    up.post("/api/connection-tests", &json!({"name": name, "kind": kind, "settings": settings}).to_string())
}

#[test]
fn connections_are_listed_without_what_opens_them() {
    let project = project();
    let up = Up::start(&project);
    let found = up.get("/api/connections");
    assert!(!found.to_string().contains("s3cret"), "{found}");
    assert_eq!(found["connections"][0]["settings"]["url"], "postgres://shop:••••••@127.0.0.1:1/shop");
    assert_eq!(found["connections"][1]["kind"], "sqlite");
    assert_eq!(found["connections"][1]["line"], 5);
    let kinds: Vec<&str> =
        found["kinds"].as_array().unwrap().iter().filter_map(|kind| kind["name"].as_str()).collect();
    for kind in [
        "postgres", "mysql", "sqlite", "s3", "sftp", "http", "rest", "odata", "mongodb", "git", "singer",
        "redis", "nats", "mqtt", "rabbitmq", "kafka", "imap", "spark", "ballista",
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(!kinds.contains(&"csv"), "{kinds:?}");
    for kind in found["kinds"].as_array().unwrap() {
        assert_ne!(kind["summary"], "", "{kind}");
        let is_queue =
            ["redis", "nats", "mqtt", "rabbitmq", "kafka", "imap"].map(Value::from).contains(&kind["name"]);
        assert_eq!(kind["family"] == "queues", is_queue, "{kind}");
        let schema = kind["schema"]["$ref"]
            .as_str()
            .map_or(&kind["schema"], |place| kind["schema"].pointer(place.trim_start_matches('#')).unwrap());
        assert_eq!(schema["type"], "object", "{kind}");
    }
    let secrets = |name: &str| {
        let kind = found["kinds"].as_array().unwrap().iter().find(|kind| kind["name"] == name).unwrap();
        kind["secrets"].to_string()
    };
    // However deep they stand.
    assert!(
        secrets("rest").contains("bearer") && secrets("rest").contains("client_secret"),
        "{}",
        secrets("rest")
    );
}

#[test]
fn a_saved_connection_keeps_the_file_and_names_its_secret() {
    let project = project();
    let up = Up::start(&project);
    let settings = json!({"host": "files.example", "user": "us", "password": "typed-in-a-form"});
    let saved = save(&up, "partner", "ftp", &settings);
    let text = project.read("connections.yaml");
    assert!(text.starts_with(CONNECTIONS), "{saved}\n{text}");
    assert!(
        text.ends_with(
            "  ftp: {host: files.example, user: us, password: \"${{ secrets.partner_password }}\"}\n"
        ),
        "{text}"
    );
    assert!(!text.contains("typed-in-a-form") && !saved.to_string().contains("typed-in-a-form"));
    assert_eq!(project.json(&["secrets", "list", "--json"])["name"], "partner_password");
    // Saved again as it was shown, it is the same text.
    let shown = up.get("/api/connections")["connections"][0]["settings"].clone();
    save(&up, "shop", "postgres", &shown);
    assert_eq!(project.read("connections.yaml"), text);
    // What is typed deep within, and under a name that is none of a secret.
    let settings = json!({"url": "https://api.example/", "auth": {"bearer": "typed-token"}, "headers": {"X-Shop": "typed-header"}});
    save(&up, "api", "rest", &settings);
    let kept = project.read("connections.yaml");
    assert!(!kept.contains("typed-"), "{kept}");
    assert!(
        kept.contains("${{ secrets.api_bearer }}") && kept.contains("${{ secrets.api_x_shop }}"),
        "{kept}"
    );
    assert_eq!(
        save(&up, "queue", "redis", &json!({"url": "redis://q", "pasword": "x"}))["code"],
        "bad-connection"
    );
    assert_eq!(save(&up, "farm", "ballista", &json!({"url": "http://q"}))["code"], "bad-connection");
    assert_eq!(project.read("connections.yaml"), kept);
    project.write("connections.yaml", &text);
    let old = json!({"kind": "sqlite", "settings": {"path": "b.db"}, "etag": "old"}).to_string();
    assert_eq!(up.put("/api/connections/b", &old)["code"], "changed-meanwhile");
    assert_eq!(save(&up, "b", "sftp", &json!({"host": "h"}))["code"], "copy-config");
    assert_eq!(save(&up, "b%20c", "sqlite", &json!({"path": "b.db"}))["code"], "bad-connection-name");
    assert_eq!(project.read("connections.yaml"), text);
    let etag = up.get("/api/connections")["etag"].as_str().unwrap().to_owned();
    up.send("DELETE", &format!("/api/connections/partner?etag={etag}"));
    assert_eq!(project.read("connections.yaml"), CONNECTIONS);
}

#[test]
fn a_test_really_connects_and_says_what_is_wrong() {
    let project = project();
    let up = Up::start(&project);
    let found = tried(&up, "local", "sqlite", &json!({"path": "shop.db"}));
    assert_eq!(found["names"], json!(["orders"]), "{found}");
    assert!(found["said"].as_str().unwrap().starts_with("SQLite 3"), "{found}");
    let absent = tried(&up, "new", "sqlite", &json!({"path": "none.db"}));
    assert!(absent["said"].as_str().unwrap().contains("the first copy into it makes it"), "{absent}");
    assert!(!project.path().join("none.db").exists());
    let shown = up.get("/api/connections")["connections"][0]["settings"].clone();
    let refused = tried(&up, "shop", "postgres", &shown);
    assert_eq!(refused["said"], Value::Null);
    let message = refused["problem"]["message"].as_str().unwrap();
    assert!(message.contains("shop") && !refused.to_string().contains("s3cret"), "{refused}");
    let unset = json!({"host": "h", "user": "u", "password": "${{ secrets.none }}"});
    assert_eq!(tried(&up, "a", "ftp", &unset)["problem"]["code"], "secret-missing");
    let program = json!({"command": ["none-of-this-name"]});
    let absent = tried(&up, "crm", "program", &program);
    assert_eq!(absent["problem"]["message"], "there is no program `none-of-this-name`", "{absent}");
    let away = tried(&up, "queue", "redis", &json!({"url": "redis://127.0.0.1:1"}));
    assert!(away["problem"]["message"].as_str().unwrap().contains("cannot be reached"), "{away}");
    // It answers, and holds files.
    let url = format!("{}/assets/", up.url);
    let web = tried(&up, "web", "http", &json!({"url": url}));
    assert!(web["said"] == Value::Null || web["said"].as_str().unwrap().starts_with("http://"), "{web}");
}
