//! Functions over the values of a row. A plain one is a line in [`PLAIN`]; what needs the types or the text of its arguments is a function.

use super::conversions::{groups, has_groups};
use super::expression::{
    ADDED, ATOM, COMPARED, Gap, Made, NOT, OR, Scope, Sql, common, joined, literal, quote,
};
use super::script::{Expr, Kind, Span, Type};
use super::stream::ACT;

/// What a plain function gives.
#[derive(Debug, Clone, Copy)]
enum Gives {
    Text,
    Whole,
    Fraction,
    Boolean,
    Date,
    Time,
    /// The type of that argument.
    Same(usize),
    Texts,
}

use Gives::{Boolean, Date, Fraction, Same, Text, Texts, Time, Whole};

/// Name in small letters, number of arguments, and the same in SQL: `{0}` is an argument of a function, `<0>` an operand.
const PLAIN: &[(&str, usize, &str, Gives)] = &[
    ("abs", 1, "abs({0})", Same(0)),
    ("acos", 1, "acos({0})", Fraction),
    ("ascii", 1, "ascii({0})", Whole),
    ("asin", 1, "asin({0})", Fraction),
    ("atan", 1, "atan({0})", Fraction),
    ("atan2", 2, "atan2({0}, {1})", Fraction),
    ("between", 3, "(<0> between <1> and <2>)", Boolean),
    ("cbrt", 1, "cbrt({0})", Fraction),
    ("ceil", 1, "ceil({0})", Fraction),
    ("char", 1, "chr(<0> % 256)", Text),
    ("compare", 2, "case when <0> < <1> then -1 when <0> > <1> then 1 when <0> = <1> then 0 end", Whole),
    ("cos", 1, "cos({0})", Fraction),
    ("cosh", 1, "cosh({0})", Fraction),
    ("currentdate", 0, "current_date()", Date),
    ("currenttimestamp", 0, "cast(now() as timestamp)", Time),
    ("currentutc", 0, "cast(now() as timestamp)", Time),
    ("dayofmonth", 1, "date_part('day', {0})", Whole),
    ("dayofweek", 1, "date_part('dow', {0}) + 1", Whole),
    ("dayofyear", 1, "date_part('doy', {0})", Whole),
    ("days", 1, "<0> * 86400000", Whole),
    ("degrees", 1, "degrees({0})", Fraction),
    ("distinct", 1, "array_distinct({0})", Same(0)),
    ("dropleft", 2, "substr({0}, <1> + 1)", Text),
    ("dropright", 2, "left({0}, greatest(character_length({0}) - <1>, 0))", Text),
    ("endswith", 2, "ends_with({0}, {1})", Boolean),
    ("except", 2, "array_distinct(array_except({0}, {1}))", Same(0)),
    ("exp", 1, "exp({0})", Fraction),
    ("factorial", 1, "factorial({0})", Whole),
    ("floor", 1, "floor({0})", Fraction),
    ("frombase64", 1, "cast(decode({0}, 'base64') as varchar)", Text),
    ("hour", 1, "date_part('hour', {0})", Whole),
    ("hours", 1, "<0> * 3600000", Whole),
    ("instr", 2, "strpos({0}, {1})", Whole),
    ("intersect", 2, "array_intersect({0}, {1})", Same(0)),
    ("isbyte", 1, "(try_cast({0} as tinyint) is not null)", Boolean),
    ("isdate", 1, "(try_cast({0} as date) is not null)", Boolean),
    ("isdouble", 1, "(try_cast({0} as double) is not null)", Boolean),
    ("isfloat", 1, "(try_cast({0} as double) is not null)", Boolean),
    ("isinteger", 1, "(try_cast({0} as int) is not null)", Boolean),
    ("islong", 1, "(try_cast({0} as bigint) is not null)", Boolean),
    ("isnan", 1, "isnan({0})", Boolean),
    ("isnull", 1, "(<0> is null)", Boolean),
    ("isshort", 1, "(try_cast({0} as smallint) is not null)", Boolean),
    ("istimestamp", 1, "(try_cast({0} as timestamp) is not null)", Boolean),
    (
        "lastdayofmonth",
        1,
        "cast(date_trunc('month', {0}) + interval '1 month' - interval '1 day' as date)",
        Date,
    ),
    ("left", 2, "left({0}, {1})", Text),
    ("length", 1, "character_length({0})", Whole),
    ("levenshtein", 2, "levenshtein({0}, {1})", Whole),
    ("like", 2, "(<0> like <1>)", Boolean),
    ("locate", 2, "strpos({1}, {0})", Whole),
    (
        "locate",
        3,
        "case when strpos(substr({1}, {2}), {0}) > 0 then strpos(substr({1}, {2}), {0}) + <2> - 1 else 0 end",
        Whole,
    ),
    ("log", 1, "ln({0})", Fraction),
    ("log", 2, "log({1}, {0})", Fraction),
    ("log10", 1, "log10({0})", Fraction),
    ("lower", 1, "lower({0})", Text),
    ("lpad", 3, "lpad({0}, {1}, {2})", Text),
    ("ltrim", 1, "ltrim({0})", Text),
    ("ltrim", 2, "ltrim({0}, {1})", Text),
    ("millisecond", 1, "date_part('millisecond', {0}) % 1000", Whole),
    ("milliseconds", 1, "{0}", Whole),
    ("minute", 1, "date_part('minute', {0})", Whole),
    ("minutes", 1, "<0> * 60000", Whole),
    ("month", 1, "date_part('month', {0})", Whole),
    ("negate", 1, "-<0>", Same(0)),
    ("pmod", 2, "(<0> % nullif({1}, 0) + <1>) % nullif({1}, 0)", Same(0)),
    ("power", 2, "power(cast({0} as double), {1})", Fraction),
    ("radians", 1, "radians({0})", Fraction),
    ("regexsplit", 2, "regexp_split_to_array({0}, {1})", Texts),
    ("replace", 2, "replace({0}, {1}, '')", Text),
    ("replace", 3, "replace({0}, {1}, {2})", Text),
    ("reverse", 1, "reverse({0})", Text),
    ("right", 2, "right({0}, {1})", Text),
    ("round", 1, "round({0})", Fraction),
    ("round", 2, "round({0}, {1})", Fraction),
    ("rpad", 3, "rpad({0}, {1}, {2})", Text),
    ("rtrim", 1, "rtrim({0})", Text),
    ("rtrim", 2, "rtrim({0}, {1})", Text),
    ("second", 1, "date_part('second', {0})", Whole),
    ("seconds", 1, "<0> * 1000", Whole),
    ("sin", 1, "sin({0})", Fraction),
    ("sinh", 1, "sinh({0})", Fraction),
    ("size", 1, "case when {0} is not null then coalesce(array_length({0}), 0) end", Whole),
    ("slice", 2, "array_slice({0}, {1}, cast(array_length({0}) as bigint))", Same(0)),
    ("slice", 3, "array_slice({0}, {1}, <1> + <2> - 1)", Same(0)),
    ("split", 2, "string_to_array({0}, {1})", Texts),
    ("sqrt", 1, "sqrt({0})", Fraction),
    ("startswith", 2, "starts_with({0}, {1})", Boolean),
    ("substringindex", 3, "substr_index({0}, {1}, {2})", Text),
    ("tan", 1, "tan({0})", Fraction),
    ("tanh", 1, "tanh({0})", Fraction),
    ("tobase64", 1, "encode({0}, 'base64pad')", Text),
    ("translate", 3, "translate({0}, {1}, {2})", Text),
    ("trim", 1, "trim({0})", Text),
    ("trim", 2, "btrim({0}, {1})", Text),
    ("union", 2, "array_union({0}, {1})", Same(0)),
    ("upper", 1, "upper({0})", Text),
    ("uuid", 0, "uuid()", Text),
    ("weekofyear", 1, "date_part('week', {0})", Whole),
    ("weeks", 1, "<0> * 604800000", Whole),
    ("year", 1, "date_part('year', {0})", Whole),
];

