//! Functions for one row: what each is called over there, and those for which it is more than another name.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use super::casts::{Unfit, cast, half_away, is_large};
use super::expression::{Scope, constant_text};
use super::types::{is_text, word};
use super::{Translated, Untranslated, patterns, text};

/// Function, how many arguments it may have here, and what it is over there: `{0}` is the first argument, `{*}` all of them.
const SAME: &[(&str, usize, &str)] = &[
    ("abs", 1, "abs({0})"),
    ("sqrt", 1, "sqrt({0})"),
    ("exp", 1, "exp({0})"),
    ("sin", 1, "sin({0})"),
    ("cos", 1, "cos({0})"),
    ("tan", 1, "tan({0})"),
    ("atan2", 2, "atan2({0}, {1})"),
    ("tanh", 1, "tanh({0})"),
    ("radians", 1, "radians({0})"),
    ("degrees", 1, "degrees({0})"),
    ("pi", 0, "pi()"),
    ("signum", 1, "signum({0})"),
    ("isnan", 1, "case when {0} is not null then isnan({0}) end"),
    ("nanvl", 2, "nanvl({0}, {1})"),
    ("coalesce", usize::MAX, "coalesce({*})"),
    ("nullif", 2, "nullif({0}, {1})"),
    ("nvl", 2, "coalesce({0}, {1})"),
    ("nvl2", 3, "nvl2({0}, {1}, {2})"),
    ("greatest", usize::MAX, "greatest({*})"),
    ("least", usize::MAX, "least({*})"),
    ("lower", 1, "lower({0})"),
    ("upper", 1, "upper({0})"),
    ("btrim", 1, "trim({0})"),
    ("btrim", 2, "trim(both {1} from {0})"),
    ("ltrim", 1, "ltrim({0})"),
    ("ltrim", 2, "trim(leading {1} from {0})"),
    ("rtrim", 1, "rtrim({0})"),
    ("rtrim", 2, "trim(trailing {1} from {0})"),
    ("octet_length", 1, "octet_length({0})"),
    ("contains", 2, "contains({0}, {1})"),
    ("starts_with", 2, "startswith({0}, {1})"),
    ("ends_with", 2, "endswith({0}, {1})"),
    ("reverse", 1, "reverse({0})"),
    ("md5", 1, "md5({0})"),
    ("make_date", 3, "make_date({0}, {1}, {2})"),
    ("make_array", usize::MAX, "array({*})"),
    ("array_distinct", 1, "array_distinct({0})"),
    ("get_field", 2, "{0}[{1}]"),
    ("field_of", 2, "{0}[{1}]"),
    ("map_keys", 1, "map_keys({0})"),
    ("map_values", 1, "map_values({0})"),
];

/// Functions that give something else there, with what to do about it.
const DIFFERENT: &[(&str, &str)] = &[
    ("row_fraction", "its hash is the local engine's own; split with conditions"),
    ("assert_none", "take the rows that break a rule as a part: `on_failure: divert`"),
    ("normal_cdf", "Spark has no normal distribution"),
    ("to_json", "each writes numbers, times and nulls in its own way"),
    ("regexp_match", "take the parts with `regexp_replace`"),
    ("uuid", "it is another one each time"),
    ("now", "it is another moment; give it as a parameter"),
    ("current_date", "it is another moment; give it as a parameter"),
    ("current_timestamp", "it is another moment; give it as a parameter"),
    ("factorial", "Spark has null where this one fails"),
    ("chr", "Spark knows 256 letters by their numbers"),
    ("initcap", "each has its own idea of a word"),
    ("date_bin", "Spark has no bins; use `date_trunc`"),
    ("arrow_typeof", "the types have other names there"),
];

/// A call over the columns of `scope`; `whole` is the call as an expression.
pub(super) fn scalar(scope: &Scope<'_>, call: &ScalarFunction, whole: &Expr) -> Translated {
    let name = call.func.name();
    if name.starts_with("parse_text_") {
        return Err(Untranslated::new(
            "reading JSON or delimited text out of a column (`parse`) is the local engine's own",
        ));
    }
    if let Some((_, why)) = DIFFERENT.iter().find(|(known, _)| *known == name) {
        return Err(refused(name).hinted(*why));
    }
    if name == "arrow_cast" {
        let [value, _] = call.args.as_slice() else { return Err(refused(name)) };
        return cast(&scope.expression(value)?, &scope.type_of(value)?, &scope.type_of(whole)?, Unfit::Fails);
    }
    if let Some(sql) = patterned(scope, name, &call.args)? {
        return Ok(sql);
    }
    let arguments = scope.expressions(&call.args)?;
    if let Some(sql) = special(scope, call, whole, &arguments)? {
        return Ok(sql);
    }
    let fits = |(known, count, _): &&(&str, usize, &str)| {
        *known == name && (*count == arguments.len() || (*count == usize::MAX && !arguments.is_empty()))
    };
    let (_, _, template) = SAME.iter().find(fits).ok_or_else(|| refused(name))?;
    Ok(filled(template, &arguments))
}

