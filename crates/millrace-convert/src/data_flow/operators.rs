//! Operators, and the functions that are operators by another name.

use super::expression::{
    ADDED, AND, COMPARED, Gap, MULTIPLIED, Made, OR, Scope, Sql, common, element, is_number, is_time, literal,
};
use super::script::{Expr, Kind, Span, Type};

impl Scope<'_> {
    pub(super) fn binary(&self, operator: &str, left: &Expr, right: &Expr, span: Span) -> Made {
        match operator {
            "&&" => self.both(left, right, "and", AND),
            "||" => self.both(left, right, "or", OR),
            "==" => self.compared(left, right, "="),
            "!=" => self.compared(left, right, "<>"),
            "===" => self.compared(left, right, "is not distinct from"),
            "<" | ">" | "<=" | ">=" => self.compared(left, right, operator),
            "<=>" => {
                let (left, right) = (self.sql(left)?, self.sql(right)?);
                Ok(Sql::new(format!("lower({}) = lower({})", left.text, right.text), COMPARED, Type::Boolean))
            }
            "+" => self.plus(left, right, span),
            "-" => self.minus(left, right, span),
            "*" => self.arithmetic(left, right, "*", span),
            "/" | "%" => self.quotient(left, right, operator, span),
            "&" | "|" | "^" => self.bits(left, right, operator, span),
            _ => Err(Gap::new(span, format!("uses the operator `{operator}`, which has no counterpart"))),
        }
    }

    fn both(&self, left: &Expr, right: &Expr, word: &str, strength: u8) -> Made {
        let (left, right) = (self.sql(left)?, self.sql(right)?);
        // A chain of one operator needs no brackets.
        let part =
            |side: &Sql| if side.strength == strength { side.text.clone() } else { side.within(strength) };
        Ok(Sql::new(format!("{} {word} {}", part(&left), part(&right)), strength, Type::Boolean))
    }

    pub(super) fn compared(&self, left: &Expr, right: &Expr, operator: &str) -> Made {
        let (left, right) = (self.sql(left)?, self.sql(right)?);
        let text = format!("{} {operator} {}", left.within(COMPARED), right.within(COMPARED));
        Ok(Sql::new(text, COMPARED, Type::Boolean))
    }

    fn plus(&self, left: &Expr, right: &Expr, span: Span) -> Made {
        let first = self.sql(left)?;
        if is_time(&first.of) {
            return self.moved(first, right, "+", span);
        }
        let second = self.sql(right)?;
        match (&first.of, &second.of) {
            (Type::List(_), Type::List(_)) => {
                Ok(Sql::atom(format!("array_concat({}, {})", first.text, second.text), first.of))
            }
            (Type::Text, _) | (_, Type::Text) => {
                let text = [self.as_text(first, span)?, self.as_text(second, span)?];
                // A chain of texts needs no brackets; a sum of numbers within it does.
                let part = |side: &Sql| {
                    if side.of == Type::Text && side.strength == ADDED {
                        side.text.clone()
                    } else {
                        side.within(ADDED)
                    }
                };
                let [first, second] = &text;
                Ok(Sql::new(format!("{} || {}", part(first), part(second)), ADDED, Type::Text))
            }
            (one, other) if is_number(one) && is_number(other) => {
                let of = common(one.clone(), other.clone());
                Ok(Sql::new(format!("{} + {}", first.within(ADDED - 1), second.within(ADDED)), ADDED, of))
            }
            _ => Err(Gap::new(
                span,
                "adds values whose types are not known, so that they may be numbers or texts",
            )
            .hinted("write `a + b` for numbers, `a || b` for texts")),
        }
    }

    fn minus(&self, left: &Expr, right: &Expr, span: Span) -> Made {
        let first = self.sql(left)?;
        if !is_time(&first.of) {
            return self.arithmetic(left, right, "-", span);
        }
        if intervals(right).is_none() {
            let second = self.sql(right)?;
            if first.of == Type::Date && second.of == Type::Date {
                self.note(span, "the difference of two dates is days here");
                return Ok(Sql::new(
                    format!("{} - {}", first.alone(), second.alone()),
                    ADDED,
                    Type::Integer("long"),
                ));
            }
            if is_time(&second.of) {
                let seconds = |side: &Sql| format!("date_part('epoch', {})", side.text);
                let text =
                    format!("cast(round(({} - {}) * 1000) as bigint)", seconds(&first), seconds(&second));
                return Ok(Sql::atom(text, Type::Integer("long")));
            }
        }
        self.moved(first, right, "-", span)
    }

    /// A date or a time with something added: days, or a length of time.
    pub(super) fn moved(&self, from: Sql, by: &Expr, sign: &str, span: Span) -> Made {
        if let Some(lengths) = intervals(by) {
            let other = if sign == "+" { "-" } else { "+" };
            let mut text = if from.of == Type::Date {
                format!("cast({} as timestamp)", from.text)
            } else {
                from.within(ADDED - 1)
            };
            for (negative, count, unit) in lengths {
                text = format!("{text} {} interval '{count} {unit}'", if negative { other } else { sign });
            }
            return Ok(Sql::new(text, ADDED, Type::Timestamp));
        }
        let by = self.sql(by)?;
        match (&from.of, &by.of) {
            (Type::Date, Type::Integer(_)) => Ok(Sql::new(
                format!("{} {sign} {}", from.within(ADDED - 1), by.within(ADDED)),
                ADDED,
                Type::Date,
            )),
            _ => Err(Gap::new(span, "moves a time by what is no constant length")
                .hinted("`time + interval '1 day'`")),
        }
    }

    pub(super) fn arithmetic(&self, left: &Expr, right: &Expr, operator: &str, span: Span) -> Made {
        let (first, second) = (self.sql(left)?, self.sql(right)?);
        if [&first.of, &second.of].into_iter().any(|of| !is_number(of) && *of != Type::Any) {
            return Err(Gap::new(span, format!("has `{operator}` between values that are no numbers")));
        }
        let strength = if operator == "*" { MULTIPLIED } else { ADDED };
        let text = format!("{} {operator} {}", first.within(strength - 1), second.within(strength));
        Ok(Sql::new(text, strength, common(first.of, second.of)))
    }

    /// Nothing where the divisor is 0, as there.
    fn quotient(&self, left: &Expr, right: &Expr, operator: &str, span: Span) -> Made {
        let (first, second) = (self.sql(left)?, self.sql(right)?);
        let whole = matches!((&first.of, &second.of), (Type::Integer(_), Type::Integer(_)));
        if whole && operator == "/" {
            self.note(span, "the quotient of two whole numbers is whole here: 7 / 2 is 3");
        }
        let never_zero =
            matches!(&right.kind, Kind::Number(number, _) if number.parse::<f64>().is_ok_and(|n| n != 0.0));
        let divisor =
            if never_zero { second.within(MULTIPLIED) } else { format!("nullif({}, 0)", second.text) };
        let text = format!("{} {operator} {divisor}", first.within(MULTIPLIED - 1));
        Ok(Sql::new(text, MULTIPLIED, common(first.of, second.of)))
    }

    fn bits(&self, left: &Expr, right: &Expr, operator: &str, span: Span) -> Made {
        let (first, second) = (self.sql(left)?, self.sql(right)?);
        if first.of == Type::Boolean && operator == "^" {
            return Ok(Sql::new(format!("{} <> {}", first.alone(), second.alone()), COMPARED, Type::Boolean));
        }
        if !matches!((&first.of, &second.of), (Type::Integer(_), Type::Integer(_))) {
            return Err(Gap::new(span, format!("has `{operator}` between values that are no whole numbers")));
        }
        Ok(Sql::atom(format!("({} {operator} {})", first.alone(), second.alone()), first.of))
    }

    /// `iif`, `case`.
    pub(super) fn cases(&self, arguments: &[Expr]) -> Made {
        let (mut text, mut of) = ("case".to_owned(), None);
        for part in arguments.chunks(2) {
            let value = match part {
                [condition, value] => {
                    text.push_str(&format!(" when {} then ", self.sql(condition)?.text));
                    self.sql(value)?
                }
                [value] => {
                    text.push_str(" else ");
                    self.sql(value)?
                }
                _ => continue,
            };
            text.push_str(&value.text);
            of = Some(if value.text == "null" {
                of.unwrap_or(Type::Any)
            } else {
                match of {
                    Some(of) => either(of, value.of),
                    None => value.of,
                }
            });
        }
        Ok(Sql::atom(format!("{text} end"), of.unwrap_or(Type::Any)))
    }

    /// `in(list, value)`.
    pub(super) fn is_among(&self, list: &Expr, value: &Expr) -> Made {
        let value = self.sql(value)?;
        match &list.kind {
            Kind::List(items) if !items.is_empty() => {
                let items = super::expression::joined(&self.all(items)?);
                Ok(Sql::new(format!("{} in ({items})", value.within(COMPARED)), COMPARED, Type::Boolean))
            }
            _ => Ok(Sql::atom(format!("array_has({}, {})", self.sql(list)?.text, value.text), Type::Boolean)),
        }
    }

    /// `contains(list, #item == value)`.
    pub(super) fn has_item(&self, list: &Expr, test: &Expr, span: Span) -> Made {
        if let Kind::Binary("==", left, right) = &test.kind {
            let is_item = |side: &Expr| side.kind == Kind::Item("item".to_owned());
            let value = if is_item(left) { Some(right) } else { is_item(right).then_some(left) };
            if let Some(value) = value {
                return Ok(Sql::atom(
                    format!("array_has({}, {})", self.sql(list)?.text, self.sql(value)?.text),
                    Type::Boolean,
                ));
            }
        }
        Err(Gap::new(
            span,
            "asks a condition of each element of a list, which has no counterpart but for `#item == value`",
        )
        .hinted("make rows of the elements with a `flatten` node"))
    }

    /// `split(text, between)[n]` and the like: lists count from 1 in both.
    pub(super) fn part_at(&self, list: &Expr, index: &Expr) -> Made {
        Ok(element(&self.sql(list)?, &self.sql(index)?))
    }

    /// Texts one after the other; null if one is.
    pub(super) fn concatenated(&self, arguments: &[Expr], span: Span) -> Made {
        let mut parts = Vec::new();
        for argument in arguments {
            let part = self.as_text(self.sql(argument)?, span)?;
            parts.push(if part.strength == ADDED { part.text } else { part.within(ADDED) });
        }
        match parts.as_slice() {
            [] => Ok(Sql::atom(literal(""), Type::Text)),
            [only] => Ok(Sql::atom(only.clone(), Type::Text)),
            parts => Ok(Sql::new(parts.join(" || "), ADDED, Type::Text)),
        }
    }
}

/// What is known of a value that is either.
fn either(one: Type, other: Type) -> Type {
    match (&one, &other) {
        (Type::Any, _) => other,
        (_, Type::Any) => one,
        _ => common(one, other),
    }
}

/// A length of time: whether it is taken away, how many, and of what.
fn intervals(expr: &Expr) -> Option<Vec<(bool, i64, &'static str)>> {
    match &expr.kind {
        Kind::Call { name, arguments } => {
            let unit = match name.as_str() {
                "weeks" => "week",
                "days" => "day",
                "hours" => "hour",
                "minutes" => "minute",
                "seconds" => "second",
                "milliseconds" => "millisecond",
                _ => return None,
            };
            let [count] = arguments.as_slice() else { return None };
            Some(vec![(false, count.as_integer()?, unit)])
        }
        Kind::Binary(operator @ ("+" | "-"), left, right) => {
            let mut lengths = intervals(left)?;
            lengths.extend(
                intervals(right)?
                    .into_iter()
                    .map(|(negative, count, unit)| (negative != (*operator == "-"), count, unit)),
            );
            Some(lengths)
        }
        _ => None,
    }
}
