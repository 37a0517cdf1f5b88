use arrow::datatypes::{DataType, Fields};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::{quote, text};

/// Makes a row of each element of a list.
///
/// The fields of elements that are structs become columns; a name that is there already gets the list's name and `_` before it. `unroll` may
/// name several lists, each a field of the elements of the one before, for lists within lists. The list's own column goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flatten {
    /// The list: a column, or `column.field` within a struct; then lists within its elements.
    unroll: Names,
    /// Whether a row without elements stays, with nulls for them.
    #[serde(default = "yes")]
    keep_empty: bool,
    /// Name of the new column for elements that are no structs; the list's name if absent.
    #[serde(default, rename = "as")]
    into: Option<String>,
}

fn yes() -> bool {
    true
}

impl Kind for Flatten {
    const NAME: &'static str = "flatten";
    const EXAMPLE: &'static str = "flatten: {unroll: [orders, lines]}";
}

/// What is known while one list after the other is unrolled.
struct Level {
    /// Everything that is selected in the end: expression and name.
    columns: Vec<(String, String)>,
    sql: String,
}

impl Transform for Flatten {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let lists = self.unroll.list();
        let Some((first, rest)) = lists.split_first() else {
            return Err(Fault::new("`unroll` names no list").under("unroll"));
        };
        let under = |fault: Fault| fault.under("unroll");
        let (mut path, mut kind) = column(input, first).map_err(under)?;
        let top = first.split('.').next().unwrap_or(first);
        let kept = input.columns().into_iter().filter(|name| *name != top);
        let mut level = Level {
            columns: kept.map(|name| (quote(name), name.to_owned())).collect(),
            sql: input.table.clone(),
        };
        let mut name = first.clone();
        for (depth, next) in rest.iter().map(Some).chain([None]).enumerate() {
            let element = elements(&kind, &name).map_err(under)?.clone();
            let item = format!("\"#{depth}\"");
            let list = if self.keep_empty {
                format!("case when array_length({path}) > 0 then {path} else make_array(null) end")
            } else {
                path.clone()
            };
            level.sql = format!("(select *, unnest({list}) as {item} from {})", level.sql);
            let short = name.rsplit('.').next().unwrap_or(&name).to_owned();
            match (&element, next) {
                (DataType::Struct(fields), next) => {
                    level.add(fields, &item, &short, next.map(String::as_str));
                    if let Some(next) = next {
                        (path, kind) = within(&item, &element, next, next).map_err(under)?;
                        name = next.clone();
                    }
                }
                (_, Some(next)) => {
                    let message =
                        format!("the elements of `{name}` are {element}, which have no field `{next}`");
                    return Err(under(Fault::new(message)));
                }
                (_, None) => level.columns.push((item, self.into.clone().unwrap_or(short))),
            }
        }
        let list: Vec<String> =
            level.columns.iter().map(|(sql, name)| format!("{sql} as {}", quote(name))).collect();
        Ok(vec![format!("select {} from {}", list.join(", "), level.sql)])
    }
}

impl Level {
    fn add(&mut self, fields: &Fields, item: &str, list: &str, but: Option<&str>) {
        for field in fields.iter().filter(|field| Some(field.name().as_str()) != but) {
            let taken = self.columns.iter().any(|(_, name)| name == field.name());
            let name = if taken { format!("{list}_{}", field.name()) } else { field.name().clone() };
            self.columns.push((format!("get_field({item}, {})", text(field.name())), name));
        }
    }
}

/// The expression and the type of a column, or of a field within it.
fn column(input: &Input<'_>, path: &str) -> Result<(String, DataType), Fault> {
    if input.has(path) {
        return Ok((quote(path), input.data_type(path)?.clone()));
    }
    match path.split_once('.') {
        Some((top, rest)) => within(&input.column(top)?, input.data_type(top)?, rest, path),
        None => Ok((input.column(path)?, input.data_type(path)?.clone())),
    }
}

fn within(sql: &str, kind: &DataType, path: &str, whole: &str) -> Result<(String, DataType), Fault> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let DataType::Struct(fields) = kind else {
        return Err(Fault::new(format!("`{whole}` goes through {kind}, which has no fields")));
    };
    let Some((_, field)) = fields.find(name) else {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let fault = Fault::new(format!("`{whole}`: there is no field `{name}`"));
        return Err(fault.hinted(format!("the fields are {}", names.join(", "))));
    };
    let sql = format!("get_field({sql}, {})", text(name));
    match rest {
        Some(rest) => within(&sql, field.data_type(), rest, whole),
        None => Ok((sql, field.data_type().clone())),
    }
}

fn elements<'k>(kind: &'k DataType, name: &str) -> Result<&'k DataType, Fault> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Ok(field.data_type())
        }
        other => {
            let fault = Fault::new(format!("`{name}` is {other}, not a list"));
            Err(fault.hinted("if it is JSON text, put a `parse` before it"))
        }
    }
}