/// Functions that are operators.
const AS_OPERATORS: &[(&str, &str)] = &[
    ("add", "+"),
    ("minus", "-"),
    ("multiply", "*"),
    ("divide", "/"),
    ("mod", "%"),
    ("and", "&&"),
    ("or", "||"),
    ("xor", "^"),
    ("equals", "=="),
    ("notequals", "!="),
    ("greater", ">"),
    ("greaterorequal", ">="),
    ("lesser", "<"),
    ("lesserorequal", "<="),
    ("equalsignorecase", "<=>"),
    ("bitwiseand", "&"),
    ("bitwiseor", "|"),
    ("bitwisexor", "^"),
];

impl Scope<'_> {
    pub(super) fn call(&self, name: &str, arguments: &[Expr], span: Span) -> Made {
        let lower = name.to_lowercase();
        if let Some(made) = self.aggregate(&lower, arguments, span) {
            return made;
        }
        if let (Some((_, operator)), [left, right]) =
            (AS_OPERATORS.iter().find(|(name, _)| *name == lower), arguments)
        {
            return self.binary(operator, left, right, span);
        }
        let plain =
            |(name, count, ..): &&(&str, usize, &str, Gives)| *name == lower && *count == arguments.len();
        if let Some((_, _, template, gives)) = PLAIN.iter().find(plain) {
            let arguments = self.all(arguments)?;
            let of = match gives {
                Text => Type::Text,
                Whole => Type::Integer("integer"),
                Fraction => Type::Float("double"),
                Boolean => Type::Boolean,
                Date => Type::Date,
                Time => Type::Timestamp,
                Texts => Type::List(Box::new(Type::Text)),
                Same(of) => arguments.get(*of).map_or(Type::Any, |argument| argument.of.clone()),
            };
            return Ok(filled(template, &arguments, of));
        }
        self.special(&lower, name, arguments, span)
    }

    fn special(&self, lower: &str, name: &str, arguments: &[Expr], span: Span) -> Made {
        match (lower, arguments) {
            ("true" | "false", []) => Ok(Sql::atom(lower, Type::Boolean)),
            ("null", []) => Ok(Sql::atom("null", Type::Any)),
            ("not", [inner]) => {
                Ok(Sql::new(format!("not {}", self.sql(inner)?.within(NOT)), NOT, Type::Boolean))
            }
            ("iif", [_, _] | [_, _, _]) => self.cases(arguments),
            ("case", [_, _, ..]) => self.cases(arguments),
            ("coalesce" | "iifnull" | "greatest" | "least", [_, ..]) => {
                let ours = if lower == "iifnull" { "coalesce" } else { lower };
                let values = self.all(arguments)?;
                let of = values.iter().map(|value| value.of.clone()).filter(|of| *of != Type::Any).reduce(common);
                Ok(Sql::atom(format!("{ours}({})", joined(&values)), of.unwrap_or(Type::Any)))
            }
            ("in", [list, value]) => self.is_among(list, value),
            ("contains", [list, test]) => self.has_item(list, test, span),
            ("at", [list, index]) => self.part_at(list, index),
            ("array", items) => {
                let values = self.all(items)?;
                let of = values.iter().map(|value| value.of.clone()).reduce(common).unwrap_or(Type::Text);
                Ok(Sql::atom(format!("make_array({})", joined(&values)), Type::List(Box::new(of))))
            }
            ("concat", [_, ..]) => self.concatenated(arguments, span),
            ("concatws", [between, rest @ ..]) => {
                let mut parts = vec![self.sql(between)?.text];
                for part in rest {
                    parts.push(self.as_text(self.sql(part)?, span)?.text);
                }
                Ok(Sql::atom(format!("concat_ws({})", parts.join(", ")), Type::Text))
            }
            ("initcap", [text]) => {
                self.note(span, "`initcap` begins a word after every letter that is none, not after blanks alone: `O'Neil`");
                Ok(Sql::atom(format!("initcap({})", self.sql(text)?.text), Type::Text))
            }
            ("substring", [text, from] | [text, from, _]) => self.substring(text, from, arguments.get(2), span),
            ("regexmatch" | "rlike", [text, pattern]) => {
                let pattern = self.pattern(pattern, span)?;
                self.note(span, "a part of the text that matches is enough for `regexp_like`: `^…$` asks for the whole");
                Ok(Sql::atom(format!("regexp_like({}, {pattern})", self.sql(text)?.text), Type::Boolean))
            }
            ("regexreplace", [text, pattern, by]) => {
                let Some(by) = by.as_text() else { return Err(Gap::new(span, "replaces by what is no constant text")) };
                let by = literal(&groups(by));
                let (text, pattern) = (self.sql(text)?.text, self.pattern(pattern, span)?);
                Ok(Sql::atom(format!("regexp_replace({text}, {pattern}, {by}, 'g')"), Type::Text))
            }
            ("regexextract", [text, pattern] | [text, pattern, _]) => {
                let group = arguments.get(2).map_or(Some(1), Expr::as_integer).filter(|group| *group > 0);
                let (Some(group), Some(true)) = (group, pattern.as_text().map(has_groups)) else {
                    return Err(Gap::new(span, "takes all matches, or a group that the pattern may not have"));
                };
                let (text, pattern) = (self.sql(text)?.text, self.pattern(pattern, span)?);
                Ok(Sql::atom(format!("array_element(regexp_match({text}, {pattern}), {group})"), Type::Text))
            }
            ("sort", [list, order]) if is_ascending(order) => {
                let list = self.sql(list)?;
                Ok(Sql::atom(format!("array_sort({})", list.text), list.of))
            }
            ("md5", [value]) => self.digest("md5({})", value, span),
            ("sha2", [bits, value]) => match bits.as_integer() {
                Some(bits @ (0 | 224 | 256 | 384 | 512)) => {
                    let bits = if bits == 0 { 256 } else { bits };
                    self.digest(&format!("encode(sha{bits}({{}}), 'hex')"), value, span)
                }
                _ => Err(Gap::new(span, "asks for a digest of a length that is not known")),
            },
            ("md5" | "sha1" | "sha2" | "crc32", [_, _, ..]) => {
                Err(Gap::new(span, format!("makes one digest of several values by `{name}`, and how they are put together is not documented"))
                    .hinted("`md5(concat_ws('|', a, b))`"))
            }
            _ => self.about_columns(lower, name, arguments, span),
        }
    }

    /// What asks for columns by their names, or for what an earlier node said of a row.
    fn about_columns(&self, lower: &str, name: &str, arguments: &[Expr], span: Span) -> Made {
        match (lower, arguments) {
            ("byname", [column, rest @ ..]) => self.by_name(column, rest, span),
            ("hascolumn", [column]) if self.inputs.iter().all(|(_, input, _)| !input.open) => {
                let Some(name) = column.as_text() else {
                    return Err(Gap::new(span, "names a column that is computed"));
                };
                let known = self.inputs.iter().any(|(_, input, _)| input.find(None, name).is_some());
                Ok(Sql::atom(known.to_string(), Type::Boolean))
            }
            ("columnnames", []) if self.inputs.iter().all(|(_, input, _)| !input.open) => {
                let names = self.inputs.iter().flat_map(|(_, input, _)| input.columns.iter());
                let names: Vec<String> = names.map(|column| literal(&column.ours)).collect();
                Ok(Sql::atom(format!("make_array({})", names.join(", ")), Type::List(Box::new(Type::Text))))
            }
            ("iserror", []) => self.marks(None, span),
            ("haserror", [mark]) => self.marks(mark.as_text(), span),
            ("isinsert" | "isupdate" | "isupsert" | "isdelete", [])
                if self.inputs.iter().any(|(_, input, _)| input.acts) =>
            {
                let act = lower.trim_start_matches("is");
                Ok(Sql::new(format!("{} = {}", quote(ACT), literal(act)), COMPARED, Type::Boolean))
            }
            _ => self.converted(lower, name, arguments, span),
        }
    }

    fn by_name(&self, column: &Expr, stream: &[Expr], span: Span) -> Made {
        let Some(name) = column.as_text() else {
            return Err(Gap::new(span, "names a column that is computed").hinted("name it in the flow"));
        };
        let stream = stream.first().and_then(Expr::as_text);
        match self.column(stream, name, span) {
            // A column that is not there is null, if all that are there are known.
            Err(_) if self.inputs.iter().all(|(_, input, _)| !input.open) => Ok(Sql::atom("null", Type::Any)),
            found => found,
        }
    }

    fn marks(&self, wanted: Option<&str>, span: Span) -> Made {
        let marks = self.inputs.iter().flat_map(|(_, input, _)| input.marks.iter());
        let found: Vec<String> = marks
            .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name))
            .map(|(_, column)| quote(column))
            .collect();
        match found.is_empty() {
            true => Err(Gap::new(span, "asks for an assertion that no `assert` before it marks")),
            false => Ok(Sql::new(found.join(" or "), if found.len() > 1 { OR } else { ATOM }, Type::Boolean)),
        }
    }
}

