//! MLflow's JSON: protobuf messages, so numbers may come as texts and names in either case.

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{Method, StatusCode, header};
use serde_json::{Map, Value};

use super::error::MlflowError;
use crate::app::App;

/// The fields of a request or of a message in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    fields: Map<String, Value>,
    /// Where they lie in the request, such as `metrics[3].`.
    place: String,
}

impl FromRequest<App> for Fields {
    type Rejection = MlflowError;

    /// From the query of a GET, else from a JSON body.
    async fn from_request(request: Request, app: &App) -> Result<Self, MlflowError> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
            return Ok(Self::of_query(query.map_err(|error| MlflowError::invalid(error.body_text()))?.0));
        }
        Self::of_body(body(request, app).await?)
    }
}

/// The body of a request, whose type is checked; `None` if there is nothing.
pub(super) async fn body(request: Request, app: &App) -> Result<Option<Bytes>, MlflowError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
    let body = Bytes::from_request(request, app)
        .await
        .map_err(|error| MlflowError::new(error.status(), "INVALID_PARAMETER_VALUE", error.body_text()))?;
    if body.is_empty() && kind.is_empty() {
        return Ok(None);
    }
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "Bad Request. Content-Type must be 'application/json'.";
        return Err(MlflowError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    }
    Ok(Some(body))
}

impl Fields {
    /// From a JSON body.
    pub(super) fn of_body(body: Option<Bytes>) -> Result<Self, MlflowError> {
        let Some(body) = body else { return Ok(Self::default()) };
        let malformed = |error: serde_json::Error| {
            MlflowError::new(
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                format!("The body is not valid JSON: {error}"),
            )
        };
        let mut value: Value = if body.is_empty() {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(&body).map_err(malformed)?
        };
        // Very old clients encode twice.
        if let Value::String(text) = &value {
            value = serde_json::from_str(text).map_err(malformed)?;
        }
        Self::of_value(value, String::new())
    }

    fn of_query(pairs: Vec<(String, String)>) -> Self {
        let mut fields = Map::new();
        for (name, value) in pairs {
            let slot = fields.entry(snake_case(&name)).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = slot {
                values.push(Value::String(value));
            }
        }
        Self { fields, place: String::new() }
    }

    /// A message that came in some other way than as a body.
    pub(super) fn of_json(value: Value) -> Result<Self, MlflowError> {
        Self::of_value(value, String::new())
    }

    fn of_value(value: Value, place: String) -> Result<Self, MlflowError> {
        let Value::Object(given) = value else {
            return Err(MlflowError::invalid(format!(
                "Invalid value {value} for parameter '{place}' supplied"
            )));
        };
        // Most clients write names as we do.
        let is_ours = |(name, value): (&String, &Value)| {
            !value.is_null() && !name.bytes().any(|byte| byte.is_ascii_uppercase())
        };
        if given.iter().all(is_ours) {
            return Ok(Self { fields: given, place });
        }
        let mut fields = Map::new();
        for (name, value) in given {
            if !value.is_null() && fields.insert(snake_case(&name), value).is_some() {
                return Err(MlflowError::invalid(format!("The field '{place}{name}' is given twice")));
            }
        }
        Ok(Self { fields, place })
    }

    fn wrong(&self, name: &str, value: &Value) -> MlflowError {
        MlflowError::invalid(format!("Invalid value {value} for parameter '{}{name}' supplied", self.place))
    }

    /// `Missing value …`, in the client's words.
    pub(super) fn missing(&self, name: &str) -> MlflowError {
        MlflowError::invalid(format!("Missing value for required parameter '{}{name}'.", self.place))
    }

