//! `${{ }}` expressions: Python-like, by minijinja, strict about names that are not there.
//!
//! A string that is one whole `${{ … }}` keeps the type of its value; inside other text the value is rendered. In SQL the value is bound
//! as a parameter and never pasted. Steps are named as `steps.<id>.<output>`; `steps[…]` is refused, since its target cannot be known
//! before the run (orchestration reference, section 3).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior};
use regex::Regex;
use serde_json::Value;

use crate::suggest::nearest;

/// Instructions an expression may take; enough for any list a person writes, too little to stall a scheduler.
const FUEL: u64 = 100_000;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// `${{` without `}}`.
    #[error("`${{{{` at character {offset} is never closed by `}}}}`")]
    Unclosed {
        /// Characters before it, from 0.
        offset: usize,
    },
    /// It does not parse.
    #[error("`{text}` is not an expression: {reason}")]
    Syntax {
        /// What stands between the braces.
        text: String,
        /// The parser's words.
        reason: String,
    },
    /// `steps[…]`.
    #[error("`{text}` names a step by `steps[…]`; write `steps.<id>`")]
    DynamicStep {
        /// What stands between the braces.
        text: String,
    },
    /// A name that has no value here.
    #[error("`{path}` has no value here{}", suggestion.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    Undefined {
        /// The dotted name.
        path: String,
        /// A near name that has one.
        suggestion: Option<String>,
    },
    /// It parses, but cannot be computed.
    #[error("`{text}` cannot be computed: {reason}")]
    Failed {
        /// What stands between the braces.
        text: String,
        /// Why.
        reason: String,
    },
    /// A quoted `${{ }}` in SQL.
    #[error("`{text}` stands inside quotes; leave the quotes away, the value is bound as a parameter")]
    Quoted {
        /// What stands between the braces.
        text: String,
    },
}

/// A dotted name in an expression, for example `["steps", "train", "model"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The parts of the name.
    pub path: Vec<String>,
}

/// SQL with its values taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundText {
    /// The text, `$1`, `$2`, … in place of the expressions.
    pub text: String,
    /// The values, in that order.
    pub params: Vec<Value>,
}

/// What `succeeded()` and `failed()` answer in a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStatus {
    /// All steps that the condition looks at succeeded.
    pub succeeded: bool,
    /// At least one of them failed.
    pub failed: bool,
    /// At least one of them succeeded.
    pub any_succeeded: bool,
}

/// A piece of a string.
enum Part<'a> {
    Text(&'a str),
    Expression(&'a str),
}

/// The names that a value's expressions use, sorted, without repeats.
///
/// # Errors
/// The first expression that does not parse or that names a step dynamically.
pub fn references(value: &Value) -> Result<BTreeSet<Reference>, ExpressionError> {
    let mut found = BTreeSet::new();
    collect_references(value, &mut found)?;
    Ok(found)
}

/// The names that a bare expression such as an `if:` uses.
///
/// # Errors
/// If it does not parse or names a step dynamically.
pub fn references_of_expression(text: &str) -> Result<BTreeSet<Reference>, ExpressionError> {
    let environment = environment(None);
    environment
        .compile_expression(text)
        .map_err(|error| ExpressionError::Syntax { text: text.trim().to_owned(), reason: reason(&error) })?;
    let bare = without_strings(text);
    if DYNAMIC_STEP.is_match(&bare) {
        return Err(ExpressionError::DynamicStep { text: text.trim().to_owned() });
    }
    // A scan of the text, since minijinja reports nothing for a slice such as `steps.a.text[:10]`.
    let path = |name: &str| Reference { path: name.split('.').map(|part| part.trim().to_owned()).collect() };
    Ok(NAME.find_iter(&bare).map(|name| path(name.as_str())).collect())
}

/// Renders every string in `value` against `context`.
///
/// # Errors
/// The first expression that has no value.
pub fn render(value: &Value, context: &Value) -> Result<Value, ExpressionError> {
    match value {
        Value::String(text) if text.contains("${{") => render_text(text, context),
        Value::Array(items) => items.iter().map(|item| render(item, context)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| Ok((name.clone(), render(value, context)?))).collect()
        }
        plain => Ok(plain.clone()),
    }
}

