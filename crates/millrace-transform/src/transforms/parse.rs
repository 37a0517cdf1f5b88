use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::logical_expr::ScalarUDF;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::{quote, text};
use crate::functions::{OnError, ParseText, TextFormat};

/// Reads a text column that holds JSON, XML or delimited values into typed columns.
///
/// `as` says what is in it: a type (`string`, `integer`, `float`, `boolean`, `date`, `timestamp`, `decimal(12, 2)`), a list of one (`[string]`), or
/// fields with their types. With `expand`, fields become columns of their own. Of an XML element, its attributes and the elements within it are
/// fields by their names without prefixes, and its own characters the field `value`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parse {
    /// The text column.
    column: String,
    /// Its content.
    #[serde(rename = "as")]
    shape: Shape,
    /// What the text is.
    #[serde(default)]
    format: Format,
    /// Between values of `csv`.
    #[serde(default = "comma")]
    delimiter: char,
    /// A new column for what is read; the text column itself becomes it if absent.
    #[serde(default)]
    into: Option<String>,
    /// Whether the fields become columns in place of one with all of them.
    #[serde(default)]
    expand: bool,
    /// What a text becomes that does not fit.
    #[serde(default)]
    on_error: Bad,
}

fn comma() -> char {
    ','
}

/// A type, a list of one, or fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Shape {
    /// A type.
    Type(String),
    /// A list whose elements all have this shape.
    List(Vec<Shape>),
    /// Fields.
    Fields(IndexMap<String, Shape>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// JSON.
    #[default]
    Json,
    /// An XML element.
    Xml,
    /// Values with a delimiter between them, in the order of the fields.
    Csv,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Bad {
    /// The flow fails and shows it.
    #[default]
    Fail,
    /// Null: what does not fit, or all of it if it cannot be read.
    Null,
}

impl Kind for Parse {
    const NAME: &'static str = "parse";
    const EXAMPLE: &'static str = "parse:\n  column: payload\n  as: {id: integer, tags: [string], address: {city: string}}\n  expand: true";
}

impl Transform for Parse {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let kind = input.data_type(&self.column).map_err(|fault| fault.under("column"))?;
        if !matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) {
            return Err(
                Fault::new(format!("the column `{}` is {kind}, not text", self.column)).under("column")
            );
        }
        let shape = self.shape.data_type().map_err(|fault| fault.under("as"))?;
        let fields = match (&shape, self.format) {
            (DataType::Struct(fields), _) => Some(fields.clone()),
            (_, Format::Csv) => {
                return Err(Fault::new("delimited text has fields").hinted("as: {a: integer}").under("as"));
            }
            _ => None,
        };
        let function = self.function(input, shape);
        let call = format!("{function}({})", text_of(kind, &quote(&self.column)));
        let Some(fields) = fields.filter(|_| self.expand) else {
            if self.expand {
                return Err(Fault::new("only fields can become columns of their own").under("expand"));
            }
            return self.one(input, &call);
        };
        if self.into.is_some() {
            return Err(Fault::new("`into` names one column, and `expand` makes several").under("into"));
        }
        let mut list = input.others(&[&self.column]);
        for field in &fields {
            if field.name() != &self.column {
                input.new_column(field.name()).map_err(|fault| fault.under("as"))?;
            }
            list.push(format!("field_of(\"#parsed\", {}) as {}", text(field.name()), quote(field.name())));
        }
        Ok(vec![format!(
            "select {} from (select *, {call} as \"#parsed\" from {})",
            list.join(", "),
            input.table
        )])
    }
}

impl Parse {
    fn one(&self, input: &Input<'_>, call: &str) -> Result<Vec<String>, Fault> {
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            let becomes = name == self.column && self.into.is_none();
            list.push(if becomes { format!("{call} as {column}") } else { column });
        }
        if let Some(into) = &self.into {
            let new = input.new_column(into).map_err(|fault| fault.under("into"))?;
            list.push(format!("{call} as {new}"));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }

    /// The name of the function that reads this shape, which the session knows from now on.
    fn function(&self, input: &Input<'_>, shape: DataType) -> String {
        let format = match self.format {
            Format::Json => TextFormat::Json,
            Format::Xml => TextFormat::Xml,
            Format::Csv => TextFormat::Csv { delimiter: self.delimiter },
        };
        let on_error = if self.on_error == Bad::Null { OnError::Null } else { OnError::Fail };
        let digest = blake3::hash(format!("{shape:?} {format:?} {on_error:?}").as_bytes());
        let name = format!("parse_text_{}", digest.to_hex().get(..16).unwrap_or_default());
        let function = ParseText::new(name.clone(), shape, format, on_error);
        input.context.register_udf(ScalarUDF::new_from_impl(function));
        name
    }
}

/// A column of nulls has no text type yet.
fn text_of(kind: &DataType, column: &str) -> String {
    if *kind == DataType::Null { format!("cast({column} as varchar)") } else { column.to_owned() }
}

impl Shape {
    pub(super) fn data_type(&self) -> Result<DataType, Fault> {
        match self {
            Self::Type(word) => scalar_type(word),
            Self::List(items) => match items.as_slice() {
                [item] => Ok(DataType::List(Field::new_list_field(item.data_type()?, true).into())),
                _ => Err(Fault::new("a list has one type for its elements").hinted("tags: [string]")),
            },
            Self::Fields(fields) => {
                let field = |(name, shape): (&String, &Self)| {
                    let kind = shape.data_type().map_err(|fault| fault.under(name))?;
                    Ok(Field::new(name, kind, true))
                };
                let fields: Vec<Field> = fields.iter().map(field).collect::<Result<_, Fault>>()?;
                match fields.is_empty() {
                    true => Err(Fault::new("it has no fields")),
                    false => Ok(DataType::Struct(Fields::from(fields))),
                }
            }
        }
    }
}

/// A type by the word that users write.
pub(crate) fn scalar_type(word: &str) -> Result<DataType, Fault> {
    Ok(match word.trim() {
        "string" => DataType::Utf8,
        "integer" => DataType::Int64,
        "float" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => {
            let unknown = || {
                Fault::new(format!("there is no type `{other}` here"))
                    .hinted("string, integer, float, boolean, date, timestamp, decimal(12, 2)")
            };
            let inner = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
            let (precision, scale) = inner.and_then(|inner| inner.split_once(',')).ok_or_else(unknown)?;
            let precision = precision.trim().parse::<u8>().ok().filter(|p| (1..=38).contains(p));
            let scale = scale.trim().parse::<i8>().ok().filter(|s| *s >= 0);
            match precision.zip(scale) {
                Some((precision, scale)) if scale as u8 <= precision => {
                    DataType::Decimal128(precision, scale)
                }
                _ => return Err(unknown()),
            }
        }
    })
}
