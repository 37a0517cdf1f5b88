//! Who is who: browsers sign in and out, nobody acts as somebody else, and guesses are slowed down.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::approvals::{ask_as, basic, with_accounts};
use crate::project::Project;
use crate::server::{TOKEN, Up};

const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,*/*\r\n";
const PASSWORD: &str = "a long password";

/// Status, head and body of an answer.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// What a browser sends of the cookie that it was given.
    fn cookie(&self) -> String {
        let given =
            self.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {} {}", self.head, self.body));
        format!("Cookie: {}\r\n", given.split(';').next().unwrap())
    }
}

fn ask(server: &Up, headers: &str, method: &str, path: &str, body: &Value) -> Answer {
    let address = server.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)),
    }
}

fn sign_in(server: &Up, name: &str, password: &str) -> Answer {
    ask(server, BROWSER, "POST", "/api/login", &json!({"name": name, "password": password}))
}

fn own_page(server: &Up) -> String {
    format!("Origin: {}\r\n", server.url)
}

/// A token of an account, as the header that sends it.
fn bearer(server: &Up, name: &str) -> String {
    let way = "/api/2.0/mlflow/users/tokens";
    let (status, made) = ask_as(server, &basic(name), "POST", way, r#"{"name": "tests"}"#);
    assert_eq!(status, 200, "{made}");
    format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap())
}

#[test]
fn a_bearer_login_cannot_act_as_somebody_else() {
    let files = [("pipelines/p.yaml", crate::serving::PIPELINE), ("raw.csv", &crate::serving::rows())];
    let project = Project::new(&files);
    assert_eq!(project.json(&["run", "p", "--json"])["state"], "succeeded");
    let server = with_accounts(&project, &["anna", "bert"]);
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    for name in ["anna", "bert"] {
        let change = json!({"username": name, "is_admin": true}).to_string();
        let way = "/api/2.0/mlflow/users/update-admin";
        assert_eq!(ask_as(&server, &operator, "PATCH", way, &change).0, 200);
    }
    let (anna, bert) = (bearer(&server, "anna"), bearer(&server, "bert"));
    let post = |login: &str, path: &str, body: Value| ask_as(&server, login, "POST", path, &body.to_string());
    let requests = "/api/models/late/promotions";

    let (status, refused) = post(&anna, requests, json!({"version": 1, "alias": "live", "by": "bert"}));
    assert_eq!((status, &refused["code"]), (403, &json!("not-you")), "{refused}");
    let (status, asked) = post(&anna, requests, json!({"version": 1, "alias": "live"}));
    assert_eq!((status, &asked["by"]), (200, &json!("anna")), "{asked}");
    let votes = format!("/api/promotions/{}/votes", asked["id"].as_str().unwrap());
    let withdraw = format!("/api/promotions/{}/withdraw", asked["id"].as_str().unwrap());
    // Nobody decides their own request, under whatever name, and the operator's token is no other person's either.
    for login in [&anna, &operator] {
        let (status, refused) = post(login, &votes, json!({"approve": true, "by": "bert"}));
        assert_eq!((status, &refused["code"]), (403, &json!("not-you")), "{refused}");
    }
    let (status, refused) = post(&anna, &votes, json!({"approve": true}));
    assert_eq!((status, &refused["code"]), (403, &json!("not-yours-to-decide")), "{refused}");
    let (status, refused) = post(&bert, &withdraw, json!({"by": "anna"}));
    assert_eq!((status, &refused["code"]), (403, &json!("not-you")), "{refused}");
    let (status, decided) = post(&bert, &votes, json!({"approve": true}));
    assert_eq!((status, &decided["state"]), (200, &json!("approved")), "{decided}");
    assert_eq!(decided["votes"][0]["by"], "bert");

    let card = "/api/models/late/card?version=1";
    let (status, refused) = ask_as(&server, &bert, "PUT", card, r#"{"content": "good", "by": "anna"}"#);
    assert_eq!((status, &refused["code"]), (403, &json!("not-you")), "{refused}");
    let (_, written) = ask_as(&server, &bert, "PUT", card, r#"{"content": "good"}"#);
    assert_eq!(written["written_by"], "bert", "{written}");
}

#[test]
fn a_browser_is_led_to_the_sign_in_page_and_programs_are_asked_for_a_password() {
    let project = Project::new(&[]);
    let server = with_accounts(&project, &["anna"]);
    let get = |headers: &str, path: &str| ask(&server, headers, "GET", path, &Value::Null);
    let led = get(BROWSER, "/runs?status=failed");
    assert_eq!((led.status, led.header("location")), (303, Some("/sign-in?next=%2Fruns%3Fstatus%3Dfailed")));
    assert_eq!(get(BROWSER, "/sign-in").status, 200);
    assert_eq!(get(BROWSER, "/assets/none.js").status, 404, "no login is needed to find that out");
    let fetched = get("User-Agent: Mozilla/5.0\r\nSec-Fetch-Mode: cors\r\n", "/api/session");
    assert_eq!((fetched.status, fetched.header("www-authenticate")), (401, None));
    let program = get("User-Agent: curl/8.5\r\nAccept: */*\r\n", "/runs");
    let challenge = "Basic realm=\"Millrace\", charset=\"UTF-8\"";
    assert_eq!((program.status, program.header("www-authenticate")), (401, Some(challenge)));
    let (status, session) = ask_as(&server, &basic("anna"), "GET", "/api/session", "");
    assert_eq!((status, &session["name"], &session["signed_in"]), (200, &json!("anna"), &json!(false)));

    let open = Up::start(&Project::new(&[]));
    let session = open.get("/api/session");
    assert_eq!((&session["needs_login"], &session["signed_in"]), (&json!(false), &json!(false)), "{session}");
    assert_eq!(sign_in(&open, "anna", PASSWORD).body["code"], "no-login");
}