/// Replaces every `${{ }}` in SQL by a parameter.
///
/// # Errors
/// The first expression that has no value, or that stands inside quotes.
pub fn render_bound(text: &str, context: &Value) -> Result<BoundText, ExpressionError> {
    let environment = environment(None);
    let mut bound = BoundText { text: String::with_capacity(text.len()), params: Vec::new() };
    for part in parts(text)? {
        match part {
            Part::Text(piece) => bound.text.push_str(piece),
            Part::Expression(expression) => {
                if bound.text.matches('\'').count() % 2 == 1 {
                    return Err(ExpressionError::Quoted { text: expression.trim().to_owned() });
                }
                bound.params.push(compute(&environment, expression, context)?);
                bound.text.push_str(&format!("${}", bound.params.len()));
            }
        }
    }
    Ok(bound)
}

/// Computes a bare expression.
///
/// # Errors
/// If it does not parse or has no value.
pub fn evaluate(expression: &str, context: &Value) -> Result<Value, ExpressionError> {
    compute(&environment(None), expression, context)
}

/// Computes a condition; besides names it may call `succeeded()`, `failed()`, `always()`, which is also `all_done()`, and
/// `any(a, b, …)`; `any()` asks whether one of the steps succeeded.
///
/// Written as `${{ … }}` it means the same.
///
/// # Errors
/// If it does not parse or has no value.
pub fn evaluate_condition(
    condition: &str,
    context: &Value,
    status: RunStatus,
) -> Result<bool, ExpressionError> {
    let bare = condition.trim();
    let bare = bare.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(bare);
    let value = compute(&environment(Some(status)), bare, context)?;
    Ok(match value {
        Value::Bool(truth) => truth,
        Value::Null => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    })
}

/// Whether an expression names what only steps with `foreach` or `matrix` have: `item`, `index`, `matrix`.
pub fn names_an_item(value: &Value) -> bool {
    match value {
        Value::String(text) => parts(text).unwrap_or_default().iter().any(|part| match part {
            Part::Expression(expression) => ITEM.is_match(&without_strings(expression)),
            Part::Text(_) => false,
        }),
        Value::Array(items) => items.iter().any(names_an_item),
        Value::Object(fields) => fields.values().any(names_an_item),
        _ => false,
    }
}

/// Not behind a dot, where the same words may be an output's name; not a keyword argument or a loop's own variable.
static ITEM: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[^.\w])(?:item|index|matrix)(?:$|[^\w=(])"));
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:steps|inputs|run|secrets|window|event|item|matrix|error)(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)+",
    )
});
static DYNAMIC_STEP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bsteps\s*(?:\.\s*[a-z_0-9]+\s*)?\["));

#[allow(clippy::expect_used, reason = "the patterns are constants that the tests compile")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

fn environment(status: Option<RunStatus>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("date", |instant: String| local(&instant).map(|at| at.date().to_string()));
    environment.add_filter("strftime", |instant: String, form: String| {
        let refused = |error: jiff::Error| filter_error(error.to_string());
        jiff::fmt::strtime::format(&form, local(&instant)?).map_err(refused)
    });
    if let Some(status) = status {
        environment.add_function("succeeded", move || status.succeeded);
        environment.add_function("failed", move || status.failed);
        environment.add_function("always", || true);
        environment.add_function("all_done", || true);
        environment.add_function("any", move |values: minijinja::value::Rest<minijinja::Value>| {
            if values.is_empty() {
                status.any_succeeded
            } else {
                values.iter().any(minijinja::Value::is_true)
            }
        });
    }
    environment
}

/// The local time of an instant or a date as text.
fn local(instant: &str) -> Result<jiff::civil::DateTime, minijinja::Error> {
    let broken = jiff::fmt::strtime::BrokenDownTime::parse("%Y-%m-%dT%H:%M:%S%:z", instant)
        .and_then(|broken| broken.to_datetime())
        .or_else(|_| instant.parse::<jiff::civil::DateTime>());
    broken.map_err(|_| filter_error(format!("`{instant}` is not an instant")))
}

fn filter_error(reason: String) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, reason)
}

