//! Addresses of files: however they are written, they stay in the artifact folder.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::client::Client;
use super::mutate::Random;
use super::setting;
use crate::project::Project;
use crate::server::Up;

const SECRET: &str = "the-secret-of-the-workspace";
const MARK: &[u8] = b"written-by-the-fuzzer";

/// One step up, as people have written it to get past checks.
const UPS: [&str; 20] = [
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "%25252e%25252e",
    "..%00",
    "..%5c",
    "..\\",
    "%2e%2e%5c",
    "....",
    "..;",
    "%c0%ae%c0%ae",
    "%uff0e%uff0e",
    ".",
    "%2e",
    "\u{ff0e}\u{ff0e}",
    "..%09",
    "..%20",
    "out",
];
const BETWEEN: [&str; 10] = ["/", "%2f", "%252f", "//", "\\", "%5c", "/./", "%2F", "/%2f/", ";/"];
const NAMES: [&str; 16] = [
    "secret.txt",
    "millrace.yaml",
    "etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "file:///etc/passwd",
    "a",
    "CON",
    "a%00.txt",
    "a%0d%0aX: y",
    "%ff",
    "#",
    "?",
    "a:b",
    "-",
    "~",
];

fn path(random: &mut Random, run: &str) -> String {
    let mut path = match random.below(6) {
        0 => String::new(),
        1 => "/".to_owned(),
        2 => "%2f".to_owned(),
        3 => ".staging/".to_owned(),
        _ => format!("{run}/"),
    };
    for _ in 0..random.below(7) {
        path.push_str(random.one(&UPS));
        path.push_str(random.one(&BETWEEN));
    }
    path.push_str(random.one(&NAMES));
    match random.below(40) {
        0 => path + &"/x".repeat(3_000),
        1 => path + &"y".repeat(300),
        _ => path,
    }
}

/// A workspace with a secret beside the artifacts, and links among them that lead out, as a step could have left them.
fn prepared() -> (Project, Up, String) {
    let project = Project::new(&[("secret.txt", SECRET)]);
    let server = Up::logged(&project, None);
    let made = server.post("/api/2.0/mlflow/runs/create", r#"{"experiment_id": "0"}"#);
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let uri = made["run"]["info"]["artifact_uri"]
        .as_str()
        .unwrap()
        .trim_start_matches("mlflow-artifacts:/")
        .to_owned();
    let folder = project.path().join(".millrace/storage/artifacts").join(uri);
    std::fs::create_dir_all(&folder).unwrap();
    symlink(project.path(), folder.join("out")).unwrap();
    symlink(project.path().join("secret.txt"), folder.join("secret.txt")).unwrap();
    (project, server, run)
}

fn marked(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            marked(&entry.path(), found);
        } else if kind.is_file() && std::fs::read(entry.path()).is_ok_and(|content| content == MARK) {
            found.push(entry.path().to_string_lossy().into_owned());
        }
    }
}

