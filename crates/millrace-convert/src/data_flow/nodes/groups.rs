//! What puts rows together: groups, windows, and columns of values.

use serde_json::{Value, json};

use super::super::expression::{Gap, Over, Scope, quote};
use super::super::patterns;
use super::super::script::{Expr, Kind, Transformation, Type};
use super::super::stream::{Column, Stream};
use super::columns::{matched, names};
use super::rows::plain_column;
use super::{Builder, Work, over, values};
use crate::yaml_out::Map;

impl Builder<'_> {
    /// The columns of `groupBy(…)`, `over(…)` or `pivotBy(…)`; those that are computed get a node before.
    fn keys(
        &mut self,
        step: &Transformation,
        word: &str,
        input: &(String, Stream),
        work: &mut Work,
    ) -> (Vec<Column>, String) {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let (mut keys, mut computed) = (Vec::new(), Map::default());
        for argument in Expr::call(&step.arguments, word).unwrap_or_default() {
            let (name, value) = match &argument.kind {
                Kind::Assign(name, value) => (name.as_name().map(|(_, name)| name.to_owned()), &**value),
                Kind::List(_) => continue,
                _ => (argument.as_name().map(|(_, name)| name.to_owned()), argument),
            };
            let what = format!("a key of `{}`", step.name);
            let Some(name) = name else {
                self.gap(&what, &Gap::new(argument.span, "has no name"), work);
                continue;
            };
            let sql = self.value(&scope, value, &what, work);
            let ours = match plain_column(&scope, value) {
                Some(plain) if plain == name || matches!(argument.kind, Kind::Name { .. }) => plain,
                _ => {
                    computed.put(&name, sql.text);
                    name.clone()
                }
            };
            keys.push(Column { ours, ..Column::new(&name, sql.of, &step.name) });
        }
        let from = match computed.has_fields() {
            true => self.node(&format!("{} keys", step.name), "derive", computed, &[&input.1.port], work),
            false => input.1.port.clone(),
        };
        (keys, from)
    }

    pub(super) fn aggregate(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let (keys, from) = self.keys(step, "groupBy", input, work);
        let by: Vec<String> = keys.iter().map(|key| key.ours.clone()).collect();
        let mut stream = Stream { columns: keys, ..Stream::default() };
        let mut made = Map::default();
        for (name, sql) in self.over_several(step, input, Over::Group, &by, work) {
            made.put(&name, sql.text);
            stream.put(&name, &name, sql.of, &step.name);
        }
        let mut config = Map::default();
        if !by.is_empty() {
            config.put("by", names(&by));
        }
        config.put("values", made);
        let port = self.node(&step.name, "aggregate", config, &[&from], work);
        Some(Stream { port, ..stream })
    }

    /// The columns that aggregates or windows make, those of patterns written out.
    fn over_several(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        what: Over,
        but: &[String],
        work: &mut Work,
    ) -> Vec<(String, super::Sql)> {
        let parameters = self.parameters();
        let mut made = Vec::new();
        for argument in values(step) {
            if let Some(pattern) = argument.called("each") {
                let Some(([condition], makes)) = matched(pattern) else {
                    self.gap(
                        &format!("a pattern of `{}`", step.name),
                        &Gap::new(argument.span, "is over the fields of a struct"),
                        work,
                    );
                    continue;
                };
                if input.1.open {
                    self.changed(
                        argument.span,
                        &format!(
                            "a pattern of `{}` is written out for the columns that the file names",
                            step.name
                        ),
                        work,
                    );
                }
                for (place, column) in input.1.columns.iter().enumerate() {
                    for (name, value) in &makes {
                        let (wanted, name) =
                            (patterns::holds(condition, column, place + 1), patterns::named(name, column));
                        let (Some(wanted), Some(name)) = (wanted, name) else {
                            self.gap(
                                &format!("a pattern of `{}`", step.name),
                                &Gap::new(condition.span, "asks what is not known of columns here"),
                                work,
                            );
                            continue;
                        };
                        if wanted && !but.contains(&name) {
                            let scope = Scope { matched: Some(column), ..over(input, &parameters, what) };
                            let sql = self.value(
                                &scope,
                                value,
                                &format!("the column `{name}` of `{}`", step.name),
                                work,
                            );
                            made.push((name, sql));
                        }
                    }
                }
                continue;
            }
            let Kind::Assign(name, value) = &argument.kind else { continue };
            let Some((_, name)) = name.as_name() else {
                self.gap(
                    &format!("a column of `{}`", step.name),
                    &Gap::new(argument.span, "has a name that is computed"),
                    work,
                );
                continue;
            };
            let scope = over(input, &parameters, what);
            let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
            made.push((name.to_owned(), sql));
        }
        made
    }

    /// Functions over windows are columns of a `window`; what is made of them, or replaces a column, is derived after it.
    pub(super) fn window(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let (keys, from) = self.keys(step, "over", input, work);
        let order = self.order(step, input, work);
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Window);
        let mut stream = input.1.clone();
        let (mut functions, mut derived) = (Map::default(), Map::default());
        let mut made = Vec::new();
        for argument in values(step) {
            if argument.called("each").is_some() {
                let gap = Gap::new(argument.span, "is over windows");
                self.gap(&format!("a pattern of `{}`", step.name), &gap, work);
            }
            let Kind::Assign(name, value) = &argument.kind else { continue };
            let Some((_, name)) = name.as_name() else { continue };
            let before = scope.hoisted.borrow().len();
            let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
            let hoisted = scope.hoisted.borrow().clone();
            let whole =
                hoisted.last().filter(|(column, _)| hoisted.len() == before + 1 && sql.text == quote(column));
            let column =
                (name.to_owned(), sql.clone(), whole.is_some() && input.1.find(None, name).is_none());
            if column.2 {
                // The function is all of it: the column is the window's own.
                let mut hoisted = scope.hoisted.borrow_mut();
                if let Some((_, function)) = hoisted.pop() {
                    functions.put(name, function);
                    hoisted.push((String::new(), String::new()));
                }
            }
            made.push(column);
        }
        let mut temporary: Vec<String> = Vec::new();
        for (column, function) in scope.hoisted.borrow().iter().filter(|(column, _)| !column.is_empty()) {
            functions.put(column, function.as_str());
            temporary.push(column.clone());
        }
        for (name, sql, own) in made {
            let ours = input.1.find(None, &name).map_or_else(|| name.clone(), |column| column.ours.clone());
            if !own {
                derived.put(&ours, sql.text);
            }
            stream.put(&name, &ours, sql.of, &step.name);
        }
        let mut config = Map::default();
        let by: Vec<String> = keys.into_iter().map(|key| key.ours).collect();
        if !by.is_empty() {
            config.put("by", names(&by));
        }
        if !order.is_empty() {
            config.put("order", json!(order));
        }
        if let Some(frame) = self.frame(step, work) {
            config.put("frame", frame);
        }
        if !functions.has_fields() {
            let gap = Gap::new(step.span, "has no function over its windows that can be said");
            self.gap(&format!("`{}`", step.name), &gap, work);
            return Some(stream.through(&step.name, from));
        }
        config.put("columns", functions);
        let mut port = self.node(&step.name, "window", config, &[&from], work);
        if derived.has_fields() {
            port = self.node(&format!("{} derived", step.name), "derive", derived, &[&port], work);
        }
        if !temporary.is_empty() {
            port = self.node(
                &format!("{} columns", step.name),
                "select",
                json!({"drop": temporary}),
                &[&port],
                work,
            );
        }
        Some(stream.through(&step.name, port))
    }

    fn frame(&mut self, step: &Transformation, work: &mut Work) -> Option<String> {
        let (from, to) = (
            Expr::setting(&step.arguments, "startRowOffset"),
            Expr::setting(&step.arguments, "endRowOffset"),
        );
        if from.is_none() && to.is_none() {
            return None;
        }
        let mut edge = |expr: Option<&Expr>, unbounded: &str| match expr.map(|expr| (expr, expr.as_integer()))
        {
            None => unbounded.to_owned(),
            Some((_, Some(0))) => "current row".to_owned(),
            Some((_, Some(rows))) if rows < 0 => format!("{} preceding", rows.unsigned_abs()),
            Some((_, Some(rows))) => format!("{rows} following"),
            Some((expr, None)) => {
                self.gap(
                    &format!("the range of `{}`", step.name),
                    &Gap::new(expr.span, "is no constant"),
                    work,
                );
                unbounded.to_owned()
            }
        };
        let (from, to) = (edge(from, "unbounded preceding"), edge(to, "unbounded following"));
        Some(format!("rows between {from} and {to}"))
    }

    pub(super) fn pivot(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let (keys, from) = self.keys(step, "groupBy", input, work);
        let (column, from) =
            self.keys(step, "pivotBy", &(input.0.clone(), Stream { port: from, ..input.1.clone() }), work);
        let column = column.into_iter().next()?;
        let wanted =
            Expr::call(&step.arguments, "pivotBy")?.iter().find_map(|argument| match &argument.kind {
                Kind::List(items) => Some(items.as_slice()),
                _ => None,
            });
        let wanted: Option<Vec<Value>> = wanted.map(|items| {
            let value =
                |item: &Expr| item.as_text().map(Value::from).or_else(|| item.as_integer().map(Value::from));
            items.iter().filter_map(value).collect()
        });
        let naming = Expr::setting(&step.arguments, "columnNaming")
            .and_then(Expr::as_text)
            .unwrap_or("$N$V")
            .to_owned();
        let made = self.over_several(step, input, Over::Group, &[], work);
        let [(name, sql)] = made.as_slice() else {
            self.gap(
                &format!("`{}`", step.name),
                &Gap::new(step.span, "makes several columns of each value")
                    .hinted("write a `pivot` for each, and join them"),
                work,
            );
            return Some(input.1.through(&step.name, from));
        };
        let (prefix, suffix) = naming.split_once("$V").unwrap_or((&naming, ""));
        let (prefix, suffix) = (prefix.replace("$N", name), suffix.replace("$N", name));
        let by: Vec<String> = keys.iter().map(|key| key.ours.clone()).collect();
        if by.is_empty() || !suffix.is_empty() && wanted.is_none() {
            self.gap(
                &format!("`{}`", step.name),
                &Gap::new(step.span, "has no `groupBy`, or names that end with more than the value"),
                work,
            );
            return Some(input.1.through(&step.name, from));
        }
        let mut config = Map::default();
        config.put("by", names(&by));
        config.put("column", column.ours.as_str());
        let mut stream = Stream { columns: keys, open: wanted.is_none(), ..Stream::default() };
        let mut rename = Map::default();
        if let Some(wanted) = wanted {
            for value in &wanted {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let whole = format!("{prefix}{text}{suffix}");
                stream.put(&whole, &whole, sql.of.clone(), &step.name);
                rename.put(&format!("{prefix}{text}"), whole);
            }
            config.put("values", Value::Array(wanted));
        }
        config.put("aggregate", sql.text.as_str());
        if !prefix.is_empty() {
            config.put("prefix", prefix);
        }
        let mut port = self.node(&step.name, "pivot", config, &[&from], work);
        if !suffix.is_empty() {
            let mut config = Map::default();
            config.put("rename", rename);
            port = self.node(&format!("{} names", step.name), "select", config, &[&port], work);
        }
        Some(Stream { port, ..stream })
    }

    pub(super) fn unpivot(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let (keys, from) = self.keys(step, "ungroupBy", input, work);
        let made: Vec<(String, Type)> = Expr::call(&step.arguments, "output")?
            .iter()
            .filter_map(|argument| match &argument.kind {
                Kind::Declared(column) => Some((column.name.clone(), column.of.clone())),
                _ => None,
            })
            .collect();
        let [(name, name_type), (value, value_type)] = made.as_slice() else {
            self.gap(
                &format!("`{}`", step.name),
                &Gap::new(step.span, "makes several columns of values"),
                work,
            );
            return Some(input.1.through(&step.name, from));
        };
        if input.1.open {
            self.changed(
                step.span,
                &format!(
                    "`{}` is written out for the columns that the file names; others are repeated",
                    step.name
                ),
                work,
            );
        }
        let columns: Vec<String> = input
            .1
            .columns
            .iter()
            .map(|column| column.ours.clone())
            .filter(|ours| !keys.iter().any(|key| key.ours == *ours))
            .collect();
        let mut config = Map::default();
        config.put("columns", json!(columns));
        config.put("name", name.as_str());
        config.put("value", value.as_str());
        let drops =
            Expr::setting(&step.arguments, "ignoreNullPivots").and_then(Expr::as_bool).unwrap_or(false);
        if drops {
            config.put("nulls", "drop");
        }
        let mut port = self.node(&step.name, "unpivot", config, &[&from], work);
        if let Some(word) = super::super::expression::type_word(name_type).filter(|word| word != "string") {
            let mut columns = Map::default();
            columns.put(name, word);
            let mut config = Map::default();
            config.put("columns", columns);
            config.put("on_error", "null");
            port = self.node(&format!("{} names", step.name), "cast", config, &[&port], work);
        }
        let mut stream = Stream { columns: keys, open: input.1.open, port, ..Stream::default() };
        stream.put(name, name, name_type.clone(), &step.name);
        stream.put(value, value, value_type.clone(), &step.name);
        Some(stream)
    }
}