fn collect_references(value: &Value, found: &mut BTreeSet<Reference>) -> Result<(), ExpressionError> {
    match value {
        Value::String(text) => {
            for part in parts(text)? {
                if let Part::Expression(expression) = part {
                    found.append(&mut references_of_expression(expression)?);
                }
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_references(item, found))?,
        Value::Object(fields) => fields.values().try_for_each(|item| collect_references(item, found))?,
        _ => {}
    }
    Ok(())
}

fn render_text(text: &str, context: &Value) -> Result<Value, ExpressionError> {
    let environment = environment(None);
    let parts = parts(text)?;
    if let [Part::Expression(expression)] = parts.as_slice() {
        return compute(&environment, expression, context);
    }
    let mut rendered = String::with_capacity(text.len());
    for part in parts {
        match part {
            Part::Text(piece) => rendered.push_str(piece),
            Part::Expression(expression) => match compute(&environment, expression, context)? {
                Value::String(piece) => rendered.push_str(&piece),
                Value::Null => {}
                other => rendered.push_str(&other.to_string()),
            },
        }
    }
    Ok(Value::String(rendered))
}

fn compute(
    environment: &Environment<'_>,
    expression: &str,
    context: &Value,
) -> Result<Value, ExpressionError> {
    let text = expression.trim();
    let compiled = environment
        .compile_expression(text)
        .map_err(|error| ExpressionError::Syntax { text: text.to_owned(), reason: reason(&error) })?;
    let computed = compiled.eval(minijinja::value::Serde(context));
    match computed {
        Ok(value) if value.is_undefined() => Err(missing_name(text, context)),
        Ok(value) => serde_json::to_value(&value)
            .map_err(|error| ExpressionError::Failed { text: text.to_owned(), reason: error.to_string() }),
        Err(error) if error.kind() == minijinja::ErrorKind::UndefinedError => {
            Err(missing_name(text, context))
        }
        Err(error) => Err(ExpressionError::Failed { text: text.to_owned(), reason: reason(&error) }),
    }
}

/// Finds which name of the expression is not in the context.
fn missing_name(text: &str, context: &Value) -> ExpressionError {
    for reference in references_of_expression(text).unwrap_or_default() {
        let mut here = context;
        for (depth, part) in reference.path.iter().enumerate() {
            match here.get(part) {
                Some(next) => here = next,
                None => {
                    let known: Vec<&str> = here
                        .as_object()
                        .map(|fields| fields.keys().map(String::as_str).collect())
                        .unwrap_or_default();
                    let path = reference.path.iter().take(depth + 1).cloned().collect::<Vec<_>>().join(".");
                    return ExpressionError::Undefined {
                        path,
                        suggestion: nearest(part, &known).map(str::to_owned),
                    };
                }
            }
        }
    }
    ExpressionError::Undefined { path: text.to_owned(), suggestion: None }
}

fn reason(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// Splits a string at its `${{ }}`. A `}}` inside a string literal of the expression does not end it.
fn parts(text: &str) -> Result<Vec<Part<'_>>, ExpressionError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        let (before, opened) = rest.split_at(start);
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let body = opened.get(3..).unwrap_or_default();
        let Some(end) = end_of_expression(body) else {
            let consumed = text.len() - rest.len() + start;
            let offset = text.get(..consumed).map_or(0, |before| before.chars().count());
            return Err(ExpressionError::Unclosed { offset });
        };
        parts.push(Part::Expression(body.get(..end).unwrap_or_default()));
        rest = body.get(end + 2..).unwrap_or_default();
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn end_of_expression(body: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_u32;
    let bytes = body.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// The expression with its string literals blanked out.
fn without_strings(text: &str) -> String {
    let mut quote = None;
    text.chars()
        .map(|character| match quote {
            Some(open) if character == open => {
                quote = None;
                ' '
            }
            Some(_) => ' ',
            None if character == '\'' || character == '"' => {
                quote = Some(character);
                ' '
            }
            None => character,
        })
        .collect()
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