#[test]
fn no_address_of_a_file_leads_out() {
    let (project, server, run) = prepared();
    let client = Client::new(&server.url);
    let mut random = Random(setting("MILLRACE_FUZZ_SEED", 20_261_128));
    for _ in 0..setting("MILLRACE_FUZZ_ROUNDS", 2) * 400 {
        let path = path(&mut random, &run)
            .replace(['\\', ' '], "%5C")
            .replace(|sign: char| !sign.is_ascii(), "%EF%BC%8E");
        let path: String = path
            .split_inclusive(['#', '?'])
            .map(|part| part.replace('#', "%23").replace('?', "%3F"))
            .collect();
        let proxied = format!("/api/2.0/mlflow-artifacts/artifacts/{path}");
        let (method, path, body) = match random.below(9) {
            0 | 1 => ("PUT", proxied, MARK),
            2 => ("DELETE", proxied, &b""[..]),
            3 => ("GET", format!("/api/2.0/mlflow-artifacts/artifacts?path={path}"), &b""[..]),
            4 => ("GET", format!("/get-artifact?run_id={run}&path={path}"), &b""[..]),
            5 => ("GET", format!("/api/2.0/mlflow/artifacts/list?run_id={run}&path={path}"), &b""[..]),
            6 => ("GET", format!("/api/tracked-runs/{run}/artifacts/{path}"), &b""[..]),
            _ => ("GET", proxied, &b""[..]),
        };
        let answer = client.send(method, &path, "", body);
        // A line break in an address is refused before it is one.
        if answer.status != 0 {
            assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.body);
        }
        assert!(
            !answer.body.contains(SECRET) && !answer.body.contains("root:"),
            "{method} {path}: {}",
            answer.body
        );
        let listed = answer.body.contains("millrace.yaml") && answer.body.contains("is_dir");
        assert!(!listed, "{method} {path}: {}", answer.body);
    }
    assert_eq!(project.read("secret.txt"), SECRET);
    let mut found = Vec::new();
    marked(project.path(), &mut found);
    let inside = project.path().join(".millrace/storage/artifacts").to_string_lossy().into_owned();
    found.retain(|path| !path.starts_with(&inside));
    assert_eq!(found, Vec::<String>::new());
    let log = project.read("server.log");
    assert!(!log.contains("panicked") && !log.contains("failed"), "{log}");
}

#[test]
fn nothing_is_written_listed_or_deleted_through_a_link() {
    let (project, server, run) = prepared();
    let client = Client::new(&server.url);
    let root = server.get(&format!("/api/2.0/mlflow/runs/get?run_id={run}"));
    let root = root["run"]["info"]["artifact_uri"]
        .as_str()
        .unwrap()
        .trim_start_matches("mlflow-artifacts:/")
        .to_owned();
    let proxied = |path: &str| format!("/api/2.0/mlflow-artifacts/artifacts/{root}/{path}");
    for (method, path, body) in [
        ("PUT", proxied("out/new.txt"), MARK),
        ("PUT", proxied("out/secret.txt"), MARK),
        ("DELETE", proxied("out/secret.txt"), &b""[..]),
        ("GET", proxied("out/secret.txt"), &b""[..]),
        ("GET", proxied("secret.txt"), &b""[..]),
    ] {
        let answer = client.send(method, &path, "", body);
        assert!((400..500).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
    }
    let listed =
        client.send("GET", &format!("/api/2.0/mlflow/artifacts/list?run_id={run}&path=out"), "", b"");
    assert_eq!(listed.status, 404, "{}", listed.body);
    assert_eq!(project.read("secret.txt"), SECRET);
    assert!(!project.path().join("new.txt").exists());
    // The link itself is the run's, and may go.
    assert_eq!(client.send("DELETE", &proxied("out"), "", b"").status, 200);
    assert_eq!(project.read("secret.txt"), SECRET);
}

#[test]
fn packed_bombs_are_refused_at_flat_memory() {
    let project = Project::new(&[]);
    let server = Up::logged(&project, None);
    let client = Client::new(&server.url);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = peak();
    // 512 MB of nothing.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let nothing = vec![b' '; 1 << 20];
    (0..512).for_each(|_| std::io::Write::write_all(&mut packer, &nothing).unwrap());
    let bomb = packer.finish().unwrap();
    for (path, kind) in [
        ("/v1/traces", "application/x-protobuf"),
        ("/v1/traces", "application/json"),
        ("/api/2.0/mlflow/runs/log-batch", "application/json"),
        ("/graphql", "application/json"),
    ] {
        let headers = [("Content-Type", kind), ("Content-Encoding", "gzip"), ("x-mlflow-experiment-id", "0")];
        let answer = client.send_with("POST", path, &headers, &bomb);
        assert!(matches!(answer.status, 400 | 413), "{path} {kind}: {} {}", answer.status, answer.body);
    }
    assert!(peak() - before < 160 * 1024, "the server took {} kB", peak() - before);
}
