//! Pushes, tags and pull requests as GitHub, GitLab and Azure DevOps tell them, in the words of a repository that is asked.

use millrace_contract::{Event, GitFacts};
use millrace_spec::triggers::event::GitChange;
use serde_json::Value;

use super::senders::text;

/// The changes of a repository that a sender tells of; the event itself, which will start nothing, if there are none.
pub(super) fn changes(spec: &GitChange, told: Event) -> Vec<Event> {
    let data = &told.data;
    let found: Vec<GitFacts> = match told.kind.as_str() {
        "github.push" => vec![push(
            data,
            ("/ref", "/after", "/before"),
            "/head_commit/message",
            "/head_commit/author/name",
        )],
        "gitlab.push" | "gitlab.tag_push" => {
            vec![push(data, ("/ref", "/after", "/before"), "/commits/0/message", "/user_name")]
        }
        "azure_devops.git.push" => azure_push(data),
        kind if kind.starts_with("github.pull_request.") => {
            let moved = ["opened", "synchronize", "reopened", "ready_for_review"];
            let facts = pull_request(
                data,
                [
                    "/pull_request/head/ref",
                    "/pull_request/base/ref",
                    "/pull_request/head/sha",
                    "/pull_request/title",
                    "/pull_request/user/login",
                ],
                "/number",
            );
            moved.iter().any(|word| kind.ends_with(word)).then_some(facts).into_iter().collect()
        }
        kind if kind.starts_with("gitlab.merge_request") => {
            let base = "/object_attributes";
            let pointer = |name: &str| format!("{base}/{name}");
            let pointers =
                ["source_branch", "target_branch", "last_commit/id", "title", "author_id"].map(pointer);
            let facts = pull_request(data, pointers.each_ref().map(String::as_str), &pointer("iid"));
            ["open", "update", "reopen"]
                .iter()
                .any(|word| kind.ends_with(word))
                .then_some(facts)
                .into_iter()
                .collect()
        }
        "azure_devops.git.pullrequest.created" | "azure_devops.git.pullrequest.updated" => {
            vec![pull_request(
                data,
                [
                    "/resource/sourceRefName",
                    "/resource/targetRefName",
                    "/resource/lastMergeSourceCommit/commitId",
                    "/resource/title",
                    "/resource/createdBy/displayName",
                ],
                "/resource/pullRequestId",
            )]
        }
        _ => Vec::new(),
    };
    // A branch that was deleted has only zeros.
    let real = found.into_iter().filter(|facts| facts.sha.bytes().any(|byte| byte != b'0'));
    let events: Vec<Event> = real.map(|facts| facts.into_event(&spec.git, told.data.clone())).collect();
    if events.is_empty() { vec![told] } else { events }
}

fn push(
    data: &Value,
    (reference, after, before): (&str, &str, &str),
    message: &str,
    author: &str,
) -> GitFacts {
    let commits = data.get("commits").and_then(Value::as_array);
    let mut files: Vec<String> = commits
        .into_iter()
        .flatten()
        .flat_map(|commit| {
            ["added", "modified", "removed"].map(|word| commit.get(word).and_then(Value::as_array))
        })
        .flatten()
        .flatten()
        .filter_map(|file| file.as_str().map(str::to_owned))
        .collect();
    files.sort();
    files.dedup();
    let of = |pointer: &str| text(data, pointer).unwrap_or_default().to_owned();
    GitFacts {
        files: commits.map(|_| files),
        message: of(message),
        author: of(author),
        ..GitFacts::of_ref(of(reference), of(after), Some(of(before)))
    }
}

fn azure_push(data: &Value) -> Vec<GitFacts> {
    let updates = data.pointer("/resource/refUpdates").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |value: &Value, pointer: &str| text(value, pointer).unwrap_or_default().to_owned();
    updates
        .iter()
        .map(|update| GitFacts {
            message: of(data, "/resource/commits/0/comment"),
            author: of(data, "/resource/pushedBy/displayName"),
            ..GitFacts::of_ref(
                of(update, "/name"),
                of(update, "/newObjectId"),
                Some(of(update, "/oldObjectId")),
            )
        })
        .collect()
}

fn pull_request(data: &Value, [branch, target, sha, message, author]: [&str; 5], number: &str) -> GitFacts {
    let of = |pointer: &str| text(data, pointer).unwrap_or_default().to_owned();
    let plain = |name: String| name.strip_prefix("refs/heads/").map_or_else(|| name.clone(), str::to_owned);
    GitFacts {
        message: of(message),
        author: of(author),
        ..GitFacts::of_pull_request(
            data.pointer(number).and_then(Value::as_u64).unwrap_or_default(),
            (plain(of(branch)), plain(of(target))),
            of(sha),
        )
    }
}
