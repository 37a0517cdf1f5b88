//! Event triggers: what happens elsewhere comes in at least once and starts exactly one run. Tests are named after the cells of the
//! orchestration table's row of events.

mod client;
mod files;
mod git;
mod house;
mod webhooks;

use serde_json::Value;

use crate::project::wait_until;
use crate::server::Up;

/// The runs of a pipeline, oldest first.
pub(crate) fn runs(server: &Up, pipeline: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("/api/runs?pipeline={pipeline}&limit=500&after={after}"));
        all.extend(page["runs"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    all.reverse();
    all
}

/// How many events are in a state.
pub(crate) fn counted(server: &Up, status: &str) -> u64 {
    let page = server.get("/api/inbox?limit=1");
    let counts = page["counts"].as_array().unwrap();
    counts.iter().find(|count| count["status"] == status).map_or(0, |count| count["events"].as_u64().unwrap())
}

/// The newest event of a trigger once it is over.
pub(crate) fn settled(server: &Up, trigger: &str) -> Value {
    let newest = || server.get(&format!("/api/inbox?trigger={trigger}&limit=1"))["events"][0].clone();
    wait_until(|| matches!(newest()["status"].as_str(), Some("started" | "filtered" | "dead")));
    newest()
}

/// Waits until a trigger's source was asked for the first time: what happens from now on counts.
pub(crate) fn wait_until_asked(server: &Up, trigger: &str) {
    wait_until(|| {
        let triggers = server.get("/api/event-triggers");
        let found = triggers.as_array().unwrap().iter().find(|one| one["trigger"] == trigger).cloned();
        let found = found.unwrap_or_else(|| panic!("no {trigger}: {triggers}"));
        assert_eq!(found["error"], Value::Null, "{found}");
        found["asked_at"].is_string()
    });
}

/// Waits until the only step of a run is over, and gives what it gave.
pub(crate) fn outputs(server: &Up, run: &Value) -> Value {
    let path = format!("/api/runs/{}", run.as_str().unwrap());
    wait_until(|| matches!(server.get(&path)["run"]["status"].as_str(), Some("succeeded" | "failed")));
    let view = server.get(&path);
    assert_eq!(view["run"]["status"], "succeeded", "{view}");
    view["steps"][0]["outputs"].clone()
}
