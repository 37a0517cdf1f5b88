//! Event triggers of a pipeline file: read by the schema of their kind.

use crate::event_triggers::{self, EventKind, EventSpec, EventTrigger, LooksAt};
use crate::expression;
use crate::glob::Glob;
use crate::load::Reader;
use crate::validate;
use crate::yaml::Node;

/// The kind that a trigger's keys name, if it is an event trigger. `file` and `pipeline` may stand beside nothing else that names a kind.
pub(crate) fn kind_of(node: &Node) -> Option<EventKind> {
    let named = |kind: &EventKind| node.get(kind.name).is_some();
    // `webhook` is a key of `git`, too.
    let mut kinds: Vec<EventKind> = event_triggers::all().into_iter().filter(named).collect();
    if kinds.iter().any(|kind| kind.name == "git") {
        kinds.retain(|kind| kind.name != "webhook");
    }
    kinds.into_iter().next()
}

impl Reader<'_> {
    pub(crate) fn event_trigger(
        &mut self,
        name: &str,
        kind: &EventKind,
        node: &Node,
    ) -> Option<EventTrigger> {
        let before = self.problems.len();
        let value = node.to_json();
        for violation in validate::violations(&event_triggers::schema(kind), &value) {
            let place = violation.place_in(node);
            let message = format!("the trigger `{name}` ({}): {}", kind.name, violation.message);
            self.complain(&place, violation.code, message).hints = violation.hints;
        }
        if self.problems.len() > before {
            return None;
        }
        let trigger = match event_triggers::from_value(kind, value) {
            Ok(trigger) => trigger,
            Err(error) => {
                let message = format!("the trigger `{name}` ({}): {error}", kind.name);
                self.complain(&node.place, "wrong-value", message);
                return None;
            }
        };
        self.event_source(&trigger.source, node);
        self.event_expressions(&trigger, node);
        if trigger.shared.debounce.is_some() && trigger.shared.batch.is_some() {
            let place = node.get("debounce").map_or(&node.place, |node| &node.place);
            let problem = self.complain(place, "two-gatherings", "`debounce` and `batch` exclude each other");
            problem.hints.push("take one of them away".to_owned());
        }
        Some(trigger)
    }

    /// What the schema of a kind cannot say.
    fn event_source(&mut self, source: &EventSpec, node: &Node) {
        let place_of = |key: &str| node.get(key).map_or(node.place.clone(), |node| node.place.clone());
        let globs = match source {
            EventSpec::Git(git) => [("branches", &git.branches), ("tags", &git.tags), ("paths", &git.paths)]
                .into_iter()
                .flat_map(|(key, globs)| globs.iter().map(move |glob| (key, glob.trim_start_matches('!'))))
                .collect(),
            EventSpec::Files(files) => [("file", &files.file), ("blob", &files.blob)]
                .into_iter()
                .filter_map(|(key, glob)| Some((key, glob.as_deref()?)))
                .collect(),
            _ => Vec::new(),
        };
        for (key, glob) in globs {
            if Glob::new(glob).is_none() {
                let problem = self.complain(&place_of(key), "bad-glob", format!("`{glob}` is not a glob"));
                problem.hints.push("close every `[` and `{`".to_owned());
            }
        }
        match source {
            EventSpec::Webhook(webhook) if webhook.signature_header.is_some() && webhook.secret.is_none() => {
                let message = "`signature_header` without `secret` checks nothing";
                let problem = self.complain(&place_of("signature_header"), "no-secret", message);
                problem.hints.push("name the secret: `secret: NAME`".to_owned());
            }
            EventSpec::Files(files) => match files.looks_at() {
                None => {
                    let problem =
                        self.complain(&place_of("blob"), "two-kinds", "the trigger is both `file` and `blob`");
                    problem.hints.push("make it two triggers".to_owned());
                }
                Some(LooksAt::Bucket(url)) if !url.contains("://") => {
                    let message = format!("`{url}` is no URL of a bucket");
                    let problem = self.complain(&place_of("blob"), "not-a-url", message);
                    problem.hints.push(format!("for a file of this machine write `file: {url}`"));
                }
                Some(LooksAt::Folder(path)) if path.contains("://") => {
                    let message = format!("`{path}` is no path of this machine");
                    let problem = self.complain(&place_of("file"), "not-a-path", message);
                    problem.hints.push(format!("for a bucket write `blob: \"{path}\"`"));
                }
                Some(_) => {}
            },
            _ => {}
        }
    }

    fn event_expressions(&mut self, trigger: &EventTrigger, node: &Node) {
        let bare = [("if", &trigger.shared.condition), ("order_by", &trigger.shared.order_by)];
        for (key, text) in bare {
            let Some(text) = text else { continue };
            let place = node.get(key).map_or(node.place.clone(), |node| node.place.clone());
            let text = text.trim().trim_start_matches("${{").trim_end_matches("}}");
            match expression::references_of_expression(text) {
                Err(error) => {
                    self.complain(&place, "bad-expression", format!("`{key}`: {error}"));
                }
                Ok(names) => {
                    for name in names {
                        self.event_root(&name.path, &place);
                    }
                }
            }
        }
        for (name, value) in &trigger.shared.inputs {
            let place = node.get("inputs").and_then(|node| node.get(name)).unwrap_or(node).place.clone();
            match expression::references(value) {
                Err(error) => {
                    self.complain(&place, "bad-expression", format!("the input `{name}`: {error}"));
                }
                Ok(names) => {
                    for name in names {
                        self.event_root(&name.path, &place);
                    }
                }
            }
        }
    }

    /// A trigger sees the event alone: there is no run yet.
    fn event_root(&mut self, path: &[String], place: &crate::problem::Place) {
        let Some(root) = path.first().filter(|root| *root != "event") else { return };
        let message = format!("`{root}` has no value in a trigger, where only `event` is known");
        let problem = self.complain(place, "only-event", message);
        problem.hints.push("use it in a step, or give the step an input".to_owned());
    }
}
