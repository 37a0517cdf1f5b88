//! What GitHub, GitLab, Azure DevOps and anybody else tell.

use millrace_contract::Event;
use serde_json::{Map, Value, json};

use super::{HookRefusal, HookRequest};

/// Headers that say nothing of what happened, or that must not be kept.
const UNKEPT: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "x-gitlab-token", "x-signature", "x-hub-signature"];

pub(super) fn github(request: &HookRequest) -> Result<Event, HookRefusal> {
    let data = json_body(request)?;
    let name = request.header("x-github-event").ok_or_else(|| missing("x-github-event"))?;
    let event = Event {
        id: request.header("x-github-delivery").map_or_else(|| body_digest(request), str::to_owned),
        source: text(&data, "/repository/html_url").unwrap_or("github").to_owned(),
        kind: kind("github", name, text(&data, "/action")),
        subject: text(&data, "/repository/full_name").map(str::to_owned),
        time: None,
        facts: Map::new(),
        data,
    };
    let build =
        text(&event.data, "/workflow_run/id").is_some() || event.data.pointer("/workflow_run/id").is_some();
    Ok(if build {
        with_build(event, "/workflow_run", ["name", "conclusion", "head_branch", "head_sha", "html_url"])
    } else {
        event
    })
}

pub(super) fn gitlab(request: &HookRequest) -> Result<Event, HookRefusal> {
    let data = json_body(request)?;
    let name = text(&data, "/object_kind")
        .ok_or_else(|| HookRefusal::Unreadable("`object_kind` is missing".to_owned()))?;
    let delivery = request.header("idempotency-key").or_else(|| request.header("x-gitlab-event-uuid"));
    let action = text(&data, "/object_attributes/action");
    let event = Event {
        id: delivery.map_or_else(|| body_digest(request), str::to_owned),
        source: text(&data, "/project/web_url").unwrap_or("gitlab").to_owned(),
        kind: kind("gitlab", name, action),
        subject: text(&data, "/project/path_with_namespace").map(str::to_owned),
        time: None,
        facts: Map::new(),
        data,
    };
    let build = event.kind == "gitlab.pipeline";
    Ok(if build {
        with_build(event, "/object_attributes", ["name", "status", "ref", "sha", "url"])
    } else {
        event
    })
}

pub(super) fn azure_devops(request: &HookRequest) -> Result<Event, HookRefusal> {
    let data = json_body(request)?;
    let name = text(&data, "/eventType")
        .ok_or_else(|| HookRefusal::Unreadable("`eventType` is missing".to_owned()))?;
    let source = ["/resource/repository/remoteUrl", "/resource/url", "/resourceContainers/project/baseUrl"];
    let event = Event {
        id: text(&data, "/id").map_or_else(|| body_digest(request), str::to_owned),
        source: source.iter().find_map(|pointer| text(&data, pointer)).unwrap_or("azure_devops").to_owned(),
        kind: format!("azure_devops.{name}"),
        subject: text(&data, "/resource/repository/name")
            .or_else(|| text(&data, "/resource/definition/name"))
            .map(str::to_owned),
        time: text(&data, "/createdDate").map(str::to_owned),
        facts: Map::new(),
        data,
    };
    let build = event.kind == "azure_devops.build.complete";
    Ok(if build {
        with_build(event, "/resource", ["buildNumber", "result", "sourceBranch", "sourceVersion", "url"])
    } else {
        event
    })
}

pub(super) fn anybody(request: &HookRequest, address: &str) -> Result<Event, HookRefusal> {
    let data = match serde_json::from_slice::<Value>(&request.body) {
        Ok(data) => data,
        Err(_) => match String::from_utf8(request.body.clone()) {
            Ok(text) => Value::String(text),
            Err(_) => return Err(HookRefusal::Unreadable("the body is neither JSON nor text".to_owned())),
        },
    };
    let id = request.header("idempotency-key").or_else(|| request.header("webhook-id"));
    let event = Event {
        id: id.map_or_else(|| body_digest(request), str::to_owned),
        source: address.to_owned(),
        kind: text(&data, "/type").unwrap_or("webhook").to_owned(),
        subject: None,
        time: None,
        facts: Map::new(),
        data,
    };
    let kept = |(name, value): &(String, String)| {
        let wanted = name.starts_with("x-") || name == "user-agent" || name == "content-type";
        (wanted && !UNKEPT.iter().any(|unkept| name.starts_with(unkept)))
            .then(|| (name.clone(), value.clone().into()))
    };
    let headers: Map<String, Value> = request.headers.iter().filter_map(kept).collect();
    Ok(event.with_fact("headers", Value::Object(headers)))
}

/// The body's digest, where the sender names no id: the same body is the same event.
pub(super) fn body_digest(request: &HookRequest) -> String {
    format!("blake3:{}", blake3::hash(&request.body).to_hex())
}

pub(super) fn json_body(request: &HookRequest) -> Result<Value, HookRefusal> {
    serde_json::from_slice(&request.body)
        .map_err(|error| HookRefusal::Unreadable(format!("the body is not JSON: {error}")))
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn kind(sender: &str, name: &str, action: Option<&str>) -> String {
    match action {
        Some(action) => format!("{sender}.{name}.{action}"),
        None => format!("{sender}.{name}"),
    }
}

/// Adds `build`, the same whoever built: `name`, `result`, `branch`, `sha`, `url`.
fn with_build(event: Event, below: &str, [name, result, branch, sha, url]: [&str; 5]) -> Event {
    let of = |field: &str| text(&event.data, &format!("{below}/{field}")).unwrap_or_default();
    let branch = of(branch);
    let build = json!({
        "name": of(name), "result": of(result), "branch": branch.strip_prefix("refs/heads/").unwrap_or(branch),
        "sha": of(sha), "url": of(url),
    });
    event.with_fact("build", build)
}

fn missing(header: &str) -> HookRefusal {
    HookRefusal::Unreadable(format!("the header `{header}` is missing"))
}