#[test]
fn a_session_changes_things_from_own_pages_and_ends_with_the_password() {
    let project = Project::new(&[("pipelines/p.yaml", "steps:\n  a: {run: \"true\"}\n")]);
    let server = with_accounts(&project, &["anna", "bert"]);
    let wrong = sign_in(&server, "anna", "another password");
    assert_eq!((wrong.status, &wrong.body["code"]), (403, &json!("wrong-login")), "{}", wrong.body);
    assert_eq!(wrong.header("set-cookie"), None);
    let signed = sign_in(&server, "anna", PASSWORD);
    assert_eq!((&signed.body["name"], &signed.body["signed_in"]), (&json!("anna"), &json!(true)));
    let given = signed.header("set-cookie").unwrap();
    assert!(given.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"), "{given}");
    let proxied = json!({"name": "anna", "password": PASSWORD});
    let proxied = ask(&server, "X-Forwarded-Proto: https\r\n", "POST", "/api/login", &proxied);
    assert!(proxied.header("set-cookie").unwrap().ends_with("; SameSite=Lax; Secure"));

    let anna = signed.cookie();
    let session = |server: &Up, cookie: &str| ask(server, cookie, "GET", "/api/session", &Value::Null);
    assert_eq!(session(&server, &anna).body["name"], "anna");
    let runs = |headers: &str| {
        ask(&server, &format!("{anna}{headers}"), "POST", "/api/pipelines/p/runs", &json!({})).status
    };
    assert_eq!(runs(&own_page(&server)), 200);
    assert_eq!(runs("Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_eq!(runs(""), 403, "who says nothing of where it comes from is no page of ours");
    assert_eq!(runs("Origin: http://evil.example\r\n"), 403);
    assert_eq!(runs("Sec-Fetch-Site: cross-site\r\n"), 403);

    // The server's own token is the administrator's password.
    let admin = sign_in(&server, "admin", TOKEN);
    assert_eq!((&admin.body["name"], &admin.body["is_admin"]), (&json!("admin"), &json!(true)));
    assert_eq!(sign_in(&server, "anna", TOKEN).status, 403);

    // A restart ends no session.
    drop(server);
    let server = Up::start_with_login(&project, None);
    assert_eq!(session(&server, &anna).body["name"], "anna");
    assert_eq!(session(&server, &admin.cookie()).body["name"], "admin");

    // Who changes the own password stays; other sessions of the account are over.
    let way = "/api/2.0/mlflow/users/update-password";
    let change =
        json!({"username": "anna", "password": "another long password", "current_password": PASSWORD});
    let changed = ask(&server, &format!("{anna}{}", own_page(&server)), "PATCH", way, &change);
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(session(&server, &anna).status, 401);
    let anna = changed.cookie();
    assert_eq!(session(&server, &anna).body["name"], "anna");
    let bert = sign_in(&server, "bert", PASSWORD).cookie();
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    let change = json!({"username": "bert", "password": "a third long password"});
    let changed = ask(&server, &operator, "PATCH", way, &change);
    assert_eq!((changed.status, changed.header("set-cookie")), (200, None));
    assert_eq!(session(&server, &bert).status, 401);
    assert_eq!(session(&server, &anna).status, 200);

    let out = ask(&server, &format!("{anna}{}", own_page(&server)), "POST", "/api/logout", &Value::Null);
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().starts_with("millrace_session=; Path=/; Max-Age=0;"));
}

#[test]
fn failed_logins_are_slowed_down_and_logged_without_the_password() {
    let project = Project::new(&[]);
    drop(with_accounts(&project, &["anna", "bert"]));
    let server = Up::logged_with_login(&project);
    let guess = "guessed-and-wrong";
    // The clock decides how many come through: each failure beyond the tenth doubles the wait.
    let slowed =
        (0..60).map(|_| sign_in(&server, "anna", guess)).find(|answer| answer.status != 403).unwrap();
    assert_eq!((slowed.status, &slowed.body["code"]), (429, &json!("too-many-logins")), "{}", slowed.body);
    assert!(slowed.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    // The same by the header that programs send, and it does not matter that nobody has the name.
    let login = "Authorization: Basic bm9ib2R5Omd1ZXNzZWQtYW5kLXdyb25n\r\n";
    let tries = (0..60).map(|_| ask_as(&server, login, "GET", "/api/workspace", "").0);
    assert_eq!(tries.into_iter().find(|status| *status != 401), Some(429));
    assert_eq!(sign_in(&server, "bert", PASSWORD).status, 200, "others are not kept waiting");
    let log = project.read("server.log");
    assert!(log.contains("a login failed") && log.contains("anna") && log.contains("127.0.0.1"), "{log}");
    assert!(!log.contains(guess) && !log.contains("nobody\""), "{log}");
}

/// A connection may read more than an account may see; datasets are for everybody who is let in.
#[test]
fn only_administrators_read_databases_in_queries() {
    let connections = "shop: {sqlite: {path: data/shop.db}}\n";
    let project = Project::new(&[("connections.yaml", connections), ("orders.csv", "id\n1\n2\n")]);
    for to in ["shop:orders", "data:orders"] {
        assert!(project.output(&["copy", "orders.csv", to]).status.success());
    }
    let server = with_accounts(&project, &["anna"]);
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    let query =
        |login: &str, sql: &str| ask_as(&server, login, "POST", "/api/sql", &json!({"sql": sql}).to_string());
    let anna = bearer(&server, "anna");
    for sql in
        ["select * from shop.orders", "select * from orders where id in (select id from \"shop\".orders)"]
    {
        let (status, refused) = query(&anna, sql);
        assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
        assert_eq!(query(&operator, sql).0, 200);
    }
    assert_eq!(query(&anna, "select * from orders").0, 200);
}

/// One answer of a connection that is kept.
fn answer_of(stream: &mut std::net::TcpStream) -> (String, String) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn who_is_refused_before_the_body_has_come_keeps_the_connection() {
    let project = Project::new(&[]);
    let server = Up::start_with_login(&project, None);
    let address = server.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let refused = |length: usize, more: &str| {
        format!(
            "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{more}\r\n"
        )
    };
    for _ in 0..3 {
        stream.write_all(refused(13, "").as_bytes()).unwrap();
        // Time to refuse it by its head alone.
        std::thread::sleep(std::time::Duration::from_millis(100));
        stream.write_all(br#"{"name": "a"}"#).unwrap();
        let (head, body) = answer_of(&mut stream);
        assert!(head.starts_with("http/1.1 401") && !head.contains("connection: close"), "{head}{body}");
    }

    // What asks first is not asked for its body, and what is too long is not waited for.
    stream.write_all(refused(13, "Expect: 100-continue\r\n").as_bytes()).unwrap();
    let (head, _) = answer_of(&mut stream);
    assert!(head.starts_with("http/1.1 401") && head.contains("connection: close"), "{head}");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(refused(1 << 30, "").as_bytes()).unwrap();
    let block = vec![b' '; 1 << 20];
    for _ in 0..16 {
        stream.write_all(&block).unwrap();
    }
    stream.write_all(b" ").unwrap();
    let (head, _) = answer_of(&mut stream);
    assert!(head.starts_with("http/1.1 401") && head.contains("connection: close"), "{head}");
}