fn refused(name: &str) -> Untranslated {
    Untranslated::new(format!("the function `{name}` has no equal in Spark that is known to give the same"))
}

fn filled(template: &str, arguments: &[String]) -> String {
    let mut sql = template.replace("{*}", &arguments.join(", "));
    for (at, argument) in arguments.iter().enumerate() {
        sql = sql.replace(&format!("{{{at}}}"), argument);
    }
    sql
}

/// Functions of regular expressions, whose pattern has to be known.
fn patterned(scope: &Scope<'_>, name: &str, arguments: &[Expr]) -> Result<Option<String>, Untranslated> {
    let pattern = |at: usize| Ok::<_, Untranslated>(text(&patterns::both(&constant_text(&arguments[at])?)?));
    Ok(Some(match (name, arguments.len()) {
        ("regexp_like", 2) => format!("({} rlike {})", scope.expression(&arguments[0])?, pattern(1)?),
        ("regexp_count", 2) => {
            format!("cast(regexp_count({}, {}) as bigint)", scope.expression(&arguments[0])?, pattern(1)?)
        }
        ("regexp_replace", 4) if constant_text(&arguments[3])? == "g" => format!(
            "regexp_replace({}, {}, {})",
            scope.expression(&arguments[0])?,
            pattern(1)?,
            text(&patterns::replacement(&constant_text(&arguments[2])?)?)
        ),
        ("regexp_replace", _) => return Err(refused(name).hinted("replace all matches: the flags `'g'`")),
        ("regexp_like" | "regexp_count", _) => return Err(refused(name).hinted("leave the flags out")),
        _ => return Ok(None),
    }))
}

/// Functions of numbers that have another idea of what stands at the edge.
fn numeric(
    call: &ScalarFunction,
    kind: &DataType,
    result: &str,
    arguments: &[String],
) -> Result<Option<String>, Untranslated> {
    let as_result = |sql: String| format!("cast({sql} as {result})");
    Ok(Some(match (call.func.name(), arguments) {
        ("round", _) if *kind == DataType::Float32 => {
            return Err(refused("round").hinted("cast the value to double"));
        }
        ("round", [value]) => as_result(format!("round({value})")),
        ("round", [value, digits]) => {
            if *kind == DataType::Float64 {
                return Ok(Some(rounded(value, digits, &call.args, result)?));
            }
            as_result(format!("round({value}, {})", whole_number(&call.args, 1, digits)?))
        }
        ("floor" | "ceil", [value]) if kind.is_floating() => {
            as_result(format!("{}({value})", call.func.name()))
        }
        ("trunc", [value]) if kind.is_floating() => {
            as_result(format!("(case when {value} < 0 then ceil({value}) else floor({value}) end)"))
        }
        // Minus infinity and not-a-number, where Spark has null.
        ("ln" | "log2" | "log10", [value]) => format!(
            "(case when {value} = 0 then cast('-Infinity' as double) when {value} < 0 then cast('NaN' as double) else {}({value}) end)",
            call.func.name()
        ),
        ("power", [base, exponent]) => as_result(format!("power({base}, {exponent})")),
        _ => return Ok(None),
    }))
}

