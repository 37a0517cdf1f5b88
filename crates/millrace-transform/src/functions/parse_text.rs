//! Text columns that hold JSON, XML or delimited values, as typed columns.

mod xml;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field};
use arrow::json::ReaderBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function of one text argument; each node that parses has one of its own, since the type is part of it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ParseText {
    name: String,
    signature: Signature,
    into: DataType,
    format: TextFormat,
    on_error: OnError,
}

/// What the text is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum TextFormat {
    /// A JSON value.
    Json,
    /// An XML element.
    Xml,
    /// Values with a delimiter between them; a value may stand in double quotes.
    Csv {
        /// The delimiter.
        delimiter: char,
    },
}

/// What a text that does not fit the type becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum OnError {
    /// The query fails.
    Fail,
    /// Null: what does not fit, or all of it if it cannot be read.
    Null,
}

impl ParseText {
    /// `into` is a struct for [`TextFormat::Csv`].
    pub(crate) fn new(name: String, into: DataType, format: TextFormat, on_error: OnError) -> Self {
        let text = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
        let signature = Signature::one_of(
            text.into_iter().map(|kind| TypeSignature::Exact(vec![kind])).collect(),
            Volatility::Immutable,
        );
        Self { name, signature, into, format, on_error }
    }

    /// What it makes of a text.
    pub(crate) fn into(&self) -> &DataType {
        &self.into
    }

    /// What it is told besides its type, for another machine.
    #[cfg(feature = "ballista")]
    pub(crate) fn settings(&self) -> Result<String> {
        let written = serde_json::to_string(&(&self.format, self.on_error));
        written.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The same function again; `None` if these are no settings.
    #[cfg(feature = "ballista")]
    pub(crate) fn with_settings(name: String, into: DataType, settings: &str) -> Option<Self> {
        let (format, on_error) = serde_json::from_str(settings).ok()?;
        Some(Self::new(name, into, format, on_error))
    }

    /// Texts that hold a tree.
    fn tree(&self, texts: &StringArray) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            let value = text.map(|text| self.value(text)).transpose();
            values.push(match (value, self.on_error) {
                (Ok(value), _) => value.unwrap_or(Value::Null),
                (Err(_), OnError::Null) => Value::Null,
                (Err(error), OnError::Fail) => return Err(refused(text, &error)),
            });
        }
        match (self.decode(&values), self.on_error) {
            (Ok(array), _) => Ok(array),
            (Err(error), OnError::Null) => Err(error),
            // Which of them it was, the decoder does not say.
            (Err(error), OnError::Fail) => {
                let bad = values.iter().position(|value| self.decode(std::slice::from_ref(value)).is_err());
                let text = bad.and_then(|row| texts.is_valid(row).then(|| texts.value(row)));
                Err(refused(text, &plain(&error)))
            }
        }
    }

    /// Why a text does not fit.
    pub(super) fn misfit(&self, text: &str) -> Option<String> {
        match self.value(text) {
            Ok(value) => self.decode(&[value]).err().map(|error| plain(&error)),
            Err(reason) => Some(reason),
        }
    }

    /// Each text's value; null stays null.
    pub(super) fn values(&self, texts: &StringArray) -> Result<ArrayRef> {
        let parsed = match &self.format {
            TextFormat::Json | TextFormat::Xml => self.tree(texts)?,
            TextFormat::Csv { delimiter } => self.csv(texts, *delimiter)?,
        };
        // A null text is null, also where the type would make it a struct of nulls.
        let missing: BooleanArray = (0..texts.len()).map(|row| Some(texts.is_null(row))).collect();
        Ok(nullif(&parsed, &missing)?)
    }

    fn value(&self, text: &str) -> std::result::Result<Value, String> {
        match self.format {
            TextFormat::Xml => xml::value(text, &self.into),
            _ => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    fn decode(&self, values: &[Value]) -> Result<ArrayRef> {
        let field = Field::new("value", self.into.clone(), true);
        let builder = ReaderBuilder::new_with_field(Arc::new(field)).with_coerce_primitive(true);
        let mut decoder =
            builder.with_ignore_type_conflicts(self.on_error == OnError::Null).build_decoder()?;
        decoder.serialize(values)?;
        let batch = decoder.flush()?;
        let column = batch.as_ref().and_then(|batch| batch.columns().first().cloned());
        column.ok_or_else(|| DataFusionError::Internal("the decoder gave no rows".to_owned()))
    }

    fn csv(&self, texts: &StringArray, delimiter: char) -> Result<ArrayRef> {
        let DataType::Struct(fields) = &self.into else {
            return Err(DataFusionError::Internal("delimited text becomes a struct".to_owned()));
        };
        let records: Vec<Vec<String>> =
            texts.iter().map(|text| text.map_or_else(Vec::new, |text| split(text, delimiter))).collect();
        let too_many = records.iter().position(|record| record.len() > fields.len());
        if let (Some(row), OnError::Fail) = (too_many, self.on_error) {
            let reason = format!("it has more than {} values", fields.len());
            return Err(refused(texts.is_valid(row).then(|| texts.value(row)), &reason));
        }
        let options = CastOptions { safe: self.on_error == OnError::Null, ..CastOptions::default() };
        let mut columns = Vec::new();
        for (place, field) in fields.iter().enumerate() {
            let value = |record: &Vec<String>| record.get(place).filter(|value| !value.is_empty()).cloned();
            let column: ArrayRef = Arc::new(records.iter().map(value).collect::<StringArray>());
            let made = cast_with_options(&column, field.data_type(), &options).map_err(|error| {
                DataFusionError::Execution(format!("the value for `{}` does not fit: {error}", field.name()))
            });
            columns.push(made?);
        }
        let nulls = texts.nulls().cloned().map(|nulls| NullBuffer::new(nulls.into_inner()));
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?))
    }
}

fn refused(text: Option<&str>, reason: &str) -> DataFusionError {
    let text: String = text.unwrap_or_default().chars().take(80).collect();
    DataFusionError::Execution(format!("the text `{text}` cannot be parsed: {reason}"))
}

fn plain(error: &DataFusionError) -> String {
    crate::engine::failure::words(error)
}

/// Values of one record; `""` within quotes is a quote.
fn split(text: &str, delimiter: char) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let value = match values.last_mut() {
            Some(value) => value,
            None => break,
        };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' if quoted || value.is_empty() => quoted = !quoted,
            letter if letter == delimiter && !quoted => values.push(String::new()),
            letter => value.push(letter),
        }
    }
    values
}

impl ScalarUDFImpl for ParseText {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.into.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(texts) = arrays.first() else {
            return Err(DataFusionError::Internal("nothing to parse".to_owned()));
        };
        let texts = cast(texts, &DataType::Utf8)?;
        self.values(texts.as_string::<i32>()).map(ColumnarValue::Array)
    }
}
