use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::async_udf::AsyncScalarUDF;
use indexmap::IndexMap;
use millrace_contract::CallMethod;
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parse::Shape;
use super::{Fault, Input, Kind, Transform, only};
use crate::engine::calls::{self, Allowed};
use crate::flow::{quote, text};
use crate::functions::{Asked, ExternalCall as Function, OnError, ParseText, TextFormat};

/// Asks a web API about each row, and adds what it answers.
///
/// `connection` names one of the kind `rest` in connections.yaml, with its address, what opens it, and how many requests a second it takes. A
/// request that fails for a reason that may pass (429, 5xx, a connection that breaks) is sent again; the API may so get one twice. Of rows
/// that come together, some thousand, one is asked about for which the same would be read. `as` says what is in the answer, as `parse` has it: with `expand`, its fields become
/// columns. While somebody looks at a flow, only `get` is sent, and about the first 20 rows; tests of flows send nothing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalCall {
    /// The connection.
    connection: String,
    /// The path below its address; `{customer}` is the value of that column.
    #[serde(default)]
    path: String,
    /// `post` with a body and `get` without one, if absent.
    #[serde(default)]
    method: Option<CallMethod>,
    /// Parameters of the address: name to a SQL expression over the columns. A null is left out.
    #[serde(default)]
    params: IndexMap<String, String>,
    /// What is sent as JSON: field to a SQL expression, or one expression for all of it, whose text is taken as JSON.
    #[serde(default)]
    body: Option<Body>,
    /// A SQL condition; rows for which it is not true are not asked about, and get nulls.
    #[serde(default)]
    when: Option<String>,
    /// What is in the answer, which is JSON then; its text as it is if absent.
    #[serde(default, rename = "as", skip_serializing)]
    shape: Option<Shape>,
    /// A new column for the answer.
    #[serde(default)]
    into: Option<String>,
    /// Whether the answer's fields become columns in place of one with all of them.
    #[serde(default)]
    expand: bool,
    /// A new column for HTTP's number: 200.
    #[serde(default)]
    status: Option<String>,
    /// A new column for why there is no answer, or none that fits `as`. Without it, the flow fails then.
    #[serde(default)]
    error: Option<String>,
    /// Requests that wait for their answers at once, 1 to 64.
    #[serde(default = "eight")]
    at_once: usize,
}

fn eight() -> usize {
    8
}

/// Requests that wait at once, at most.
const MOST_AT_ONCE: usize = 64;
/// Rows that are asked about while somebody looks at a flow.
const LOOKED_AT: usize = 20;
/// The answer, before its parts are columns.
const ANSWER: &str = "#answer";

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Body {
    /// One expression.
    All(String),
    /// Field to expression.
    Fields(IndexMap<String, String>),
}

impl Kind for ExternalCall {
    const NAME: &'static str = "external_call";
    const EXAMPLE: &'static str = "external_call:\n  connection: scores\n  path: customers/{customer}/score\n  body: {amount: amount, items: item_count}\n  as: {score: float, reasons: [string]}\n  expand: true\n  error: score_error";
}

impl Transform for ExternalCall {
    fn runs_here_alone(&self) -> bool {
        true
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if !(1..=MOST_AT_ONCE).contains(&self.at_once) {
            return Err(Fault::new(format!("it is 1 to {MOST_AT_ONCE}")).under("at_once"));
        }
        let calls = calls::of(input.context);
        let allowed = calls.as_ref().map_or(Allowed::All, |calls| calls.allowed);
        if let Some(calls) = &calls {
            self.check_connection(&calls.apis.names().map_err(Fault::new)?)?;
        }
        let (placeholders, arguments) = self.arguments(input)?;
        let shape = self.shape.as_ref().map(Shape::data_type).transpose();
        let shape = shape.map_err(|fault| fault.under("as"))?;
        let columns = self.columns(input, shape.as_ref())?;
        let (config, parts) = (serde_json::to_string(self), (&shape, allowed));
        let digest = blake3::hash(format!("{} {parts:?}", config.unwrap_or_default()).as_bytes());
        let name = format!("external_call_{}", digest.to_hex().get(..16).unwrap_or_default());
        let parse = |shape| ParseText::new(name.clone(), shape, TextFormat::Json, OnError::Fail);
        let asked = Asked {
            connection: self.connection.clone(),
            method: self.method(),
            path: self.path.clone(),
            placeholders,
            params: self.params.keys().cloned().collect(),
            has_body: self.body.is_some(),
            answer: shape.map(parse),
            keeps_errors: self.error.is_some(),
            at_once: self.at_once,
        };
        let function = Function::new(name.clone(), arguments.len(), asked, calls);
        input.context.register_udf(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf());
        let few = if allowed == Allowed::Looks { format!(" limit {LOOKED_AT}") } else { String::new() };
        let answer = quote(ANSWER);
        // The condition, which always holds, keeps requests from being left out because nothing reads their answers.
        Ok(vec![format!(
            "select {} from (select *, {name}({}) as {answer} from (select * from {}{few})) where {answer} is not null",
            columns.join(", "),
            arguments.join(", "),
            input.table
        )])
    }
}

