use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use millrace_deployment::{DeployRequest, Dialect, EndpointFile, ModelTarget, ScoreOptions};
use serde_json::{Value, json};

use crate::support::{TestServer, folder, row};

fn one() -> String {
    json!({"rows": [row()]}).to_string()
}

fn file(text: &str) -> EndpointFile {
    EndpointFile::parse("endpoints/flights.yaml", text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_swap_under_load_loses_no_request() {
    let test = Arc::new(TestServer::new().await);
    test.deploy("main", test.late("late", 1), 100).await.unwrap();
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (test, over, answered) = (test.clone(), over.clone(), answered.clone());
        clients.push(tokio::spawn(async move {
            let mut versions = Vec::new();
            loop {
                let last = over.load(Ordering::Relaxed);
                let answer = test.ask(Dialect::Rows, &one()).await.unwrap();
                versions.push(answer["model"].as_str().unwrap().to_owned());
                answered.fetch_add(1, Ordering::Relaxed);
                if last {
                    versions.dedup();
                    return versions;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    for version in 2..=12 {
        let before = answered.load(Ordering::Relaxed);
        test.deploy("main", test.late("late", version), 100).await.unwrap();
        while answered.load(Ordering::Relaxed) < before + 50 {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        // Each client saw the versions in their order, the last one at the end.
        let versions = client.await.unwrap();
        let numbers: Vec<u64> =
            versions.iter().map(|label| label["late@".len()..].parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.last() == Some(&12), "{numbers:?}");
    }
    let status = &test.server.list_endpoints()[0];
    assert_eq!((status.counts.errors, status.counts.requests), (0, answered.load(Ordering::Relaxed)));
}

#[tokio::test]
async fn an_unknown_endpoint_and_deployment_are_named() {
    let test = TestServer::new().await;
    let problem = test.ask(Dialect::Rows, &one()).await.unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.message.as_str()),
        ("unknown-endpoint", "there is no endpoint `flights`")
    );
    test.deploy("main", test.late("late", 1), 100).await.unwrap();
    let body = bytes::Bytes::from(one());
    let problem =
        test.server.score("fligths", Dialect::Rows, body, ScoreOptions::default()).await.unwrap_err();
    assert_eq!(problem.hints, ["did you mean `flights`?"]);
    let options = ScoreOptions { deployment: Some("mian"), request_id: None };
    let problem = test.ask_for(Dialect::Rows, &one(), options).await.unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.hints[0].as_str()),
        ("unknown-deployment", "did you mean `main`?")
    );
}

#[tokio::test]
async fn traffic_is_shared_and_a_header_chooses() {
    let test = TestServer::new().await;
    test.deploy("blue", test.late("late", 1), 100).await.unwrap();
    test.deploy("green", test.late("late", 2), 25).await.unwrap();
    let mut green = 0;
    for _ in 0..200 {
        green += u64::from(test.ask(Dialect::Rows, &one()).await.unwrap()["deployment"] == "green");
    }
    assert!((48..=52).contains(&green), "{green}");
    let problem = test.deploy("blue", test.late("late", 1), 40).await;
    assert!(problem.unwrap());
    let shares = |test: &TestServer| -> Vec<(String, u32)> {
        let status = &test.server.list_endpoints()[0];
        status.deployments.iter().map(|deployment| (deployment.name.clone(), deployment.traffic)).collect()
    };
    assert_eq!(shares(&test), [("blue".to_owned(), 40), ("green".to_owned(), 60)]);
    test.deploy("green", test.late("late", 2), 100).await.unwrap();
    assert_eq!(test.ask(Dialect::Rows, &one()).await.unwrap()["deployment"], "green");
    let options = ScoreOptions { deployment: Some("blue"), request_id: None };
    assert_eq!(test.ask_for(Dialect::Rows, &one(), options).await.unwrap()["model"], "late@1");
    test.deploy("green", test.late("late", 2), 0).await.unwrap();
    assert_eq!(test.ask(Dialect::Rows, &one()).await.unwrap_err().code, "endpoint-not-ready");
    let lonely = test.deploy("red", test.late("late", 3), 30).await.unwrap_err();
    assert_eq!(lonely.message, "nothing would take the other 70 per cent of the traffic");
    // The same again changes nothing.
    assert!(!test.deploy("green", test.late("late", 2), 0).await.unwrap());
}

#[tokio::test]
async fn a_restart_brings_back_what_steps_deployed() {
    let test = TestServer::new().await;
    test.deploy("blue", test.late("late", 1), 100).await.unwrap();
    test.deploy("green", test.late("late", 2), 10).await.unwrap();
    fs_err::remove_dir_all(test.folder.path().join("models/late2")).unwrap();
    let test = test.restarted(Vec::new()).await;
    let status = &test.server.list_endpoints()[0];
    assert_eq!(status.status, "ready");
    let [blue, green] = status.deployments.as_slice() else { panic!("{status:?}") };
    assert_eq!((blue.status, blue.version, blue.traffic, blue.reason.as_deref()), ("ready", 1, 90, None));
    assert_eq!((green.status, green.version, green.traffic), ("failed", 2, 10));
    assert!(green.reason.as_ref().unwrap().ends_with("`MLmodel` is missing"), "{green:?}");
    for _ in 0..30 {
        assert_eq!(
            test.ask(Dialect::Rows, &one()).await.unwrap()["model"],
            "late@1",
            "a failed one gets no traffic"
        );
    }
}

fn request(deployment: &str, target: &ModelTarget, traffic: u32) -> DeployRequest {
    let (endpoint, deployment) = ("flights".to_owned(), deployment.to_owned());
    DeployRequest { endpoint, deployment, target: target.clone(), traffic, sample: 1.0, producer: None }
}

#[tokio::test]
async fn a_server_takes_in_what_another_process_deployed_and_a_model_that_was_mended() {
    let test = TestServer::new().await;
    test.server.start(Vec::new()).await.unwrap();
    let other = test.another().await;
    let [blue, green] = [test.late("late", 1), test.late("late", 2)];
    assert!(other.deploy(request("blue", &blue, 100)).await.unwrap());
    assert!(other.deploy(request("green", &green, 20)).await.unwrap());
    let path = test.folder.path().join("models/late2/MLmodel");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::remove_file(&path).unwrap();
    test.server.apply(Vec::new()).await.unwrap();
    let states = || -> Vec<(u32, &'static str)> {
        let status = &test.server.list_endpoints()[0];
        status.deployments.iter().map(|deployment| (deployment.traffic, deployment.status)).collect()
    };
    assert_eq!(states(), [(80, "ready"), (20, "failed")]);
    fs_err::write(&path, text).unwrap();
    test.server.apply(Vec::new()).await.unwrap();
    assert_eq!(states(), [(80, "ready"), (20, "ready")]);
    other.declare(vec![file(FILE)]);
    assert_eq!(other.deploy(request("red", &blue, 0)).await.unwrap_err().code, "endpoint-in-file");
    other.stop().await;
    test.server.stop().await;
}

const FILE: &str = "endpoint: flights\ndescription: Late or not?\ndeployments:\n  blue: {model: late@champion, traffic: 100}\nmax_concurrent: 2\nlog: {sample: 0}\n";

#[tokio::test]
async fn a_file_brings_deployments_follows_its_alias_and_keeps_what_it_served() {
    let test = TestServer::new().await;
    test.late("late@champion", 1);
    test.server.apply(vec![file(FILE)]).await.unwrap();
    assert_eq!(test.ask(Dialect::Rows, &one()).await.unwrap()["model"], "late@1");
    let detail = test.server.find_endpoint("flights", "http://localhost:8080").unwrap();
    assert_eq!(
        (detail.yaml.as_deref(), detail.endpoint.description.as_deref()),
        (Some(FILE), Some("Late or not?"))
    );
    assert_eq!(detail.signature.unwrap().inputs.len(), 6);
    insta::assert_snapshot!(detail.command, @r#"curl -s http://localhost:8080/endpoints/flights/score -H 'content-type: application/json' -d '{"rows":[{"x0":0.5,"x1":1,"x2":-0.25,"x3":0,"x4":2,"carrier":"AA"}]}'"#);
    let problem = test.deploy("blue", test.late("late@2", 2), 100).await.unwrap_err();
    assert_eq!(problem.message, "the deployments of `flights` stand in `endpoints/flights.yaml`");
    test.late("late@champion", 2);
    test.server.apply(vec![file(FILE)]).await.unwrap();
    assert_eq!(test.ask(Dialect::Rows, &one()).await.unwrap()["model"], "late@2");
    let broken =
        folder(&test.folder.path().join("broken"), "forest", "metadata: {millrace: {task: ranking}}\n");
    test.registry.put("late@champion", "late", 3, &broken);
    test.server.apply(vec![file(FILE)]).await.unwrap();
    assert_eq!(test.ask(Dialect::Rows, &one()).await.unwrap()["model"], "late@2");
    let status = &test.server.list_endpoints()[0].deployments[0];
    assert_eq!((status.status, status.version), ("ready", 2));
    assert!(status.reason.as_ref().unwrap().contains("its task is `ranking`"), "{status:?}");
    test.server.apply(vec![file(&FILE.replace("late@champion", "other"))]).await.unwrap();
    assert!(test.server.list_endpoints()[0].deployments[0].reason.as_ref().unwrap().contains("`other`"));
    test.server.apply(Vec::new()).await.unwrap();
    assert!(test.server.list_endpoints().is_empty());
}

#[tokio::test]
async fn a_model_that_refuses_its_own_example_gets_no_traffic() {
    let test = TestServer::new().await;
    let url = crate::support::late_model(&test.folder.path().join("m"));
    fs_err::write(test.folder.path().join("m/input_example.json"), "[{\"x0\": 1}]").unwrap();
    let target = test.registry.put("late", "late", 1, &url);
    let problem = test.deploy("main", target, 100).await.unwrap_err();
    assert_eq!(problem.message, "the model does not score its own example: the column `x1` is missing");
    assert!(test.server.list_endpoints().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_its_limit_an_endpoint_refuses() {
    let test = Arc::new(TestServer::new().await);
    test.late("late@champion", 1);
    test.server.apply(vec![file(FILE)]).await.unwrap();
    let rows: Vec<Value> = (0..2000).map(|_| row()).collect();
    let large = Arc::new(json!({"rows": rows}).to_string());
    let clients = (0..24).map(|_| {
        let (test, large) = (test.clone(), large.clone());
        tokio::spawn(async move { test.ask(Dialect::Rows, &large).await.map_err(|problem| problem.code) })
    });
    let answers = futures::future::join_all(clients).await;
    let refused =
        answers.iter().filter(|answer| matches!(answer, Ok(Err(code)) if code == "endpoint-overloaded"));
    let (refused, good) =
        (refused.count(), answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count());
    assert!(refused > 0 && good >= 2 && refused + good == 24, "{refused} refused, {good} answered");
    assert!(test.ask(Dialect::Rows, &one()).await.is_ok(), "the places are given back");
    test.server.report_signals();
    let signals = test.signals.0.lock().unwrap();
    let value = |name: &str| signals.iter().find(|signal| signal.name == name).unwrap().value;
    assert_eq!(value("millrace_endpoint_refused_total"), refused as f64);
    assert_eq!(value("millrace_endpoint_requests_total"), good as f64 + 1.0);
    assert_eq!(value("millrace_endpoint_in_flight"), 0.0);
    assert!(value("millrace_endpoint_latency_p99_seconds") > 0.0);
}

#[tokio::test]
async fn predictions_are_logged_by_hour_with_what_was_asked() {
    let test = TestServer::new().await;
    test.deploy("main", test.late("late", 4), 100).await.unwrap();
    let options = ScoreOptions { deployment: None, request_id: Some("order-17") };
    let answer =
        test.ask_for(Dialect::Rows, &json!({"rows": [row(), row()]}).to_string(), options).await.unwrap();
    test.clock.set("2026-03-01T07:00:00Z".parse().unwrap());
    let later = test.ask(Dialect::Invocations, &json!({"instances": [row()]}).to_string()).await.unwrap();
    assert!(test.ask(Dialect::Rows, "{").await.is_err());
    test.server.flush_log().await;
    let folder = test.folder.path().join("predictions/flights/2026/03/01");
    let read = |name: &str| -> Vec<Value> {
        let text = fs_err::read_to_string(folder.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let lines = read("06.jsonl");
    assert_eq!(lines.len(), 2);
    let wanted = json!({
        "prediction_id": answer["prediction_ids"][1],
        "request_id": "order-17",
        "at": "2026-03-01T06:30:00Z",
        "endpoint": "flights",
        "deployment": "main",
        "model": "late@4",
        "version": 4,
        "row": {"x0": 0.5, "x1": 1.0, "x2": -0.25, "x3": 0.0, "x4": 2.0, "carrier": "AA"},
        "prediction": answer["predictions"][1]["prediction"],
        "probabilities": answer["predictions"][1]["probabilities"],
    });
    assert_eq!(lines[1], wanted);
    let next = read("07.jsonl");
    assert_eq!((next.len(), &next[0]["prediction"]), (1, &later["predictions"][0]));
    // A line that a crash cut off spoils no other.
    fs_err::write(folder.join("07.jsonl"), "{\"half\":").unwrap();
    test.ask(Dialect::Rows, &one()).await.unwrap();
    test.server.stop().await;
    let text = fs_err::read_to_string(folder.join("07.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("{\"half\":\n{\"prediction_id\""), "{text}");
}

#[tokio::test]
async fn a_sample_of_the_requests_is_logged() {
    let test = TestServer::new().await;
    test.late("late@champion", 1);
    test.server.apply(vec![file(&FILE.replace("sample: 0}", "sample: 0.25}"))]).await.unwrap();
    for _ in 0..100 {
        test.ask(Dialect::Rows, &one()).await.unwrap();
    }
    test.server.flush_log().await;
    let path = test.folder.path().join("predictions/flights/2026/03/01/06.jsonl");
    let lines = fs_err::read_to_string(path).unwrap().lines().count();
    assert!((23..=27).contains(&lines), "{lines}");
}

#[tokio::test]
async fn failures_count_as_such() {
    let test = TestServer::new().await;
    test.deploy("main", test.late("late", 1), 100).await.unwrap();
    for body in [one(), "{".to_owned(), one()] {
        let _ = test.ask(Dialect::Rows, &body).await;
    }
    let detail = test.server.find_endpoint("flights", "").unwrap();
    let counts = detail.endpoint.deployments[0].counts;
    assert_eq!((counts.requests, counts.errors), (3, 1));
    assert!(counts.p50_ms.is_some() && counts.p99_ms >= counts.p50_ms);
    let [point] = detail.history.as_slice() else { panic!("{:?}", detail.history) };
    assert_eq!((point.at.to_string().as_str(), point.requests, point.errors), ("2026-03-01T06:30:00Z", 3, 1));
}

/// The time of one row's path, printed for people: `cargo test --release -- --ignored one_row --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn one_row_takes_microseconds() {
    let test = TestServer::new().await;
    test.deploy("main", test.late("late", 1), 100).await.unwrap();
    let body = bytes::Bytes::from(one());
    for _ in 0..20_000 {
        test.server.score("flights", Dialect::Rows, body.clone(), ScoreOptions::default()).await.unwrap();
    }
    let counts = test.server.list_endpoints()[0].counts;
    println!("p50 {:?} ms, p99 {:?} ms", counts.p50_ms, counts.p99_ms);
    assert!(counts.p50_ms.unwrap() < 0.1, "{counts:?}");
}