    /// The only value of a field; of a query's repeated field, the first.
    fn one(&self, name: &str) -> Option<&Value> {
        match self.fields.get(name)? {
            Value::Array(values) => values.first(),
            value => Some(value),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, MlflowError> {
        match self.one(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                // PostgreSQL has no such texts.
                Err(MlflowError::invalid(format!("Parameter '{}{name}' contains a NUL", self.place)))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Err(self.wrong(name, value)),
        }
    }

    /// A text that is there and not empty.
    pub(super) fn required(&self, name: &str) -> Result<String, MlflowError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// The id of a run, under its old name too.
    pub(super) fn run_id(&self) -> Result<String, MlflowError> {
        match self.text("run_id")?.filter(|id| !id.is_empty()) {
            Some(id) => Ok(id),
            None => self.text("run_uuid")?.filter(|id| !id.is_empty()).ok_or_else(|| self.missing("run_id")),
        }
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, MlflowError> {
        let Some(value) = self.one(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(name, value))
    }

    /// A time: milliseconds on the wire, microseconds here.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, MlflowError> {
        let Some(milliseconds) = self.int(name)? else { return Ok(None) };
        let time = Some(milliseconds).filter(|time| *time >= 0).and_then(|time| time.checked_mul(1000));
        time.map(Some).ok_or_else(|| self.wrong(name, &Value::from(milliseconds)))
    }

    pub(super) fn double(&self, name: &str) -> Result<Option<f64>, MlflowError> {
        let Some(value) = self.one(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                digits => digits.parse().ok().filter(|number: &f64| number.is_finite()),
            },
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(name, value))
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, MlflowError> {
        match self.one(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            // Python writes them so into queries.
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(self.wrong(name, value)),
        }
    }

    /// A repeated text.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, MlflowError> {
        let text = |value: &Value| match value {
            Value::String(text) if !text.contains('\0') => Ok(text.clone()),
            other => Err(self.wrong(name, other)),
        };
        match self.fields.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(text).collect(),
            Some(value) => Err(self.wrong(name, value)),
        }
    }

    /// A repeated message.
    pub(super) fn messages(&self, name: &str) -> Result<Vec<Fields>, MlflowError> {
        match self.fields.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    Self::of_value(value.clone(), format!("{}{name}[{index}].", self.place))
                })
                .collect(),
            Some(value) => Err(self.wrong(name, value)),
        }
    }

    /// A repeated message, which is taken out: there may be a thousand.
    pub(super) fn take_messages(&mut self, name: &str) -> Result<Vec<Fields>, MlflowError> {
        let place = self.place.clone();
        match self.fields.get_mut(name).map(Value::take) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                let numbered = values.into_iter().enumerate();
                numbered
                    .map(|(index, value)| Self::of_value(value, format!("{place}{name}[{index}].")))
                    .collect()
            }
            Some(value) => Err(self.wrong(name, &value)),
        }
    }

    /// A message.
    pub(super) fn message(&self, name: &str) -> Result<Option<Fields>, MlflowError> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        Self::of_value(value.clone(), format!("{}{name}.", self.place)).map(Some)
    }

    /// A map of texts; its keys stay as they are.
    pub(super) fn map(&self, name: &str) -> Result<Vec<(String, String)>, MlflowError> {
        let Some(value) = self.fields.get(name) else { return Ok(Vec::new()) };
        let entries = value.as_object().ok_or_else(|| self.wrong(name, value))?;
        let entry = |(key, text): (&String, &Value)| match text {
            Value::String(text) if !text.contains('\0') && !key.contains('\0') => {
                Ok((key.clone(), text.clone()))
            }
            other => Err(self.wrong(name, other)),
        };
        entries.iter().map(entry).collect()
    }

    /// Any JSON.
    pub(super) fn json(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Whether a field is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// `[{"key", "value"}]`: an absent value is empty.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, MlflowError> {
        let pair =
            |message: Fields| Ok((message.required("key")?, message.text("value")?.unwrap_or_default()));
        self.messages(name)?.into_iter().map(pair).collect()
    }

    /// Where these fields lie in the request, such as `metrics[3].`.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

/// A whole number that was written with a point.
#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// `runId` as `run_id`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for sign in name.chars() {
        if sign.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(sign.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_as_texts_and_names_in_either_case() {
        let fields =
            Fields::of_value(json!({"runUuid": "a", "step": "5", "value": "NaN"}), String::new()).unwrap();
        assert_eq!(fields.run_id().unwrap(), "a");
        assert_eq!(fields.int("step").unwrap(), Some(5));
        assert!(fields.double("value").unwrap().unwrap().is_nan());
        assert!(Fields::of_value(json!({"runId": "a", "run_id": "b"}), String::new()).is_err());
        assert!(fields.int("value").is_err());
    }
}
