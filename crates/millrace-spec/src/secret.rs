//! Secrets as files name them, `${{ secrets.NAME }}`: their texts, which of them logs hide, and what is said of one without a value.

use std::fmt;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::expression::{self, ExpressionError};
use crate::ids::SecretName;
use crate::problem::Problem;
use crate::suggest::nearest;

/// What the variables with a secret begin with; the rest, in lower case, is its name.
pub const VARIABLE_PREFIX: &str = "MILLRACE_SECRET_";
/// Fewest characters of a text that is masked in logs: a shorter one stands in half of all lines by chance.
const SHORTEST_MASKED: usize = 4;

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Not for messages, and not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether logs hide it: too short a text they cannot.
    pub fn is_masked(&self) -> bool {
        is_masked(&self.0)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secrets of a workspace as they are at one moment.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// By name: the text, or why it cannot be read.
    pub texts: IndexMap<String, Result<SecretText, Box<Problem>>>,
    /// Set if there may be more of them: why nobody can know.
    pub others: Option<Box<Problem>>,
}

impl Secrets {
    /// All names; `None` if there may be more.
    pub fn names(&self) -> Option<Vec<String>> {
        self.others.is_none().then(|| self.texts.keys().cloned().collect())
    }

    /// The texts that can be read.
    pub fn readable(&self) -> impl Iterator<Item = &SecretText> {
        self.texts.values().filter_map(|text| text.as_ref().ok())
    }

    /// What `secrets` is in an expression: those that can be read.
    pub fn to_value(&self) -> Value {
        let readable = self.texts.iter().filter_map(|(name, text)| Some((name, text.as_ref().ok()?)));
        Value::Object(
            readable.map(|(name, text)| (name.clone(), text.reveal().into())).collect::<Map<_, _>>(),
        )
    }

    /// The first secret that `value` names and that is there, but cannot be read. `user` says who names it, for example "the step `load`".
    ///
    /// To be asked before the value is rendered: to an expression such a secret looks like one that is not set, for which it may have a
    /// default.
    pub fn refusal(&self, user: &str, value: &Value) -> Option<Problem> {
        // An expression that does not parse is refused by whoever renders it.
        let references = expression::references(value).unwrap_or_default();
        references.iter().find_map(|reference| {
            let [root, name, ..] = reference.path.as_slice() else { return None };
            if root != "secrets" {
                return None;
            }
            let cause = match self.texts.get(name) {
                Some(Ok(_)) => return None,
                Some(Err(cause)) => cause,
                None => self.others.as_ref()?,
            };
            Some(unreadable(user, name, cause))
        })
    }
}

/// What is said where an expression names a secret that is not set; `None` if the error is another one.
pub fn missing(user: &str, error: &ExpressionError) -> Option<Problem> {
    let ExpressionError::Undefined { path, suggestion } = error else { return None };
    let name = path.strip_prefix("secrets.")?;
    let message = format!("{user} uses `secrets.{name}`, which is not set");
    Some(with_ways_out(Problem::error("secret-missing", message), name, suggestion.as_deref()))
}

/// What `check` says where a secret is named that is not set on this machine; `known` are the names of those that are.
pub fn unknown(user: &str, name: &str, known: &[String]) -> Problem {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let message = format!("{user} uses `secrets.{name}`, which is not set here");
    with_ways_out(Problem::error("secret-missing", message), name, nearest(name, &known)).as_warning()
}

/// What logs hide of these texts, the longest first: each as a whole, and each of its lines, since logs are written line by line.
pub fn masks<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let parts = texts.flat_map(|text| std::iter::once(text).chain(text.lines().map(str::trim)));
    let mut masks: Vec<String> = parts.filter(|part| is_masked(part)).map(str::to_owned).collect();
    // Behind a shorter one that it begins with, the rest of a longer one would stay readable.
    masks.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    masks.dedup();
    masks
}

/// The variable that gives a secret in place of the file.
pub fn variable(name: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", name.to_uppercase())
}

fn is_masked(text: &str) -> bool {
    text.chars().count() >= SHORTEST_MASKED
}

fn unreadable(user: &str, name: &str, cause: &Problem) -> Problem {
    let place = cause.place.as_ref();
    let place = place.map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column));
    let message = format!("{user} uses `secrets.{name}`, which cannot be read");
    let mut problem = Problem::error("secret-unreadable", message).note(format!(
        "{}{}",
        place.unwrap_or_default(),
        cause.message
    ));
    problem.notes.extend(cause.notes.iter().cloned());
    problem.hints.clone_from(&cause.hints);
    problem.hint(format!("`export {}=…` gives this one alone", variable(name)))
}

