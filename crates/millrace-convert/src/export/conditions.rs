//! `if:` of a step as dependency conditions and as an If Condition around its activity.

use millrace_spec::pipeline::Step;
use serde_json::{Value, json};

use super::activity::{Activities, name};
use super::expression::{self, Term};
use super::gap;
use crate::report::Report;

/// What a condition says: about earlier steps, in dependency conditions, and the rest.
pub(super) struct Condition {
    /// Step and words.
    pub(super) states: Vec<(String, Vec<&'static str>)>,
    pub(super) rest: Option<String>,
}

impl Activities<'_> {
    /// A condition in two halves; nothing if there is none, or if it cannot be said.
    pub(super) fn condition(&mut self, step: &Step) -> Option<Condition> {
        let text = step.condition.as_deref()?;
        let refused = |report: &mut Report| {
            let message = format!("the condition `{text}` of `{}` has no counterpart", step.id);
            gap(report, step, message, Some("write an If Condition around the activity"));
        };
        let bare = text.trim().trim_start_matches("${{").trim_end_matches("}}");
        let Some(term) = expression::read(bare) else {
            refused(self.report);
            return None;
        };
        let mut conjuncts = Vec::new();
        conjuncts_of(&term, &mut conjuncts);
        let mut condition = Condition { states: Vec::new(), rest: None };
        let mut rest: Vec<&Term> = Vec::new();
        for part in conjuncts {
            match part {
                Term::Call(name, _) if name == "always" || name == "succeeded" => {}
                Term::Call(name, _) if name == "failed" => {
                    condition.states.extend(step.needs.iter().map(|need| (need.to_string(), vec!["Failed"])));
                }
                Term::Word(word) if word == "true" => {}
                other => match state_of(other) {
                    Some(state) => condition.states.push(state),
                    None => rest.push(other),
                },
            }
        }
        let mut said = rest.iter().map(|term| expression::theirs(term, &|path| name(self.pipeline, path)));
        let first = said.next();
        let all =
            first.map(|first| said.try_fold(first?, |all, next| Some(format!("and({all}, {})", next?))));
        match all {
            Some(None) => {
                refused(self.report);
                return None;
            }
            Some(some) => condition.rest = some,
            None => {}
        }
        self.names_window |= condition.rest.as_ref().is_some_and(|rest| {
            rest.contains("parameters.windowStart") || rest.contains("parameters.windowEnd")
        });
        Some(condition)
    }
}

/// Whether a step stands within an If Condition there.
pub(super) fn is_guarded(step: &Step) -> bool {
    let Some(term) = step.condition.as_deref().and_then(expression::read) else { return false };
    let mut conjuncts = Vec::new();
    conjuncts_of(&term, &mut conjuncts);
    conjuncts.iter().any(|part| {
        !matches!(part, Term::Call(..)) && state_of(part).is_none() && **part != Term::Word("true".to_owned())
    })
}

fn conjuncts_of<'t>(term: &'t Term, parts: &mut Vec<&'t Term>) {
    match term {
        Term::Both(operator, left, right) if operator == "and" => {
            // An `and` on the right was in brackets, and stays one.
            conjuncts_of(left, parts);
            parts.push(right);
        }
        other => parts.push(other),
    }
}

/// What a part of a condition says about an earlier step.
fn state_of(term: &Term) -> Option<(String, Vec<&'static str>)> {
    let Term::Both(operator, left, right) = term else { return None };
    if operator == "or" {
        let ((one, mut words), (other, more)) = (state_of(left)?, state_of(right)?);
        words.extend(more);
        return (one == other).then_some((one, words));
    }
    let Term::Name(path) = left.as_ref() else { return None };
    let [root, step, state] = path.as_slice() else { return None };
    let words: Vec<&str> = match right.as_ref() {
        Term::Text(text) => vec![text],
        Term::List(items) => items
            .iter()
            .filter_map(|item| if let Term::Text(text) = item { Some(text.as_str()) } else { None })
            .collect(),
        _ => return None,
    };
    let said = match (operator.as_str(), words.as_slice()) {
        ("in", ["succeeded", "cached"]) => vec!["Succeeded"],
        ("in", ["succeeded", "cached", "skipped"]) => vec!["Succeeded", "Skipped"],
        ("not in", ["succeeded", "cached", "skipped"]) => vec!["Failed"],
        ("==", ["skipped"]) => vec!["Skipped"],
        ("!=", ["skipped"]) => vec!["Completed"],
        _ => return None,
    };
    (root == "steps" && state == "state").then(|| (step.clone(), said))
}

pub(super) fn depends_on(step: &Step, condition: Option<&Condition>, guarded: &[String]) -> Vec<Value> {
    let of = |need: &str| {
        let said = condition.and_then(|condition| condition.states.iter().find(|(step, _)| step == need));
        let is_guarded = guarded.iter().any(|step| step == need);
        let words = match said {
            // What is around it succeeds, whether it ran or not.
            Some((_, words)) if is_guarded && words == &["Succeeded", "Skipped"] => vec!["Succeeded"],
            Some((_, words)) => words.clone(),
            None => vec!["Succeeded"],
        };
        let name = if is_guarded { format!("if_{need}") } else { need.to_owned() };
        json!({"activity": name, "dependencyConditions": words})
    };
    step.needs.iter().map(|need| of(need.as_str())).collect()
}