impl ExternalCall {
    fn method(&self) -> CallMethod {
        let usual = if self.body.is_some() { CallMethod::Post } else { CallMethod::Get };
        self.method.unwrap_or(usual)
    }

    fn check_connection(&self, names: &[String]) -> Result<(), Fault> {
        if names.contains(&self.connection) {
            return Ok(());
        }
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match (nearest(&self.connection, &known), known.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => {
                format!("in connections.yaml: `{}: {{rest: {{url: \"https://…\"}}}}`", self.connection)
            }
            (None, known) => format!("those of the kind `rest` are {}", known.join(", ")),
        };
        let message = format!("there is no connection `{}` to a web API", self.connection);
        Err(Fault::new(message).hinted(hint).under("connection"))
    }

    /// The columns in the path, and what the function is given: whether it asks, their values, those of the parameters, and the body.
    fn arguments(&self, input: &Input<'_>) -> Result<(Vec<String>, Vec<String>), Fault> {
        let placeholders = placeholders(&self.path).map_err(|fault| fault.under("path"))?;
        let mut arguments = vec![match &self.when {
            Some(condition) => {
                let condition = input.condition(condition, "`when`").map_err(|fault| fault.under("when"))?;
                format!("coalesce({condition}, false)")
            }
            None => "true".to_owned(),
        }];
        for name in &placeholders {
            let column = input.column(name).map_err(|fault| fault.under("path"))?;
            arguments.push(format!("cast({column} as varchar)"));
        }
        for (name, value) in &self.params {
            let value = input.expression(value, &format!("the parameter `{name}`"));
            let value = value.map_err(|fault| fault.under(name).under("params"))?;
            arguments.push(format!("cast({value} as varchar)"));
        }
        if let Some(body) = &self.body {
            arguments.push(body.sql(input).map_err(|fault| fault.under("body"))?);
        }
        Ok((placeholders, arguments))
    }

    /// The columns that come out.
    fn columns(&self, input: &Input<'_>, shape: Option<&DataType>) -> Result<Vec<String>, Fault> {
        let mut columns = input.others(&[]);
        let mut new: Vec<String> = Vec::new();
        let mut add = |name: &str, value: String, key: &str| {
            let column = input.new_column(name).map_err(|fault| fault.under(key))?;
            if new.contains(&column) {
                return Err(Fault::new(format!("two columns are called `{name}`")).under(key));
            }
            columns.push(format!("{value} as {column}"));
            new.push(column);
            Ok(())
        };
        let part = |name: &str| format!("field_of({}, {})", quote(ANSWER), text(name));
        let body = part("body");
        match (&self.into, self.expand, shape) {
            (Some(_), true, _) => {
                let message = "`into` names one column, and `expand` makes several";
                return Err(Fault::new(message).under("into"));
            }
            (None, true, Some(DataType::Struct(fields))) => {
                for field in fields {
                    add(field.name(), format!("field_of({body}, {})", text(field.name())), "as")?;
                }
            }
            (None, true, _) => {
                return Err(Fault::new("only fields can become columns of their own").under("expand"));
            }
            (Some(into), false, _) => add(into, body, "into")?,
            (None, false, Some(_)) => {
                return Err(Fault::new("`as` says what is in the answer, but not where it goes")
                    .hinted("expand: true, or into: answer"));
            }
            // Whoever sends something may not care for the answer.
            (None, false, None) => {}
        }
        for (name, key) in [(&self.status, "status"), (&self.error, "error")] {
            if let Some(name) = name {
                add(name, part(key), key)?;
            }
        }
        Ok(columns)
    }
}

impl Body {
    /// JSON text.
    fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        match self {
            Self::All(expression) => {
                let of = "`body`";
                let value = input.expression(expression, of)?;
                Ok(match input.typed(expression, of)? {
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                        format!("cast({value} as varchar)")
                    }
                    _ => format!("to_json({value})"),
                })
            }
            Self::Fields(fields) => {
                let mut pairs = Vec::new();
                for (name, expression) in fields {
                    let value = input.expression(expression, &format!("the field `{name}`"));
                    pairs.push(format!("{}, {}", text(name), value.map_err(|fault| fault.under(name))?));
                }
                match pairs.is_empty() {
                    true => Err(Fault::new("it has no fields").hinted("body: {amount: amount}")),
                    false => Ok(format!("to_json(named_struct({}))", pairs.join(", "))),
                }
            }
        }
    }
}

/// The names in braces, each once.
fn placeholders(path: &str) -> Result<Vec<String>, Fault> {
    let (mut names, mut rest): (Vec<String>, _) = (Vec::new(), path);
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(Fault::new(format!("`{path}` has no `}}` after `{{`")));
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        rest = after;
    }
    Ok(names)
}
