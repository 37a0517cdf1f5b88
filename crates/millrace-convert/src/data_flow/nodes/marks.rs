//! Assertions: those that end the data flow, and those that mark rows for `isError()`.

use serde_json::json;

use super::super::expression::{Gap, Over, quote};
use super::super::script::{Expr, Transformation, Type};
use super::super::stream::Stream;
use super::rows::plain_column;
use super::{Builder, Work, over, values};
use crate::names::name_of;
use crate::yaml_out::Map;

impl Builder<'_> {
    pub(super) fn assert(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let mut stream = input.1.clone();
        let (mut rules, mut marks) = (Map::default(), Map::default());
        let mut counts: Vec<(String, Vec<String>)> = Vec::new();
        for argument in values(step) {
            let (unique, arguments) = match (argument.called("expectTrue"), argument.called("expectUnique")) {
                (Some(arguments), _) => (false, arguments),
                (_, Some(arguments)) => (true, arguments),
                _ => {
                    let gap = Gap::new(argument.span, "looks into another stream");
                    let gap = gap.hinted("a `join` node with `how: semi`");
                    self.gap(&format!("an assertion of `{}`", step.name), &gap, work);
                    continue;
                }
            };
            let [expected, rest @ ..] = arguments else { continue };
            let fails = rest.first().and_then(Expr::as_bool).unwrap_or(false);
            let id = rest.get(1).and_then(Expr::as_text).unwrap_or("assertion").to_owned();
            let what = format!("the assertion `{id}`");
            let filter = rest
                .get(2)
                .filter(|filter| filter.as_name() != Some((None, "null")) && filter.called("null").is_none());
            let message = rest.get(3).and_then(Expr::as_text);
            if rest.get(3).is_some() && message.is_none() {
                self.changed(argument.span, &format!("{what}: its message is computed there"), work);
            }
            if unique {
                let Some(column) = plain_column(&scope, expected).filter(|_| filter.is_none()) else {
                    let why = "asks for unique values of what is no column, or of some rows";
                    self.gap(&what, &Gap::new(expected.span, why), work);
                    continue;
                };
                if fails {
                    rules.put(&name_of(&id), rule(json!({"unique": column}), message));
                } else {
                    let mark = stream.fresh(&format!("_broke_{}", name_of(&id)));
                    counts.push((mark.clone(), vec![column]));
                    stream.marks.push((id, mark));
                }
                continue;
            }
            let mut condition = self.condition(&scope, expected, &what, work).text;
            if let Some(filter) = filter {
                let filter = self.condition(&scope, filter, &what, work);
                condition = format!("not coalesce({}, false) or ({condition})", filter.text);
            }
            if fails {
                rules.put(&name_of(&id), rule(json!({"expect": condition}), message));
            } else {
                let mark = stream.fresh(&format!("_broke_{}", name_of(&id)));
                marks.put(&mark, format!("not coalesce({condition}, false)"));
                stream.marks.push((id, mark));
            }
        }
        let mut port = input.1.port.clone();
        if rules.has_fields() {
            let mut config = Map::default();
            config.put("rules", rules);
            port = self.node(&step.name, "assert", config, &[&port], work);
        }
        for (mark, by) in counts {
            let config = json!({"by": by, "columns": {mark.as_str(): "count(*)"}});
            port = self.node(&format!("{} {mark} count", step.name), "window", config, &[&port], work);
            marks.put(&mark, format!("{} > 1", quote(&mark)));
        }
        if marks.has_fields() {
            port = self.node(&format!("{} marks", step.name), "derive", marks, &[&port], work);
        }
        for (_, mark) in stream.marks.clone() {
            if stream.find(None, &mark).is_none() {
                stream.put(&mark, &mark, Type::Boolean, &step.name);
            }
        }
        Some(stream.through(&step.name, port))
    }
}

fn rule(expected: serde_json::Value, message: Option<&str>) -> serde_json::Value {
    let mut rule = expected;
    if let (Some(message), Some(fields)) = (message, rule.as_object_mut()) {
        fields.insert("message".to_owned(), message.into());
    }
    rule
}
