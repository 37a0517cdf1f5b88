//! A function that asks a web API about each row.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, Int64Array, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::async_udf::AsyncScalarUDFImpl;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use futures::StreamExt as _;
use millrace_contract::{CallMethod, RowAnswer, RowCall, RowCaller};
use tokio::sync::{OnceCell, Semaphore};

use super::ParseText;
use crate::engine::calls::{Allowed, Calls};

/// What is asked, and what becomes of the answers.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) connection: String,
    pub(crate) method: CallMethod,
    /// `{name}` stands for a value.
    pub(crate) path: String,
    /// Those names.
    pub(crate) placeholders: Vec<String>,
    /// Names of parameters.
    pub(crate) params: Vec<String>,
    pub(crate) has_body: bool,
    /// Reads the answer; it stays text if absent.
    pub(crate) answer: Option<ParseText>,
    /// Whether a request that fails, or an answer that does not fit, is told in the row.
    pub(crate) keeps_errors: bool,
    /// Requests that wait for their answers, over all parts of a query.
    pub(crate) at_once: usize,
}

/// `(asks, placeholder…, parameter…, body)` to `{body, status, error}`; each node that asks has a function of its own. What it is given is text, but
/// for the first, a boolean.
pub(crate) struct ExternalCall {
    name: String,
    signature: Signature,
    asked: Asked,
    calls: Option<Arc<Calls>>,
    caller: OnceCell<Arc<dyn RowCaller>>,
    waiting: Semaphore,
}

/// What became of a row.
#[derive(Default, Clone)]
struct Told {
    body: Option<String>,
    status: Option<i64>,
    error: Option<String>,
}

impl ExternalCall {
    /// `name` tells functions apart that ask something else.
    pub(crate) fn new(name: String, arguments: usize, asked: Asked, calls: Option<Arc<Calls>>) -> Self {
        // Volatile, so that each row is asked about once, wherever its answer is used.
        let signature = Signature::any(arguments, Volatility::Volatile);
        let waiting = Semaphore::new(asked.at_once);
        Self { name, signature, asked, calls, caller: OnceCell::new(), waiting }
    }

    fn fields(&self) -> Fields {
        let body = self.asked.answer.as_ref().map_or(DataType::Utf8, |parse| parse.into().clone());
        Fields::from(vec![
            Field::new("body", body, true),
            Field::new("status", DataType::Int64, true),
            Field::new("error", DataType::Utf8, true),
        ])
    }

    async fn caller(&self) -> Result<&Arc<dyn RowCaller>> {
        let open = || async {
            let calls = self.calls.as_ref().ok_or_else(|| self.failed("no web API can be asked here"))?;
            match calls.allowed {
                Allowed::Looks if !self.asked.method.is_safe() => {
                    let word = self.asked.method.word();
                    return Err(
                        self.failed(&format!("{word} may change something, and is sent by a run only"))
                    );
                }
                Allowed::Looks | Allowed::All => {}
            }
            calls.apis.open(&self.asked.connection).map_err(|message| self.failed(&message))
        };
        self.caller.get_or_try_init(open).await
    }

    fn failed(&self, message: &str) -> DataFusionError {
        DataFusionError::Execution(format!("`{}`: {message}", self.asked.connection))
    }

