//! Expressions over the columns of one relation.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Sort, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable as _, Like, Operator};

use super::casts::{Unfit, cast};
use super::types::{interval, is_decimal, is_interval, literal, word};
use super::{Translated, Untranslated, aggregates, functions, patterns, text};
use crate::engine::failure::words;

/// The columns that an expression may name, and how each is called.
pub(super) struct Scope<'a> {
    schema: &'a DFSchema,
    columns: &'a [String],
}

impl<'a> Scope<'a> {
    pub(super) fn of(schema: &'a DFSchema, columns: &'a [String]) -> Self {
        Self { schema, columns }
    }

    pub(super) fn type_of(&self, expression: &Expr) -> Result<DataType, Untranslated> {
        expression.get_type(self.schema).map_err(|error| Untranslated::new(words(&error)))
    }

    pub(super) fn expressions(&self, all: &[Expr]) -> Result<Vec<String>, Untranslated> {
        all.iter().map(|one| self.expression(one)).collect()
    }

    /// An expression for one row.
    pub(super) fn expression(&self, expression: &Expr) -> Translated {
        let of = |inner: &Expr, words: &str| Ok(format!("({} {words})", self.expression(inner)?));
        match expression {
            Expr::Alias(alias) => self.expression(&alias.expr),
            Expr::Column(column) => {
                let at =
                    self.schema.index_of_column(column).map_err(|error| Untranslated::new(words(&error)))?;
                self.columns
                    .get(at)
                    .cloned()
                    .ok_or_else(|| Untranslated::new(format!("there is no column `{column}`")))
            }
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Like(like) => self.like(like),
            Expr::Not(inner) => Ok(format!("(not {})", self.expression(inner)?)),
            Expr::IsNull(inner) => of(inner, "is null"),
            Expr::IsNotNull(inner) => of(inner, "is not null"),
            Expr::IsTrue(inner) => of(inner, "is true"),
            Expr::IsFalse(inner) => of(inner, "is false"),
            Expr::IsUnknown(inner) => of(inner, "is null"),
            Expr::IsNotTrue(inner) => of(inner, "is not true"),
            Expr::IsNotFalse(inner) => of(inner, "is not false"),
            Expr::IsNotUnknown(inner) => of(inner, "is not null"),
            Expr::Negative(inner) => Ok(format!("(- {})", self.expression(inner)?)),
            Expr::Between(between) => {
                let not = if between.negated { "not " } else { "" };
                let (value, low, high) = (
                    self.expression(&between.expr)?,
                    self.expression(&between.low)?,
                    self.expression(&between.high)?,
                );
                Ok(format!("({value} {not}between {low} and {high})"))
            }
            Expr::InList(list) => {
                let not = if list.negated { "not " } else { "" };
                let items = self.expressions(&list.list)?.join(", ");
                Ok(format!("({} {not}in ({items}))", self.expression(&list.expr)?))
            }
            Expr::Case(case) => self.case(case),
            Expr::Cast(inner) => {
                let from = self.type_of(&inner.expr)?;
                cast(&self.expression(&inner.expr)?, &from, inner.field.data_type(), Unfit::Fails)
            }
            Expr::TryCast(inner) => {
                let from = self.type_of(&inner.expr)?;
                cast(&self.expression(&inner.expr)?, &from, inner.field.data_type(), Unfit::Null)
            }
            Expr::ScalarFunction(call) => functions::scalar(self, call, expression),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                Err(Untranslated::new("a query within this expression is not translated")
                    .hinted("write it as a join"))
            }
            other => Err(Untranslated::new(format!("`{other}` is not translated"))),
        }
    }

    /// An aggregate of a group.
    pub(super) fn aggregate(&self, expression: &Expr) -> Translated {
        match expression {
            Expr::Alias(alias) => self.aggregate(&alias.expr),
            Expr::AggregateFunction(AggregateFunction { func, params }) => {
                aggregates::call(self, func.name(), params, &self.type_of(expression)?)
            }
            other => Err(Untranslated::new(format!("`{other}` is no aggregate that is translated"))),
        }
    }

    /// A function over a window.
    pub(super) fn window(&self, expression: &Expr) -> Translated {
        match expression {
            Expr::Alias(alias) => self.window(&alias.expr),
            Expr::WindowFunction(call) => {
                let WindowFunction { fun, params } = call.as_ref();
                aggregates::window(self, fun, params, &self.type_of(expression)?)
            }
            other => Err(Untranslated::new(format!("`{other}` is no window function that is translated"))),
        }
    }

    /// The list after `order by`.
    pub(super) fn order(&self, all: &[Sort]) -> Result<Vec<String>, Untranslated> {
        all.iter()
            .map(|sort| {
                let direction = if sort.asc { "asc" } else { "desc" };
                let nulls = if sort.nulls_first { "first" } else { "last" };
                Ok(format!("{} {direction} nulls {nulls}", self.expression(&sort.expr)?))
            })
            .collect()
    }

    fn case(&self, case: &Case) -> Translated {
        let mut sql = "case".to_owned();
        if let Some(of) = &case.expr {
            sql += &format!(" {}", self.expression(of)?);
        }
        for (when, then) in &case.when_then_expr {
            sql += &format!(" when {} then {}", self.expression(when)?, self.expression(then)?);
        }
        if let Some(otherwise) = &case.else_expr {
            sql += &format!(" else {}", self.expression(otherwise)?);
        }
        Ok(sql + " end")
    }

    fn like(&self, like: &Like) -> Translated {
        if like.escape_char.is_some_and(|letter| letter != '\\') {
            return Err(Untranslated::new("`like` with another escape than `\\`"));
        }
        let not = if like.negated { "not " } else { "" };
        let word = if like.case_insensitive { "ilike" } else { "like" };
        Ok(format!("({} {not}{word} {})", self.expression(&like.expr)?, self.expression(&like.pattern)?))
    }

    fn binary(&self, binary: &BinaryExpr) -> Translated {
        let (left, right) = (self.type_of(&binary.left)?, self.type_of(&binary.right)?);
        if is_interval(&right) || is_interval(&left) {
            return self.moved(binary);
        }
        let (l, r) = (self.expression(&binary.left)?, self.expression(&binary.right)?);
        let infix = |word: &str| Ok(format!("({l} {word} {r})"));
        match binary.op {
            Operator::Eq => infix("="),
            Operator::NotEq => infix("<>"),
            Operator::Lt => infix("<"),
            Operator::LtEq => infix("<="),
            Operator::Gt => infix(">"),
            Operator::GtEq => infix(">="),
            Operator::And => infix("and"),
            Operator::Or => infix("or"),
            Operator::IsDistinctFrom => Ok(format!("(not ({l} <=> {r}))")),
            Operator::IsNotDistinctFrom => infix("<=>"),
            Operator::StringConcat => infix("||"),
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                let kind = binary_type(self, binary)?;
                arithmetic(binary, (&l, &r), &left, &kind)
            }
            Operator::RegexMatch | Operator::RegexNotMatch => {
                let pattern = text(&patterns::both(&constant_text(&binary.right)?)?);
                let not = if binary.op == Operator::RegexNotMatch { "not " } else { "" };
                Ok(format!("({l} {not}rlike {pattern})"))
            }
            other => Err(Untranslated::new(format!("the operator `{other}` is not translated"))),
        }
    }

    /// A time, and an interval that is added to it.
    fn moved(&self, binary: &BinaryExpr) -> Translated {
        let (time, by) = match (&*binary.left, &*binary.right) {
            (time, Expr::Literal(by, _)) => (time, by),
            (Expr::Literal(by, _), time) if binary.op == Operator::Plus => (time, by),
            _ => {
                return Err(Untranslated::new("an interval that is computed")
                    .hinted("add an interval that is written out: `time + interval '1 day'`"));
            }
        };
        let sign = match binary.op {
            Operator::Plus => "+",
            Operator::Minus => "-",
            other => return Err(Untranslated::new(format!("`{other}` with an interval is not translated"))),
        };
        let kind = self.type_of(time)?;
        if !matches!(kind, DataType::Date32 | DataType::Timestamp(..)) {
            return Err(Untranslated::new(format!("an interval and the type {kind}")));
        }
        let result = word(&binary_type(self, binary)?)?;
        let mut sql = self.expression(time)?;
        if result != word(&kind)? {
            sql = format!("cast({sql} as {result})");
        }
        let (months, days) = interval(by)?;
        for part in [months, days].into_iter().flatten() {
            sql = format!("({sql} {sign} {part})");
        }
        // A date and a time of day are a time over there.
        Ok(if kind == DataType::Date32 { format!("cast({sql} as {result})") } else { sql })
    }
}

