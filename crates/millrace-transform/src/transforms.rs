//! The kinds of nodes of a flow. A new one: a file beside these, and a line in [`ALL`].
//!
//! A kind turns its config and its inputs' schemas into one SELECT per output; the expressions that users write are checked against
//! those schemas first, one by one, so that an error names the node and the column.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::prelude::SessionContext;
use millrace_contract::{KindDoc, KindFamily};
use millrace_spec::suggest::nearest;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::failure::words;
use crate::flow::learned::LearnedDocument;
use crate::flow::quote;

mod add_columns;
mod aggregate;
mod alter_row;
mod apply;
mod assert;
mod bin;
mod cast;
mod clip;
mod columns;
mod derive;
mod distinct;
mod encode;
mod enter_data;
mod external_call;
mod fill_missing;
mod filter;
mod fitted;
mod flatten;
mod flowlet;
mod fuzzy;
mod impute;
mod join;
mod limit;
mod lookup;
mod normalize;
mod parse;
mod partition;
mod pivot;
mod rank;
mod sample;
mod select;
mod select_features;
mod smote;
mod sort;
mod source;
mod split;
mod sql;
mod stringify;
mod summarize;
mod surrogate_key;
mod union;
mod unpivot;
mod window;

pub(crate) use fitted::{Fitted, Learned};
pub(crate) use flowlet::FlowletConfig;
pub(crate) use parse::scalar_type;

/// Every transform, in the order the manual prints them.
pub const ALL: &[Entry] = &[
    entry::<source::Source>(),
    entry::<enter_data::EnterData>(),
    entry::<select::Select>(),
    entry::<filter::Filter>(),
    entry::<derive::Derive>(),
    entry::<aggregate::Aggregate>(),
    entry::<join::Join>(),
    entry::<union::Union>(),
    entry::<sort::Sort>(),
    entry::<limit::Limit>(),
    entry::<sample::Sample>(),
    entry::<distinct::Distinct>(),
    entry::<fill_missing::FillMissing>(),
    entry::<impute::Impute>(),
    entry::<cast::Cast>(),
    entry::<window::Window>(),
    entry::<pivot::Pivot>(),
    entry::<unpivot::Unpivot>(),
    entry::<split::Split>(),
    entry::<lookup::Lookup>(),
    entry::<rank::Rank>(),
    entry::<surrogate_key::SurrogateKey>(),
    entry::<flatten::Flatten>(),
    entry::<parse::Parse>(),
    entry::<stringify::Stringify>(),
    entry::<assert::Assert>(),
    entry::<alter_row::AlterRow>(),
    entry::<external_call::ExternalCall>(),
    entry::<add_columns::AddColumns>(),
    entry::<normalize::Normalize>(),
    entry::<bin::Bin>(),
    entry::<encode::Encode>(),
    entry::<clip::Clip>(),
    entry::<select_features::SelectFeatures>(),
    entry::<apply::Apply>(),
    entry::<partition::Partition>(),
    entry::<smote::Smote>(),
    entry::<summarize::Summarize>(),
    entry::<sql::Sql>(),
    entry::<flowlet::FlowletConfig>(),
];

/// One line of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The word users write.
    pub name: &'static str,
    /// Its page.
    pub doc: fn() -> KindDoc,
    /// Reads what stands under the word.
    pub(crate) parse: fn(&Value) -> Result<Box<dyn Transform>, String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The pages of all transforms.
pub fn docs() -> Vec<KindDoc> {
    ALL.iter().map(|entry| (entry.doc)()).collect()
}

/// A kind's word and example.
pub(crate) trait Kind: Transform + DeserializeOwned + JsonSchema + 'static {
    const NAME: &'static str;
    const EXAMPLE: &'static str;
}