/// Functions that need more than a name: other types, or another idea of what stands at the edge.
fn special(
    scope: &Scope<'_>,
    call: &ScalarFunction,
    whole: &Expr,
    arguments: &[String],
) -> Result<Option<String>, Untranslated> {
    let kind = |at: usize| call.args.get(at).map_or(Ok(DataType::Null), |argument| scope.type_of(argument));
    let result = word(&scope.type_of(whole)?)?;
    if let Some(sql) = numeric(call, &kind(0)?, &result, arguments)? {
        return Ok(Some(sql));
    }
    let as_result = |sql: String| format!("cast({sql} as {result})");
    Ok(Some(match (call.func.name(), arguments) {
        ("character_length", [value]) => as_result(format!("char_length({value})")),
        ("ascii", [value]) => as_result(format!("ascii({value})")),
        ("substr", [value, start]) => from_first(value, start, &call.args, None)?,
        ("substr", [value, start, length]) => from_first(value, start, &call.args, Some(length))?,
        ("left" | "right", [value, count]) => {
            // A negative number leaves letters out here, and gives nothing there.
            let count =
                call.args.get(1).and_then(constant_number).filter(|count| *count >= 0).ok_or_else(|| {
                    Untranslated::new(format!(
                        "the count `{count}` of letters has to be 0 or more and written out"
                    ))
                })?;
            format!("{}({value}, {count})", call.func.name())
        }
        ("strpos", [value, part]) => as_result(format!("locate({part}, {value})")),
        ("replace", [value, part, by]) if !constant_text(&call.args[1])?.is_empty() => {
            format!("replace({value}, {part}, {by})")
        }
        ("translate", [value, from, to]) => format!("translate({value}, {from}, {to})"),
        ("repeat", [value, count]) => format!("repeat({value}, {})", whole_number(&call.args, 1, count)?),
        ("lpad" | "rpad", [value, length, fill]) => {
            format!("{}({value}, {}, {fill})", call.func.name(), whole_number(&call.args, 1, length)?)
        }
        ("concat", _) if !arguments.is_empty() => {
            format!("concat_ws('', {})", texts(scope, call, 0)?.join(", "))
        }
        ("concat_ws", [between, _, ..]) => {
            format!("concat_ws({between}, {})", texts(scope, call, 1)?.join(", "))
        }
        ("split_part", [value, between, number]) => {
            if constant_text(&call.args[1])?.is_empty() {
                return Err(Untranslated::new("`split_part` at an empty text"));
            }
            format!("split_part({value}, {between}, {})", whole_number(&call.args, 2, number)?)
        }
        ("levenshtein", [one, other]) => as_result(format!("levenshtein({one}, {other})")),
        ("to_hex", [value]) => format!("lower(hex({value}))"),
        ("sha256" | "sha512", [value]) => {
            let bits = if call.func.name() == "sha256" { 256 } else { 512 };
            format!("unhex(sha2({value}, {bits}))")
        }
        ("encode", [value, form]) if constant_text(&call.args[1])? == "hex" => {
            let _ = form;
            format!("lower(hex({value}))")
        }
        ("date_trunc", [unit, value]) => truncated(scope, call, unit, value, &result)?,
        ("date_part", [_, value]) => part(&constant_text(&call.args[0])?, value, &kind(1)?, &result)?,
        ("to_char" | "date_format", [value, _]) => {
            format!("date_format({value}, {})", text(&time_format(&constant_text(&call.args[1])?)?))
        }
        ("array_length", [list]) => as_result(format!("size({list})")),
        ("array_element", [list, at]) => format!("try_element_at({list}, {})", number_at(&call.args, 1, at)?),
        // A list with a null that does not have the value: false here, null there.
        ("array_has", [list, value]) => format!(
            "(case when {list} is not null and {value} is not null then coalesce(array_contains({list}, {value}), false) end)"
        ),
        ("array_to_string", [list, between]) if is_list_of_text(&kind(0)?) => {
            format!("array_join({list}, {between})")
        }
        ("named_struct", _) if !arguments.is_empty() => format!("named_struct({})", arguments.join(", ")),
        _ => return Ok(None),
    }))
}

fn is_list_of_text(kind: &DataType) -> bool {
    matches!(kind, DataType::List(field) if is_text(field.data_type()))
}

/// Rounded as the local engine does it, by the product with a power of ten; Spark rounds the decimal digits that it prints.
fn rounded(value: &str, digits: &str, arguments: &[Expr], result: &str) -> Translated {
    let digits: i32 = whole_number(arguments, 1, digits)?
        .parse()
        .map_err(|_| Untranslated::new("the digits of `round` have to be a number that is written out"))?;
    let factor = format!("cast('1e{digits}' as double)");
    let product = format!("(cast({value} as double) * {factor})");
    let (whole, large) = (half_away(&product), is_large(&product));
    Ok(format!("cast((case when {large} then {value} else {whole} / {factor} end) as {result})"))
}

/// A number that is written out, as an int.
fn whole_number(arguments: &[Expr], at: usize, sql: &str) -> Translated {
    let written = arguments.get(at).and_then(constant_number);
    Ok(written.map_or_else(|| format!("cast({sql} as int)"), |number| number.to_string()))
}

/// The number of an element; nothing stands at 0, where Spark has an error.
fn number_at(arguments: &[Expr], at: usize, sql: &str) -> Translated {
    match arguments.get(at).and_then(constant_number) {
        Some(number) if number != 0 => Ok(number.to_string()),
        _ => {
            Err(Untranslated::new(format!("the number of an element has to be written out, and not `{sql}`")))
        }
    }
}