/// `{0}` and `<0>` replaced by the arguments.
fn filled(template: &str, arguments: &[Sql], of: Type) -> Sql {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '<']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let digit = from.chars().nth(1).and_then(|digit| digit.to_digit(10));
        let closed = from.chars().nth(2).is_some_and(|close| close == '}' || close == '>');
        match digit.filter(|_| closed).and_then(|digit| arguments.get(digit as usize)) {
            Some(argument) => {
                text.push_str(&if from.starts_with('{') { argument.text.clone() } else { argument.alone() });
                rest = from.get(3..).unwrap_or_default();
            }
            None => {
                text.push_str(from.get(..1).unwrap_or_default());
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    text.push_str(rest);
    // What is an operator by itself stands in brackets within another one.
    let is_call = template.ends_with(')') && !template.contains(" % ")
        || template.starts_with("case")
        || template == "{0}";
    Sql::new(text, if is_call { ATOM } else { ADDED - 1 }, of)
}

/// `compare(#item1, #item2)`.
fn is_ascending(order: &Expr) -> bool {
    order.called("compare").is_some_and(|sides| {
        let items: Vec<_> = sides.iter().map(|side| &side.kind).collect();
        items == [&Kind::Item("item1".to_owned()), &Kind::Item("item2".to_owned())]
    })
}