fn binary_type(scope: &Scope<'_>, binary: &BinaryExpr) -> Result<DataType, Untranslated> {
    scope.type_of(&Expr::BinaryExpr(binary.clone()))
}

fn arithmetic(binary: &BinaryExpr, (l, r): (&str, &str), left: &DataType, kind: &DataType) -> Translated {
    let op = binary.op;
    if !(kind.is_integer() || kind.is_floating() || is_decimal(kind)) {
        return Err(Untranslated::new(format!("`{op}` that gives {kind} is not translated")));
    }
    if kind.is_unsigned_integer() && op == Operator::Minus {
        return Err(Untranslated::new("a difference of numbers without a sign may be negative there")
            .hinted("cast one side to bigint"));
    }
    if is_decimal(kind) {
        if matches!(op, Operator::Divide | Operator::Modulo) {
            return Err(Untranslated::new("a division of decimals is rounded in another way")
                .hinted("cast one side to double"));
        }
        return Ok(format!("cast(({l} {op} {r}) as {})", word(kind)?));
    }
    let is_zero = matches!(&*binary.right, Expr::Literal(value, _) if is_zero(value));
    let is_number = matches!(&*binary.right, Expr::Literal(value, _) if !value.is_null()) && !is_zero;
    Ok(match op {
        Operator::Divide if left.is_integer() => {
            let whole = format!("({l} div {r})");
            if *kind == DataType::Int64 { whole } else { format!("cast({whole} as {})", word(kind)?) }
        }
        // Infinite or not a number, where Spark has an error; what is not chosen may be computed nevertheless.
        Operator::Divide if !is_number => {
            format!(
                "(case when {r} = 0 then {l} * cast('Infinity' as {}) else {l} / nullif({r}, 0) end)",
                word(kind)?
            )
        }
        Operator::Modulo if left.is_floating() && !is_number => {
            format!("(case when {r} = 0 then cast('NaN' as {}) else {l} % {r} end)", word(kind)?)
        }
        _ => format!("({l} {op} {r})"),
    })
}

fn is_zero(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(value)) => *value == 0.0,
        ScalarValue::Float32(Some(value)) => *value == 0.0,
        _ => false,
    }
}

/// The text that is written out here.
pub(super) fn constant_text(expression: &Expr) -> Translated {
    match expression {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Ok(text.clone()),
        Expr::Alias(alias) => constant_text(&alias.expr),
        Expr::Cast(cast) => constant_text(&cast.expr),
        other => Err(Untranslated::new(format!("`{other}` has to be a text that is written out"))),
    }
}
