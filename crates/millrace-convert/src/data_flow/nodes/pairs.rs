//! What brings two streams together.

use serde_json::json;

use super::super::expression::{Gap, Over, Scope};
use super::super::script::{Expr, Kind, Transformation};
use super::super::stream::{Column, Stream};
use super::{Builder, Work, values};
use crate::names::name_of;
use crate::yaml_out::Map;

type Side = (String, Stream);

/// A scope over both sides, which are called `l` and `r` here.
fn both<'a>(
    left: &'a Side,
    right: &'a Side,
    parameters: &'a indexmap::IndexMap<String, (String, super::Type)>,
) -> Scope<'a> {
    Scope {
        over: Over::Row,
        ..Scope::new(vec![(&left.0, &left.1, "l."), (&right.0, &right.1, "r.")], parameters)
    }
}

impl Builder<'_> {
    pub(super) fn join(
        &mut self,
        step: &Transformation,
        left: &Side,
        right: &Side,
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = both(left, right, &parameters);
        let kind = Expr::setting(&step.arguments, "joinType")
            .and_then(Expr::as_text)
            .unwrap_or("inner")
            .to_lowercase();
        let condition = values(step).next().map(|condition| {
            self.condition(&scope, condition, &format!("the condition of `{}`", step.name), work).text
        });
        let how = match (kind.as_str(), &condition) {
            ("cross", None) => "cross",
            ("inner" | "cross", _) => "inner",
            ("left", _) => "left",
            ("right", _) => "right",
            ("outer" | "full", _) => "full",
            (other, _) => {
                self.gap(
                    &format!("`{}`", step.name),
                    &Gap::new(step.span, format!("is a join of the kind `{other}`")),
                    work,
                );
                "inner"
            }
        };
        let mut config = Map::default();
        if how != "inner" {
            config.put("how", how);
        }
        if let Some(condition) = condition {
            config.put("where", condition);
        }
        let suffix = format!("_{}", name_of(&right.0));
        let stream = self.side_by_side(step, left, right, &suffix, &mut config);
        let port = self.node(&step.name, "join", config, &[&left.1.port, &right.1.port], work);
        Some(stream.through(&step.name, port))
    }

    /// The columns of both; those of the right whose names the left has get the stream's name behind theirs.
    fn side_by_side(
        &self,
        _: &Transformation,
        left: &Side,
        right: &Side,
        suffix: &str,
        config: &mut Map,
    ) -> Stream {
        let mut stream = left.1.clone();
        stream.open |= right.1.open;
        stream.marks.extend(right.1.marks.iter().cloned());
        for column in &mut stream.columns {
            column.streams.push(left.0.clone());
        }
        let mut renamed = left.1.open && right.1.open;
        for column in &right.1.columns {
            let taken = left.1.columns.iter().any(|known| known.ours == column.ours);
            renamed |= taken;
            let ours = if taken { format!("{}{suffix}", column.ours) } else { column.ours.clone() };
            let mut column = Column { ours, ..column.clone() };
            column.streams.push(right.0.clone());
            stream.columns.push(column);
        }
        if renamed {
            config.put("suffix", suffix);
        }
        stream
    }

    pub(super) fn exists(
        &mut self,
        step: &Transformation,
        left: &Side,
        right: &Side,
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = both(left, right, &parameters);
        let negated = Expr::setting(&step.arguments, "negate").and_then(Expr::as_bool).unwrap_or(false);
        let condition = values(step).next()?;
        let condition = self.condition(&scope, condition, &format!("the condition of `{}`", step.name), work);
        let mut config = Map::default();
        config.put("how", if negated { "anti" } else { "semi" });
        config.put("where", condition.text);
        let port = self.node(&step.name, "join", config, &[&left.1.port, &right.1.port], work);
        Some(left.1.through(&step.name, port))
    }

    /// With several matches a left join; else one of them.
    pub(super) fn lookup(
        &mut self,
        step: &Transformation,
        left: &Side,
        right: &Side,
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = both(left, right, &parameters);
        let condition =
            values(step).find(|value| value.called("asc").is_none() && value.called("desc").is_none())?;
        let suffix = format!("_{}", name_of(&right.0));
        let several = Expr::setting(&step.arguments, "multiple").and_then(Expr::as_bool).unwrap_or(true);
        let mut config = Map::default();
        if several {
            config.put("how", "left");
            let condition =
                self.condition(&scope, condition, &format!("the condition of `{}`", step.name), work);
            config.put("where", condition.text);
            let stream = self.side_by_side(step, left, right, &suffix, &mut config);
            let port = self.node(&step.name, "join", config, &[&left.1.port, &right.1.port], work);
            return Some(stream.through(&step.name, port));
        }
        let mut on = Map::default();
        if !equalities(condition, left, right, &mut on) || right.1.open && right.1.columns.is_empty() {
            let gap =
                Gap::new(condition.span, "takes one match by a condition that is no equality of columns");
            self.gap(&format!("the lookup `{}`", step.name), &gap, work);
            return Some(left.1.through(&step.name, left.1.port.clone()));
        }
        config.put("on", on);
        let pickup = Expr::setting(&step.arguments, "pickup").and_then(Expr::as_text).unwrap_or("any");
        let order = self.order(step, right, work);
        let order: Vec<&String> = order.iter().filter(|entry| !entry.ends_with(" is null desc")).collect();
        if matches!(pickup, "first" | "last") && !order.is_empty() {
            config.put("match", pickup);
            config.put("order", json!(order));
        } else if pickup != "any" {
            self.changed(
                step.span,
                &format!("the lookup `{}` takes any match: it has no order", step.name),
                work,
            );
        }
        let columns: Vec<&str> = right.1.columns.iter().map(|column| column.ours.as_str()).collect();
        config.put("columns", json!(columns));
        let stream = self.side_by_side(step, left, right, &suffix, &mut config);
        let port = self.node(&step.name, "lookup", config, &[&left.1.port, &right.1.port], work);
        Some(stream.through(&step.name, port))
    }
}

/// Whether a condition is made of equal columns alone; puts left to right.
fn equalities(condition: &Expr, left: &Side, right: &Side, on: &mut Map) -> bool {
    match &condition.kind {
        Kind::Binary("&&", one, other) => {
            equalities(one, left, right, on) && equalities(other, left, right, on)
        }
        Kind::Binary("==", one, other) => {
            let of = |expr: &Expr, side: &Side| {
                let (stream, name) = expr.as_name()?;
                Some(side.1.find(stream, name)?.ours.clone())
            };
            let pair = of(one, left).zip(of(other, right)).or_else(|| of(other, left).zip(of(one, right)));
            let Some((one, other)) = pair else { return false };
            on.put(&one, other);
            true
        }
        _ => false,
    }
}