fn constant_number(expression: &Expr) -> Option<i64> {
    use datafusion::common::ScalarValue;
    match expression {
        Expr::Literal(ScalarValue::Int64(number), _) => *number,
        Expr::Literal(ScalarValue::Int32(number), _) => number.map(i64::from),
        Expr::Negative(inner) => constant_number(inner).map(|number| -number),
        Expr::Cast(cast) => constant_number(&cast.expr),
        Expr::Alias(alias) => constant_number(&alias.expr),
        _ => None,
    }
}

/// A part of a text from a letter on. Letters before the first one count here, and from the end over there.
fn from_first(value: &str, start: &str, arguments: &[Expr], length: Option<&String>) -> Translated {
    let first = arguments.get(1).and_then(constant_number);
    let Some(first) = first.filter(|first| *first >= 1) else {
        return Err(Untranslated::new(format!(
            "`substr` from `{start}`, which has to be 1 or more and written out"
        )));
    };
    Ok(match length {
        None => format!("substr({value}, {first})"),
        Some(length) => format!("substr({value}, {first}, {})", whole_number(arguments, 2, length)?),
    })
}

/// Arguments as text, as the local engine writes it.
fn texts(scope: &Scope<'_>, call: &ScalarFunction, from: usize) -> Result<Vec<String>, Untranslated> {
    let arguments = call.args.iter().skip(from);
    arguments
        .map(|argument| {
            cast(&scope.expression(argument)?, &scope.type_of(argument)?, &DataType::Utf8, Unfit::Fails)
        })
        .collect()
}

fn truncated(scope: &Scope<'_>, call: &ScalarFunction, unit: &str, value: &str, result: &str) -> Translated {
    let name = constant_text(&call.args[0])?.to_lowercase();
    const UNITS: [&str; 8] = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];
    if !UNITS.contains(&name.as_str()) {
        return Err(Untranslated::new(format!("`date_trunc` to {unit}")).hinted(UNITS.join(", ")));
    }
    match scope.type_of(&call.args[1])? {
        // Over there it gives a time with a zone, which is UTC in our sessions.
        DataType::Timestamp(_, None) | DataType::Date32 => {
            Ok(format!("cast(date_trunc('{name}', {value}) as {result})"))
        }
        other => Err(Untranslated::new(format!("`date_trunc` of the type {other}"))),
    }
}

fn part(unit: &str, value: &str, kind: &DataType, result: &str) -> Translated {
    let word = match unit.to_lowercase().as_str() {
        unit @ ("year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "doy") => unit.to_owned(),
        // Sunday is 0 here and 1 there.
        "dow" => return Ok(format!("cast(dayofweek({value}) - 1 as {result})")),
        "second" => return Ok(format!("cast(floor(extract(second from {value})) as {result})")),
        other => {
            return Err(Untranslated::new(format!("`date_part` with `{other}`"))
                .hinted("year, quarter, month, week, day, hour, minute, second, dow, doy"));
        }
    };
    if *kind == DataType::Date32 && matches!(word.as_str(), "hour" | "minute") {
        return Ok(format!("(case when {value} is not null then cast(0 as {result}) end)"));
    }
    Ok(format!("cast(extract({word} from {value}) as {result})"))
}

/// A format of `strftime` as one of Java's.
fn time_format(format: &str) -> Translated {
    let mut out = String::new();
    let mut words = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            words.push(letter);
            continue;
        }
        let there = match letters.next() {
            Some('Y') => "yyyy",
            Some('m') => "MM",
            Some('d') => "dd",
            Some('H') => "HH",
            Some('M') => "mm",
            Some('S') => "ss",
            Some('j') => "DDD",
            Some('y') => "yy",
            Some('F') => "yyyy-MM-dd",
            Some('T') => "HH:mm:ss",
            Some(other) => {
                return Err(Untranslated::new(format!("`%{other}` in a format of times"))
                    .hinted("%Y, %m, %d, %H, %M, %S, %j, %y, %F and %T can be used"));
            }
            None => return Err(Untranslated::new("a format of times that ends with `%`")),
        };
        out += &between(&std::mem::take(&mut words));
        out += there;
    }
    Ok(out + &between(&words))
}

/// What stands between the parts of a time: letters would be parts, so they are quoted.
fn between(words: &str) -> String {
    let is_plain = words.chars().all(|letter| !letter.is_ascii_alphabetic() && !"'[]{}#".contains(letter));
    if is_plain { words.to_owned() } else { format!("'{}'", words.replace('\'', "''")) }
}