    /// The request about a row; `None` if it is not asked about.
    fn request(&self, given: &Given, row: usize) -> std::result::Result<Option<RowCall>, String> {
        if !given.asks.value(row) {
            return Ok(None);
        }
        let value = |texts: &StringArray| texts.is_valid(row).then(|| texts.value(row).to_owned());
        let mut texts = given.texts.iter();
        let mut values = Vec::new();
        for (name, texts) in self.asked.placeholders.iter().zip(texts.by_ref()) {
            let value = value(texts).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| format!("`{name}` is empty, and stands in the path"))?;
            values.push((name.clone(), value));
        }
        let params = self.asked.params.iter().zip(texts.by_ref());
        let params = params.filter_map(|(name, texts)| Some((name.clone(), value(texts)?))).collect();
        let body = texts.next().filter(|_| self.asked.has_body);
        let body = body.map(|texts| value(texts).unwrap_or_else(|| "null".to_owned()));
        Ok(Some(RowCall { method: self.asked.method, path: self.asked.path.clone(), values, params, body }))
    }

    /// Asks about all rows. What would be read twice is read once.
    async fn ask(&self, given: &Given) -> Result<Vec<Told>> {
        let mut told = vec![Told::default(); given.asks.len()];
        let mut requests: Vec<(RowCall, Vec<usize>)> = Vec::new();
        let mut known: HashMap<RowCall, usize> = HashMap::new();
        for row in 0..given.asks.len() {
            let request = match self.request(given, row) {
                Ok(Some(request)) => request,
                Ok(None) => continue,
                Err(message) => {
                    self.note(&mut told, &[row], Err(message))?;
                    continue;
                }
            };
            match known.get(&request).filter(|_| request.method.is_safe()) {
                Some(place) => requests.get_mut(*place).into_iter().for_each(|(_, rows)| rows.push(row)),
                None => {
                    known.insert(request.clone(), requests.len());
                    requests.push((request, vec![row]));
                }
            }
        }
        if requests.is_empty() {
            return Ok(told);
        }
        let caller = self.caller().await?;
        let answers = futures::stream::iter(requests).map(|(request, rows)| async move {
            let _turn = self.waiting.acquire().await;
            (rows, caller.call(&request).await)
        });
        let mut answers = answers.buffer_unordered(self.asked.at_once);
        while let Some((rows, answer)) = answers.next().await {
            self.note(&mut told, &rows, answer)?;
        }
        Ok(told)
    }

    /// Takes an answer, or why there is none.
    fn note(
        &self,
        told: &mut [Told],
        rows: &[usize],
        answer: std::result::Result<RowAnswer, String>,
    ) -> Result<()> {
        let told_of = match answer {
            Ok(RowAnswer { status, body }) => {
                let body = (!body.trim().is_empty()).then_some(body);
                let misfit = body.as_deref().and_then(|body| self.asked.answer.as_ref()?.misfit(body));
                let error = misfit.map(|reason| {
                    let start: String = body.iter().flat_map(|body| body.chars()).take(80).collect();
                    format!("the answer `{start}` does not fit `as`: {reason}")
                });
                let body = body.filter(|_| error.is_none());
                Told { body, status: Some(i64::from(status)), error }
            }
            Err(message) => Told { error: Some(message), ..Told::default() },
        };
        if let (Some(error), false) = (&told_of.error, self.asked.keeps_errors) {
            return Err(self.failed(error));
        }
        for row in rows {
            if let Some(place) = told.get_mut(*row) {
                place.clone_from(&told_of);
            }
        }
        Ok(())
    }
}

/// The function's arguments.
struct Given {
    asks: BooleanArray,
    texts: Vec<StringArray>,
}

impl Given {
    fn of(args: &ScalarFunctionArgs) -> Result<Self> {
        let nothing = || DataFusionError::Internal("nothing to ask about".to_owned());
        let (asks, texts) = args.args.split_first().ok_or_else(nothing)?;
        let array = |value: &ColumnarValue| value.to_array(args.number_rows);
        let text =
            |value: &ColumnarValue| Ok(cast(&array(value)?, &DataType::Utf8)?.as_string::<i32>().clone());
        Ok(Self {
            asks: array(asks)?.as_boolean().clone(),
            texts: texts.iter().map(text).collect::<Result<_>>()?,
        })
    }
}

impl std::fmt::Debug for ExternalCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalCall").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl PartialEq for ExternalCall {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ExternalCall {}

impl Hash for ExternalCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ExternalCall {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(self.fields()))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("a web API is asked asynchronously".to_owned()))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for ExternalCall {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let told = self.ask(&Given::of(&args)?).await?;
        let bodies: StringArray = told.iter().map(|told| told.body.as_deref()).collect();
        let body: ArrayRef = match &self.asked.answer {
            Some(parse) => parse.values(&bodies)?,
            None => Arc::new(bodies),
        };
        let status: Int64Array = told.iter().map(|told| told.status).collect();
        let error: StringArray = told.iter().map(|told| told.error.as_deref()).collect();
        let columns: Vec<ArrayRef> = vec![body, Arc::new(status), Arc::new(error)];
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(self.fields(), columns, None)?)))
    }
}