const fn entry<T: Kind>() -> Entry {
    Entry {
        name: T::NAME,
        doc: || KindDoc::of::<T>(KindFamily::Transform, T::NAME, T::EXAMPLE),
        parse: |value| match T::deserialize(value) {
            Ok(transform) => Ok(Box::new(transform)),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// How many inputs a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inputs {
    None,
    One,
    Two,
    Many,
}

/// A node's work, ready to be planned.
pub(crate) trait Transform: Send + Sync {
    fn inputs(&self) -> Inputs {
        Inputs::One
    }

    /// Names of its outputs if it has several.
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The table of the flow's caller that it reads.
    fn source(&self) -> Option<&str> {
        None
    }

    /// The columns of that table with their types, if it says so.
    fn declared(&self) -> Option<&indexmap::IndexMap<String, String>> {
        None
    }

    /// How often its queries read an input, if that is more than once.
    fn reads(&self) -> usize {
        1
    }

    /// Whether its queries read a hidden table of its own.
    fn has_base(&self) -> bool {
        false
    }

    /// The SELECT of that table. It stands before the inputs when [`Transform::sql`] is asked.
    fn base(&self, inputs: &[Input<'_>]) -> Result<String, Fault> {
        let _ = inputs;
        Err(Fault::new("it has no hidden table"))
    }

    /// Queries whose answers it needs before it can say what it does.
    fn asks(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let _ = inputs;
        Ok(Vec::new())
    }

    /// Rows that it makes of those answers. Their table stands after the inputs when [`Transform::sql`] is asked.
    fn made(&self, inputs: &[Input<'_>], answers: &[Vec<RecordBatch>]) -> Result<Option<RecordBatch>, Fault> {
        let _ = (inputs, answers);
        Ok(None)
    }

    /// Whether its SELECT is the user's own, so that a place in it is one in the file.
    fn is_written_out(&self) -> bool {
        false
    }

    /// Whether no other engine can do it.
    fn runs_here_alone(&self) -> bool {
        false
    }

    /// Whether the columns that it gives depend on the rows, so that they are not known before a run.
    fn columns_depend_on_rows(&self) -> bool {
        false
    }

    /// If it learns from its input: how. Its SELECT is then what was learned.
    fn fitted(&self) -> Option<&dyn Fitted> {
        None
    }

    /// The input of the flow whose document of what was learned it applies.
    fn learned_from(&self) -> Option<&str> {
        None
    }

    /// What of that document it applies, in order.
    fn chosen<'d>(&self, document: &'d LearnedDocument) -> Result<Vec<&'d Learned>, Fault> {
        let _ = document;
        Ok(Vec::new())
    }

    /// [`Transform::sql`], knowing the answers.
    fn sql_knowing(&self, inputs: &[Input<'_>], answers: &[Vec<RecordBatch>]) -> Result<Vec<String>, Fault> {
        let _ = answers;
        self.sql(inputs)
    }

    /// One SELECT per part, or one in all.
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault>;
}

/// What is wrong with a node's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// JSON pointer below the kind's key.
    pub(crate) below: String,
    /// Where in the expression that stands there: line and column from 1, and length.
    pub(crate) within: Option<(u32, u32, u32)>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, below: String::new(), within: None }
    }

    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says under which key it is.
    pub(crate) fn under(mut self, key: &str) -> Self {
        self.below = format!("/{}{}", key.replace('~', "~0").replace('/', "~1"), self.below);
        self
    }
}

/// A table that a node reads.
pub(crate) struct Input<'a> {
    /// Its name in SQL, quoted.
    pub(crate) table: String,
    pub(crate) schema: DFSchema,
    pub(crate) context: &'a SessionContext,
}

