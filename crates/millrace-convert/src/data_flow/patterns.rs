//! Column patterns: conditions over the name and type of a column, evaluated where the columns are known, and as a node's `match` where they are not.

use super::script::{Expr, Kind, Type};
use super::stream::Column;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Flag(bool),
    Text(String),
    Number(i64),
}

/// A `match` of a node: a regular expression for the name, a word for the type.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Match {
    pub(super) name: Option<String>,
    pub(super) of: Option<&'static str>,
}

/// Whether a column is meant; nothing if the condition asks what is not known here. `position` counts from 1.
pub(super) fn holds(condition: &Expr, column: &Column, position: usize) -> Option<bool> {
    match value(condition, column, position)? {
        Value::Flag(flag) => Some(flag),
        _ => None,
    }
}

/// The name that a pattern gives to what it makes of a column.
pub(super) fn named(name: &Expr, column: &Column) -> Option<String> {
    match value(name, column, 0)? {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// The same for columns that are not known: `$0` is the column's name.
pub(super) fn template(name: &Expr) -> Option<String> {
    named(name, &Column::new("$0", Type::Any, ""))
}

fn value(expr: &Expr, column: &Column, position: usize) -> Option<Value> {
    let at = |expr: &Expr| value(expr, column, position);
    let text = |expr: &Expr| match at(expr)? {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let flag = |expr: &Expr| match at(expr)? {
        Value::Flag(flag) => Some(flag),
        _ => None,
    };
    if let Some(flag) = expr.as_bool() {
        return Some(Value::Flag(flag));
    }
    Some(match &expr.kind {
        Kind::Text(_) => Value::Text(expr.as_text()?.to_owned()),
        Kind::Number(..) => Value::Number(expr.as_integer()?),
        Kind::Matched => Value::Text(column.name.clone()),
        Kind::Name { stream: None, name } => match name.as_str() {
            "name" => Value::Text(column.name.clone()),
            "type" => Value::Text(type_name(&column.of)?.to_owned()),
            "position" if position > 0 => Value::Number(i64::try_from(position).ok()?),
            _ => return None,
        },
        Kind::Unary("!", inner) => Value::Flag(!flag(inner)?),
        Kind::Binary("&&", left, right) => Value::Flag(flag(left)? && flag(right)?),
        Kind::Binary("||", left, right) => Value::Flag(flag(left)? || flag(right)?),
        Kind::Binary("==", left, right) => Value::Flag(at(left)? == at(right)?),
        Kind::Binary("!=", left, right) => Value::Flag(at(left)? != at(right)?),
        Kind::Binary("+", left, right) => Value::Text(text(left)? + &text(right)?),
        Kind::Binary(operator @ ("<" | ">" | "<=" | ">="), left, right) => {
            let (Value::Number(left), Value::Number(right)) = (at(left)?, at(right)?) else { return None };
            Value::Flag(match *operator {
                "<" => left < right,
                ">" => left > right,
                "<=" => left <= right,
                _ => left >= right,
            })
        }
        Kind::Call { name, arguments } => match (name.to_lowercase().as_str(), arguments.as_slice()) {
            ("startswith", [of, part]) => Value::Flag(text(of)?.starts_with(&text(part)?)),
            ("endswith", [of, part]) => Value::Flag(text(of)?.ends_with(&text(part)?)),
            ("like", [of, pattern]) => {
                Value::Flag(regex::Regex::new(&like(&text(pattern)?)).ok()?.is_match(&text(of)?))
            }
            ("regexmatch" | "rlike", [of, pattern]) => {
                Value::Flag(regex::Regex::new(&text(pattern)?).ok()?.is_match(&text(of)?))
            }
            ("in", [list, of]) => match &list.kind {
                Kind::List(items) => {
                    let of = at(of)?;
                    Value::Flag(items.iter().map(at).collect::<Option<Vec<_>>>()?.contains(&of))
                }
                _ => return None,
            },
            ("not", [inner]) => Value::Flag(!flag(inner)?),
            ("instr", [of, part]) => {
                let (of, part) = (text(of)?, text(part)?);
                let before = of.split_once(part.as_str()).map(|(before, _)| before.chars().count() + 1);
                Value::Number(i64::try_from(before.unwrap_or(0)).ok()?)
            }
            ("lower", [of]) => Value::Text(text(of)?.to_lowercase()),
            ("upper", [of]) => Value::Text(text(of)?.to_uppercase()),
            ("replace", [of, part, by]) => Value::Text(text(of)?.replace(&text(part)?, &text(by)?)),
            ("concat", parts) => Value::Text(parts.iter().map(text).collect::<Option<Vec<_>>>()?.concat()),
            _ => return None,
        },
        _ => return None,
    })
}

/// The type's word in a pattern.
fn type_name(of: &Type) -> Option<&'static str> {
    Some(match of {
        Type::Text => "string",
        Type::Integer(word) | Type::Float(word) => word,
        Type::Decimal(..) => "decimal",
        Type::Boolean => "boolean",
        Type::Date => "date",
        Type::Timestamp => "timestamp",
        Type::Binary => "binary",
        Type::List(_) => "array",
        Type::Struct(_) => "complex",
        Type::Map => "map",
        Type::Any => return None,
    })
}

/// A pattern of `like` as a regular expression for the whole.
fn like(pattern: &str) -> String {
    let parts = pattern.chars().map(|letter| match letter {
        '%' => ".*".to_owned(),
        '_' => ".".to_owned(),
        other => regex::escape(&other.to_string()),
    });
    format!("^(?s:{})$", parts.collect::<String>())
}

/// A condition over columns that are not known, as far as a node's `match` says the same.
pub(super) fn open(condition: &Expr) -> Option<Match> {
    if condition.as_bool() == Some(true) {
        return Some(Match::default());
    }
    let is = |expr: &Expr, wanted: &str| expr.as_name() == Some((None, wanted));
    match &condition.kind {
        Kind::Binary("&&", left, right) => {
            let (left, right) = (open(left)?, open(right)?);
            let doubled =
                left.name.is_some() && right.name.is_some() || left.of.is_some() && right.of.is_some();
            (!doubled).then(|| Match { name: left.name.or(right.name), of: left.of.or(right.of) })
        }
        Kind::Binary("==", left, right) if is(left, "type") => {
            // Integers of all widths are one here, and so are fractions.
            let of = match right.as_text()? {
                "string" => "string",
                "integer" | "long" => "integer",
                "double" => "float",
                "boolean" => "boolean",
                "date" => "date",
                "timestamp" => "timestamp",
                "array" => "list",
                "complex" => "struct",
                _ => return None,
            };
            Some(Match { name: None, of: Some(of) })
        }
        Kind::Binary("==", left, right) if is(left, "name") => {
            Some(Match { name: Some(regex::escape(right.as_text()?)), of: None })
        }
        Kind::Call { name, arguments } => {
            let [of, pattern] = arguments.as_slice() else { return None };
            let pattern = pattern.as_text().filter(|_| is(of, "name"))?;
            let name = match name.to_lowercase().as_str() {
                "startswith" => format!("{}.*", regex::escape(pattern)),
                "endswith" => format!(".*{}", regex::escape(pattern)),
                "like" => like(pattern).trim_start_matches('^').trim_end_matches('$').to_owned(),
                "regexmatch" | "rlike" if regex::Regex::new(pattern).is_ok() => format!(".*(?:{pattern}).*"),
                _ => return None,
            };
            Some(Match { name: Some(name), of: None })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::parse_expression;
    use super::*;

    #[test]
    fn a_pattern_is_evaluated_or_becomes_a_match() {
        let column = Column::new("amount_eur", Type::Decimal(10, 2), "s");
        for (pattern, held, open_name) in [
            ("true()", Some(true), Some(None)),
            ("type == 'decimal' && endsWith(name, '_eur')", Some(true), None),
            ("name != 'amount_eur'", Some(false), None),
            ("like(name, 'a%_eur')", Some(true), Some(Some("(?s:a.*.eur)"))),
            ("startsWith(name, 'amo') && type == 'string'", Some(false), Some(Some("amo.*"))),
            ("in(['a', 'amount_eur'], name)", Some(true), None),
            ("position > 2", Some(true), None),
            ("unknown == 'x'", None, None),
        ] {
            let expr = parse_expression(pattern).unwrap();
            assert_eq!(holds(&expr, &column, 3), held, "{pattern}");
            let found = open(&expr).map(|found| found.name);
            assert_eq!(found, open_name.map(|name: Option<&str>| name.map(str::to_owned)), "{pattern}");
        }
        let name = parse_expression("'x_' + upper($$)").unwrap();
        assert_eq!(named(&name, &column).as_deref(), Some("x_AMOUNT_EUR"));
        assert_eq!(template(&parse_expression("$$ + '_y'").unwrap()).as_deref(), Some("$0_y"));
    }
}
