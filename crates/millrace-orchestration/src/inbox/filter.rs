//! Whether an event starts a run: what its trigger wants, the words of git, the expression of `if:`.

use millrace_contract::{Event, GitFacts};
use millrace_spec::expression::{self, ExpressionError, RunStatus};
use millrace_spec::glob::Glob;
use millrace_spec::triggers::event::{EventSpec, EventTrigger, GitChange, GitEvent};
use serde_json::{Value, json};

use super::hook;

/// What a trigger makes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It starts a run; events with the same key one after the other.
    Passes { order_key: Option<String> },
    /// It starts nothing, and why.
    Unwanted(String),
    /// It cannot be judged, and why.
    Failed(String),
}

/// What expressions of a trigger see.
pub(super) fn context(event: &Value) -> Value {
    json!({"event": event})
}

pub(super) fn judge(trigger: &EventTrigger, event: &Event) -> Judgement {
    if let Some(why) = unwanted(&trigger.source, event) {
        return Judgement::Unwanted(why);
    }
    let context = context(&event.to_value());
    if let Some(condition) = &trigger.shared.condition {
        let status = RunStatus { succeeded: true, failed: false, any_succeeded: true };
        match expression::evaluate_condition(condition, &context, status) {
            Ok(true) => {}
            Ok(false) => return Judgement::Unwanted(format!("`if: {condition}` is false")),
            // One sender sends events of many shapes: what an event does not have is not what is looked for.
            Err(ExpressionError::Undefined { path, .. }) => {
                return Judgement::Unwanted(format!("`if: {condition}` is not true: it has no `{path}`"));
            }
            Err(error) => return Judgement::Failed(format!("`if: {condition}`: {error}")),
        }
    }
    let Some(order_by) = &trigger.shared.order_by else { return Judgement::Passes { order_key: None } };
    let bare = order_by.trim();
    let bare = bare.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(bare);
    match expression::evaluate(bare, &context) {
        Ok(Value::String(text)) => Judgement::Passes { order_key: Some(text) },
        Ok(other) => Judgement::Passes { order_key: Some(other.to_string()) },
        Err(error) => Judgement::Failed(format!("`order_by: {order_by}`: {error}")),
    }
}

fn unwanted(source: &EventSpec, event: &Event) -> Option<String> {
    match source {
        EventSpec::Webhook(webhook) => hook::unwanted(&webhook.events, event),
        EventSpec::Git(spec) => {
            let facts = event
                .facts
                .get("git")
                .cloned()
                .and_then(|facts| serde_json::from_value::<GitFacts>(facts).ok());
            match facts {
                Some(facts) => unwanted_change(spec, &facts),
                None => Some(format!("`{}` is no push, tag or pull request", event.kind)),
            }
        }
        _ => None,
    }
}

fn unwanted_change(spec: &GitChange, facts: &GitFacts) -> Option<String> {
    if !spec.events.contains(&facts.kind) {
        return Some(format!("it is a {}, and the trigger wants {}", facts.kind.word(), words(spec)));
    }
    let (name, wanted, what) = match facts.kind {
        GitEvent::Push => (&facts.branch, &spec.branches, "branch"),
        GitEvent::PullRequest => (&facts.target, &spec.branches, "target branch"),
        GitEvent::Tag => (&facts.tag, &spec.tags, "tag"),
    };
    if !wanted.is_empty() && !wanted.iter().any(|glob| matches(glob, name)) {
        return Some(format!("its {what} `{name}` is none of {}", wanted.join(", ")));
    }
    // Who tells of a pull request does not name its files; then none of them holds it back.
    let files = facts.files.as_ref().filter(|_| !spec.paths.is_empty())?;
    if files.iter().any(|file| selected(&spec.paths, file)) {
        return None;
    }
    Some(format!("none of its {} changed files is in {}", files.len(), spec.paths.join(", ")))
}

fn words(spec: &GitChange) -> String {
    spec.events.iter().map(|event| event.word()).collect::<Vec<_>>().join(", ")
}

/// Whether the last glob that speaks of a file takes it in; `!` takes out.
fn selected(globs: &[String], file: &str) -> bool {
    let only_out = globs.iter().all(|glob| glob.starts_with('!'));
    globs.iter().fold(only_out, |chosen, glob| match glob.strip_prefix('!') {
        Some(out) if matches(out, file) => false,
        None if matches(glob, file) => true,
        _ => chosen,
    })
}

fn matches(glob: &str, name: &str) -> bool {
    Glob::new(glob).is_some_and(|glob| glob.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(branch: &str, files: &[&str]) -> GitFacts {
        GitFacts {
            files: Some(files.iter().map(|&file| file.to_owned()).collect()),
            ..GitFacts::of_ref(format!("refs/heads/{branch}"), "abc".to_owned(), None)
        }
    }

    fn spec(text: serde_json::Value) -> GitChange {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn branches_and_paths_choose_pushes() {
        let spec = spec(
            json!({"git": "origin", "branches": ["main", "release/*"], "paths": ["churn/**", "!churn/docs/**"]}),
        );
        assert_eq!(unwanted_change(&spec, &change("main", &["churn/a/b.py"])), None);
        assert_eq!(unwanted_change(&spec, &change("release/1", &["x", "churn/b.py"])), None);
        let why = |facts: &GitFacts| unwanted_change(&spec, facts).unwrap();
        assert_eq!(why(&change("dev", &["churn/b.py"])), "its branch `dev` is none of main, release/*");
        assert_eq!(
            why(&change("release/1/x", &["churn/b.py"])),
            "its branch `release/1/x` is none of main, release/*"
        );
        assert_eq!(
            why(&change("main", &["churn/docs/a.md", "other"])),
            "none of its 2 changed files is in churn/**, !churn/docs/**"
        );
        let tag = GitFacts::of_ref("refs/tags/v1".to_owned(), "abc".to_owned(), None);
        assert_eq!(why(&tag), "it is a tag, and the trigger wants push");
    }

    #[test]
    fn a_filter_that_asks_for_what_an_event_has_not_is_not_true() {
        let trigger = |text: &str| EventTrigger {
            source: EventSpec::Webhook(serde_json::from_value(json!({"webhook": "github"})).unwrap()),
            shared: serde_json::from_value(json!({"if": text, "order_by": "event.key"})).unwrap(),
        };
        let event = |data: Value| Event {
            id: "1".to_owned(),
            source: "s".to_owned(),
            kind: "github.push".to_owned(),
            subject: None,
            time: None,
            data,
            facts: serde_json::Map::new(),
        };
        let judged = |text: &str, data: Value| judge(&trigger(text), &event(data));
        let passes = Judgement::Passes { order_key: Some("7".to_owned()) };
        assert_eq!(judged("event.action == 'published'", json!({"action": "published", "key": 7})), passes);
        assert_eq!(
            judged("event.action == 'published'", json!({"key": 7})),
            Judgement::Unwanted(
                "`if: event.action == 'published'` is not true: it has no `event.action`".to_owned()
            )
        );
        assert!(matches!(judged("event.key + 'x' > 2", json!({"key": 7})), Judgement::Failed(_)));
        assert!(matches!(judged("true", json!({})), Judgement::Failed(_)));
    }
}