impl Input<'_> {
    pub(crate) fn columns(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns().contains(&column)
    }

    /// The quoted column, if it is there.
    pub(crate) fn column(&self, name: &str) -> Result<String, Fault> {
        if self.has(name) {
            return Ok(quote(name));
        }
        Err(Fault::new(format!("there is no column `{name}` here")).hinted(self.near(name)))
    }

    /// What was probably meant by a name that no column has.
    fn near(&self, name: &str) -> String {
        let columns = self.columns();
        match nearest(name, &columns) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", columns.join(", ")),
        }
    }

    /// The column's type.
    pub(crate) fn data_type(&self, name: &str) -> Result<&DataType, Fault> {
        self.column(name)?;
        let field = self.schema.fields().iter().find(|field| field.name() == name);
        field.map(|field| field.data_type()).ok_or_else(|| Fault::new(format!("there is no column `{name}`")))
    }

    /// The quoted column, if it is a number.
    pub(crate) fn number(&self, name: &str) -> Result<String, Fault> {
        let data_type = self.data_type(name)?;
        if data_type.is_numeric() || data_type.is_null() {
            return Ok(quote(name));
        }
        let message = format!("the column `{name}` is {data_type}, and a number is needed");
        Err(Fault::new(message).hinted(format!("cast: {{columns: {{{name}: float}}}}")))
    }

    /// A name that no column has yet.
    pub(crate) fn new_column(&self, name: &str) -> Result<String, Fault> {
        if self.has(name) {
            return Err(Fault::new(format!("the column `{name}` is there already; choose another name")));
        }
        Ok(quote(name))
    }

    /// All columns, quoted, but those.
    pub(crate) fn others(&self, but: &[&str]) -> Vec<String> {
        self.columns().into_iter().filter(|name| !but.contains(name)).map(quote).collect()
    }

    pub(crate) fn list(&self, names: &[String]) -> Result<String, Fault> {
        Ok(names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?.join(", "))
    }

    /// The expression in parentheses, if it is one over this table's columns.
    pub(crate) fn expression(&self, text: &str, of: &str) -> Result<String, Fault> {
        self.checked(text, of)?;
        Ok(format!("({text})"))
    }

    /// The expression in parentheses, if it gives true or false.
    pub(crate) fn condition(&self, text: &str, of: &str) -> Result<String, Fault> {
        let found = self.typed(text, of)?;
        if matches!(found, DataType::Boolean | DataType::Null) {
            return Ok(format!("({text})"));
        }
        let message = format!("{of} gives {found}, not true or false");
        Err(Fault::new(message).hinted(format!("compare it with something, for example `{text} > 0`")))
    }

    /// Checks that `text` is one SQL expression over this table.
    pub(crate) fn checked(&self, text: &str, of: &str) -> Result<(), Fault> {
        self.typed(text, of).map(|_| ())
    }

    /// The type of an expression over this table. A mistake is told with its place in the text.
    pub(crate) fn typed(&self, text: &str, of: &str) -> Result<DataType, Fault> {
        crate::expressions::type_of(self.context, &self.schema, text).map_err(|mistake| {
            let columns = self.columns();
            let fault = match &mistake.unknown_column {
                Some(unknown) if !columns.contains(&unknown.as_str()) => {
                    let message = format!("there is no column `{unknown}` in {of}");
                    Fault::new(message).hinted(self.near(unknown))
                }
                _ => {
                    let message =
                        format!("{of} is not an expression that can be used here: {}", mistake.message);
                    let fault = Fault::new(message);
                    match mistake.hint {
                        Some(hint) => fault.hinted(hint),
                        None => fault,
                    }
                }
            };
            Fault { within: mistake.place, ..fault }
        })
    }
}

/// The first input; nodes are planned only with as many as their kind takes.
pub(crate) fn only<'i, 'c>(inputs: &'i [Input<'c>]) -> Result<&'i Input<'c>, Fault> {
    inputs.first().ok_or_else(|| Fault::new("it reads nothing: add `from:`"))
}

/// A condition over two tables, called `l` and `r` in it.
pub(super) fn both(left: &Input<'_>, right: &Input<'_>, condition: &str) -> Result<String, Fault> {
    let named = |input: &Input<'_>, name: &str| {
        let plain = input.schema.clone().strip_qualifiers();
        DFSchema::try_from_qualified_schema(name, plain.as_arrow()).map_err(|error| Fault::new(words(&error)))
    };
    let schema = named(left, "l")?.join(&named(right, "r")?).map_err(|error| Fault::new(words(&error)))?;
    let found = crate::expressions::type_of(left.context, &schema, condition);
    match found {
        Ok(DataType::Boolean | DataType::Null) => Ok(format!("({condition})")),
        Ok(other) => Err(Fault::new(format!("the condition gives {other}, not true or false"))),
        Err(mistake) => {
            let fault = Fault::new(format!("the condition cannot be used here: {}", mistake.message));
            let fault = fault.hinted("`l` is the left table, `r` the right one: `l.amount > r.least`");
            Err(Fault { within: mistake.place, ..fault })
        }
    }
}

/// A list, or one name alone.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Names {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Many(names) => names.clone(),
        }
    }
}

/// Stretches of `[0, 1)`, one per share.
pub(crate) fn split_ranges(fractions: &indexmap::IndexMap<String, f64>) -> Result<Vec<(f64, f64)>, String> {
    split::ranges(fractions).map_err(|fault| fault.message)
}

/// How many nodes a kind reads, by its word: `none`, `one`, `two` or `many`; `None` if there is no such kind.
pub fn reads(kind: &str) -> Option<&'static str> {
    let entry = ALL.iter().find(|entry| entry.name == kind)?;
    let example = millrace_spec::yaml::parse("example", (entry.doc)().example).ok()?.to_json();
    let transform = (entry.parse)(example.get(kind)?).ok()?;
    Some(match transform.inputs() {
        Inputs::None => "none",
        Inputs::One => "one",
        Inputs::Two => "two",
        Inputs::Many => "many",
    })
}

#[cfg(test)]
mod tests;
