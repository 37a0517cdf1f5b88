//! Functions over groups of rows and over windows.

use super::expression::{Gap, Made, Over, Scope, Sql, quote};
use super::script::{Expr, Span, Type};

/// Aggregates of one value: name in small letters, and in SQL.
const OF_ONE: &[(&str, &str)] = &[
    ("sum", "sum({})"),
    ("avg", "avg({})"),
    ("mean", "avg({})"),
    ("min", "min({})"),
    ("max", "max({})"),
    ("sumdistinct", "sum(distinct {})"),
    ("stddev", "stddev({})"),
    ("stddevsample", "stddev({})"),
    ("stddevpopulation", "stddev_pop({})"),
    ("variance", "var_samp({})"),
    ("variancesample", "var_samp({})"),
    ("variancepopulation", "var_pop({})"),
    ("skewness", "skewness({})"),
    ("kurtosis", "kurtosis({})"),
    ("collect", "array_agg({})"),
    ("collectunique", "array_agg(distinct {})"),
    ("approxdistinctcount", "approx_distinct({})"),
];

/// Functions over windows alone, without a value.
const OF_ORDER: &[(&str, &str)] = &[
    ("rank", "rank()"),
    ("denserank", "dense_rank()"),
    ("rownumber", "row_number()"),
    ("cumedist", "cume_dist()"),
];

impl Scope<'_> {
    /// A function over groups or windows, if it is one.
    pub(super) fn aggregate(&self, name: &str, arguments: &[Expr], span: Span) -> Option<Made> {
        let made =
            self.over_groups(name, arguments, span).or_else(|| self.over_windows(name, arguments, span))?;
        let made = made.and_then(|made| match self.over {
            Over::Row => Err(Gap::new(
                span,
                format!("uses `{name}`, a function over several rows, where there is one"),
            )),
            Over::Group => Ok(made),
            Over::Window => Ok(self.hoist(made)),
        });
        Some(made)
    }

    /// The values within an aggregate are those of the rows.
    fn inner(&self, expr: &Expr) -> Made {
        let rows = Scope { over: Over::Row, ..Scope::new(self.inputs.clone(), self.parameters) };
        let rows = Scope { locals: self.locals.clone(), matched: self.matched, ..rows };
        let made = rows.sql(expr);
        self.notes.borrow_mut().append(&mut rows.notes.borrow_mut());
        made
    }

    fn over_groups(&self, name: &str, arguments: &[Expr], span: Span) -> Option<Made> {
        let (plain, condition, values) = match (name.strip_suffix("if"), arguments) {
            (Some(plain), [condition, values @ ..]) if name != "mapif" => (plain, Some(condition), values),
            _ => (name, None, arguments),
        };
        let made = match (plain, values) {
            ("count" | "countall", []) => Ok(("count(*)".to_owned(), Type::Integer("long"))),
            ("count", [value]) => {
                self.inner(value).map(|value| (format!("count({})", value.text), Type::Integer("long")))
            }
            ("countall", [_]) => Ok(("count(*)".to_owned(), Type::Integer("long"))),
            ("countdistinct", [value]) => self
                .inner(value)
                .map(|value| (format!("count(distinct {})", value.text), Type::Integer("long"))),
            ("first" | "last", [value] | [value, _]) => {
                self.first(plain, value, values.get(1), condition, span)
            }
            ("covariancepopulation" | "covariancesample", [one, other]) => {
                let ours = if plain.ends_with("sample") { "covar_samp" } else { "covar_pop" };
                let both = self.inner(one).and_then(|one| Ok((one, self.inner(other)?)));
                both.map(|(one, other)| {
                    (format!("{ours}({}, {})", one.text, other.text), Type::Float("double"))
                })
            }
            (_, [value]) => {
                let (_, template) = OF_ONE.iter().find(|(known, _)| *known == plain)?;
                self.inner(value).map(|value| {
                    let of = match plain {
                        "min" | "max" | "sum" | "sumdistinct" => value.of,
                        "collect" | "collectunique" => Type::List(Box::new(value.of)),
                        "approxdistinctcount" => Type::Integer("long"),
                        _ => Type::Float("double"),
                    };
                    (template.replace("{}", &value.text), of)
                })
            }
            _ => return None,
        };
        let made = made.and_then(|(text, of)| {
            let filter = match condition.filter(|_| !matches!(plain, "first" | "last")) {
                Some(condition) => format!(" filter (where {})", self.inner(condition)?.text),
                None => String::new(),
            };
            Ok(Sql::atom(format!("{text}{filter}"), of))
        });
        Some(made)
    }

    fn first(
        &self,
        plain: &str,
        value: &Expr,
        skips_nulls: Option<&Expr>,
        condition: Option<&Expr>,
        span: Span,
    ) -> Result<(String, Type), Gap> {
        let value = self.inner(value)?;
        let skips = skips_nulls.map_or(Some(false), Expr::as_bool);
        let Some(skips) = skips else { return Err(Gap::new(span, "skips nulls by a computed condition")) };
        let mut conditions = Vec::new();
        if let Some(condition) = condition {
            conditions.push(self.inner(condition)?.alone());
        }
        let over_window = self.over == Over::Window;
        if skips && !over_window {
            conditions.push(format!("{} is not null", value.alone()));
        }
        let nulls = if skips && over_window { " ignore nulls" } else { "" };
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" filter (where {})", conditions.join(" and "))
        };
        if !over_window {
            self.note(span, format!("`{plain}` of a group without an order takes any of its values"));
        }
        Ok((format!("{plain}_value({}){nulls}{filter}", value.text), value.of))
    }

    fn over_windows(&self, name: &str, arguments: &[Expr], span: Span) -> Option<Made> {
        if let (Some((_, ours)), []) = (OF_ORDER.iter().find(|(known, _)| *known == name), arguments) {
            let of = if name == "cumedist" { Type::Float("double") } else { Type::Integer("integer") };
            return Some(self.only_over_windows(name, Ok(Sql::atom(*ours, of)), span));
        }
        let made = match (name, arguments) {
            ("ntile", [count]) => self
                .inner(count)
                .map(|count| Sql::atom(format!("ntile({})", count.text), Type::Integer("integer"))),
            ("lag" | "lead", [value, rest @ ..]) if rest.len() < 3 => self.inner(value).and_then(|value| {
                let mut parts = vec![value.text];
                for part in rest {
                    parts.push(self.inner(part)?.text);
                }
                Ok(Sql::atom(format!("{name}({})", parts.join(", ")), value.of))
            }),
            _ => return None,
        };
        Some(self.only_over_windows(name, made, span))
    }

    fn only_over_windows(&self, name: &str, made: Made, span: Span) -> Made {
        if self.over == Over::Group {
            return Err(Gap::new(span, format!("uses `{name}`, which is for windows, over groups")));
        }
        made
    }

    /// A column for a function over windows; the same one for the same function.
    fn hoist(&self, made: Sql) -> Sql {
        let mut hoisted = self.hoisted.borrow_mut();
        let known = hoisted.iter().find(|(_, function)| *function == made.text).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let name = format!("_over_{}", hoisted.len() + 1);
            hoisted.push((name.clone(), made.text));
            name
        });
        Sql::atom(quote(&name), made.of)
    }
}