fn with_ways_out(problem: Problem, name: &str, near: Option<&str>) -> Problem {
    let problem = match near {
        Some(near) => problem.hint(format!("did you mean `secrets.{near}`?")),
        None => problem,
    };
    match name.parse::<SecretName>() {
        Ok(name) => {
            problem.hint(format!("`millrace secrets set {name}`, or `export {}=…`", variable(name.as_str())))
        }
        Err(error) => problem.hint(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use crate::problem::Place;
    use serde_json::json;

    fn secrets() -> Secrets {
        let place = Place { file: "secrets.enc.yaml".to_owned(), line: 5, column: 8, length: 9 };
        let damaged = Problem::error("secret-damaged", "the value of `shop` is damaged").at(place);
        let texts = [
            ("api", Ok(SecretText::new("hunter22"))),
            ("shop", Err(Box::new(damaged.hint("`millrace secrets set shop`")))),
        ];
        Secrets {
            texts: texts.map(|(name, text)| (name.to_owned(), text)).into_iter().collect(),
            others: None,
        }
    }

    #[test]
    fn nothing_shows_the_text() {
        let shown = format!("{:?} {:?}", SecretText::new("hunter22"), secrets());
        assert!(shown.starts_with("*** ") && !shown.contains("hunter22"), "{shown}");
    }

    #[test]
    fn masks_cover_every_line_and_leave_out_what_is_too_short() {
        let texts =
            ["hunter22", "abc", "-----BEGIN-----\n  MIIB\r\n}\n-----END-----\n", "hunter", "hunter22"];
        assert_eq!(
            masks(texts.into_iter()),
            [
                "-----BEGIN-----\n  MIIB\r\n}\n-----END-----\n",
                "-----BEGIN-----",
                "-----END-----",
                "hunter22",
                "hunter",
                "MIIB"
            ]
        );
        assert!(!SecretText::new("abc").is_masked());
    }

    #[test]
    fn one_that_cannot_be_read_is_refused_even_where_there_is_a_default() {
        let refusal = |value: Value| secrets().refusal("the step `load`", &value);
        assert_eq!(refusal(json!({"a": "${{ secrets.api }}", "b": ["${{ secrets.nothere }}"]})), None);
        let problem = refusal(json!(["x", "${{ secrets.shop | default('y') }}"])).unwrap();
        insta::assert_snapshot!(frame::render(&problem, None, false), @r"
        error[secret-unreadable]: the step `load` uses `secrets.shop`, which cannot be read
         = secrets.enc.yaml:5:8: the value of `shop` is damaged
        hint: `millrace secrets set shop`
        hint: `export MILLRACE_SECRET_SHOP=…` gives this one alone
        ");
    }

    #[test]
    fn where_the_file_cannot_be_read_every_unknown_name_may_be_in_it() {
        let mut secrets = secrets();
        secrets.others = Some(Box::new(Problem::error("yaml-syntax", "this is not YAML")));
        assert_eq!(secrets.names(), None);
        assert_eq!(secrets.refusal("the step `load`", &json!("${{ secrets.api }}")), None);
        let problem = secrets.refusal("the step `load`", &json!("${{ secrets.nothere }}")).unwrap();
        assert_eq!(problem.notes, ["this is not YAML"]);
    }

    #[test]
    fn one_that_is_not_set_is_explained_with_the_ways_to_set_it() {
        let context = json!({"secrets": secrets().to_value()});
        let said = |text: &str| {
            let error = expression::render(&json!(text), &context).unwrap_err();
            missing("the step `load`", &error).map(|problem| frame::render(&problem, None, false))
        };
        assert_eq!(said("${{ inputs.apo }}"), None);
        insta::assert_snapshot!(said("${{ secrets.apo }}").unwrap(), @r"
        error[secret-missing]: the step `load` uses `secrets.apo`, which is not set
        hint: did you mean `secrets.api`?
        hint: `millrace secrets set apo`, or `export MILLRACE_SECRET_APO=…`
        ");
        insta::assert_snapshot!(said("${{ secrets.Nothere }}").unwrap(), @r"
        error[secret-missing]: the step `load` uses `secrets.Nothere`, which is not set
        hint: `Nothere` is not a name: use a-z, 0-9 and _, starting with a letter, at most 64 characters
        ");
    }
}
