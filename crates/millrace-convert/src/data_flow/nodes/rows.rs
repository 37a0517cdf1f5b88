//! Sources and sinks, and what keeps, orders and numbers rows.

use serde_json::{Value, json};

use super::super::expression::{Over, Scope, quote, type_word};
use super::super::formats;
use super::super::script::{Expr, Kind, Transformation, Type};
use super::super::stream::{ACT, Column, Stream};
use super::{Builder, SinkUse, SourceUse, Work, over, values};
use crate::yaml_out::Map;

impl Builder<'_> {
    pub(super) fn source(&mut self, step: &Transformation, work: &mut Work) -> Option<Stream> {
        let declared = Expr::call(&step.arguments, "output").unwrap_or_default();
        let drifts =
            Expr::setting(&step.arguments, "allowSchemaDrift").and_then(Expr::as_bool).unwrap_or(false);
        let strict =
            Expr::setting(&step.arguments, "validateSchema").and_then(Expr::as_bool).unwrap_or(false);
        let mut stream = Stream { open: drifts, ..Stream::default() };
        let (mut columns, mut parsed) = (Map::default(), Map::default());
        let mut nested = false;
        for argument in declared {
            let Kind::Declared(column) = &argument.kind else { continue };
            stream.columns.push(Column::new(&column.name, column.of.clone(), &step.name));
            let format = column.format.as_deref().filter(|format| !formats::is_iso(format));
            match (type_word(&column.of), format.map(|format| (format, formats::date(format)))) {
                (Some(_), Some((format, Some(ours))))
                    if matches!(column.of, Type::Date | Type::Timestamp) =>
                {
                    columns.put(&column.name, "string");
                    let (function, word) = if column.of == Type::Date {
                        ("to_date", "date")
                    } else {
                        ("to_timestamp", "timestamp")
                    };
                    let call = format!(
                        "cast({function}({}, '{}') as {word})",
                        quote(&column.name),
                        ours.replace('\'', "''")
                    );
                    parsed.put(&column.name, call);
                    let message = format!(
                        "the column `{}`: a text that is not as `{format}` says fails the flow here, and is null there",
                        column.name
                    );
                    self.changed(argument.span, &message, work);
                }
                (Some(word), None) => columns.put(&column.name, word),
                (Some(_), Some((format, _))) => {
                    columns.put(&column.name, "string");
                    let message = format!(
                        "the column `{}` is text here: its format `{format}` has no counterpart",
                        column.name
                    );
                    self.changed(argument.span, &message, work);
                    stream.put(&column.name, &column.name, Type::Text, &step.name);
                }
                // Lists and structs come with the types that they have.
                (None, _) => nested = true,
            }
        }
        let input = self.names.give(&step.name);
        let mut config = Map::default();
        config.put("name", input.as_str());
        if columns.has_fields() {
            config.put("columns", columns.clone());
            if strict {
                config.put("others", "fail");
            } else if !drifts {
                config.put("others", "drop");
            }
        }
        // Who declares some columns declares all.
        let plain = nested || !columns.has_fields();
        let mut port = match plain {
            true => self.node(&step.name, "source", input.as_str(), &[], work),
            false => self.node(&step.name, "source", config, &[], work),
        };
        if parsed.has_fields() {
            port = self.node(&format!("{} dates", step.name), "derive", parsed, &[&port], work);
        }
        if let Some(limit) = Expr::setting(&step.arguments, "limit").and_then(Expr::as_integer) {
            port = self.node(&format!("{} limit", step.name), "limit", json!(limit), &[&port], work);
        }
        self.sources.push(SourceUse { stream: step.name.clone(), input });
        Some(Stream { port, ..stream })
    }

    pub(super) fn filter(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let condition = values(step).next()?;
        let condition = self.condition(&scope, condition, &format!("the condition of `{}`", step.name), work);
        let port = self.node(&step.name, "filter", condition.text, &[&input.1.port], work);
        Some(input.1.through(&step.name, port))
    }

    pub(super) fn sort(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let order = self.order(step, input, work);
        let port = self.node(&step.name, "sort", json!(order), &[&input.1.port], work);
        Some(input.1.through(&step.name, port))
    }

    /// The order that `asc(…)` and `desc(…)` say. Nulls come last here, so where they come first they are ordered by themselves.
    pub(super) fn order(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Vec<String> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let any_case =
            Expr::setting(&step.arguments, "caseInsensitive").and_then(Expr::as_bool).unwrap_or(false);
        let mut order = Vec::new();
        for argument in values(step) {
            let (direction, arguments) = match (argument.called("asc"), argument.called("desc")) {
                (Some(arguments), _) => ("", arguments),
                (_, Some(arguments)) => (" desc", arguments),
                _ => continue,
            };
            let Some(by) = arguments.first() else { continue };
            let by = self.value(&scope, by, &format!("the order of `{}`", step.name), work);
            if arguments.get(1).and_then(Expr::as_bool).unwrap_or(true) {
                order.push(format!("{} is null desc", by.alone()));
            }
            let key = if any_case && by.of == Type::Text { format!("lower({})", by.text) } else { by.text };
            order.push(format!("{key}{direction}"));
        }
        order
    }

    pub(super) fn rank(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let order = self.order(step, input, work);
        let name = output_column(step)?;
        let dense = Expr::setting(&step.arguments, "dense").and_then(Expr::as_bool).unwrap_or(false);
        let mut config = Map::default();
        config.put("order", json!(order));
        if dense {
            config.put("method", "dense");
        }
        config.put("as", name.as_str());
        let port = self.node(&step.name, "rank", config, &[&input.1.port], work);
        let mut stream = input.1.through(&step.name, port);
        stream.put(&name, &name, Type::Integer("long"), &step.name);
        Some(stream)
    }

    pub(super) fn surrogate_key(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let name = output_column(step)?;
        let mut config = Map::default();
        config.put("as", name.as_str());
        let number = |key: &str| match Expr::setting(&step.arguments, key) {
            None => Ok(1),
            Some(expr) => expr.as_integer().ok_or(expr.span),
        };
        let (start, by) = (number("startAt"), number("stepValue"));
        if let Some(span) = start.err().or_else(|| by.err()) {
            let gap =
                super::super::expression::Gap::new(span, "begins with, or counts by, what is no constant");
            self.gap(&format!("the key of `{}`", step.name), &gap, work);
        }
        let (start, by) = (start.unwrap_or(1), by.unwrap_or(1));
        if start != 1 && by == 1 {
            config.put("start", json!(start));
        }
        let mut port = self.node(&step.name, "surrogate_key", config, &[&input.1.port], work);
        if by != 1 {
            let column = quote(&name);
            let mut derived = Map::default();
            derived.put(&name, format!("{start} + ({column} - 1) * {by}"));
            port = self.node(&format!("{} steps", step.name), "derive", derived, &[&port], work);
        }
        let mut stream = input.1.through(&step.name, port);
        stream.put(&name, &name, Type::Integer("long"), &step.name);
        Some(stream)
    }

    /// Parts of the first condition that holds, or, disjoint, of every condition that does.
    pub(super) fn split(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let (last, named) = step.parts.split_last()?;
        let mut conditions = Vec::new();
        for (part, condition) in named.iter().zip(values(step)) {
            let what = format!("the condition of `{}@{part}`", step.name);
            conditions.push((part, self.condition(&scope, condition, &what, work)));
        }
        let every = Expr::setting(&step.arguments, "disjoint").and_then(Expr::as_bool).unwrap_or(false);
        let mut ports = Vec::new();
        if every {
            let none: Vec<String> =
                conditions.iter().map(|(_, met)| format!("not coalesce({}, false)", met.text)).collect();
            for (part, met) in conditions {
                let port =
                    self.node(&format!("{} {part}", step.name), "filter", met.text, &[&input.1.port], work);
                ports.push((part.clone(), port));
            }
            let port = self.node(
                &format!("{} {last}", step.name),
                "filter",
                none.join(" and "),
                &[&input.1.port],
                work,
            );
            ports.push((last.clone(), port));
        } else {
            let mut parts = crate::names::Names::default();
            let (mut when, mut config) = (Map::default(), Map::default());
            let id = self.names.give(&step.name);
            for (part, met) in conditions {
                let ours = parts.give(part);
                when.put(&ours, met.text);
                ports.push((part.clone(), format!("{id}.{ours}")));
            }
            let ours = parts.give(last);
            config.put("when", when);
            config.put("otherwise", ours.as_str());
            ports.push((last.clone(), format!("{id}.{ours}")));
            self.node(&step.name, "split", config, &[&input.1.port], work);
        }
        let mut first = None;
        for (part, port) in ports {
            let stream = self.guarded_part(step, &part, input.1.through(&step.name, port), work);
            let mut stream = stream;
            for column in &mut stream.columns {
                column.streams.push(part.clone());
            }
            first.get_or_insert_with(|| stream.clone());
            self.streams.insert(format!("{}@{part}", step.name), stream);
        }
        // Nobody reads all parts as one.
        first.map(|stream| Stream { port: String::new(), ..stream })
    }

    fn guarded_part(&mut self, step: &Transformation, part: &str, stream: Stream, work: &mut Work) -> Stream {
        let part = Transformation { name: format!("{} {part}", step.name), ..step.clone() };
        self.guarded(&part, stream, work)
    }

    pub(super) fn alter_row(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let mut when = Map::default();
        let mut always = false;
        for argument in values(step) {
            for (theirs, ours) in [
                ("insertIf", "insert"),
                ("updateIf", "update"),
                ("upsertIf", "upsert"),
                ("deleteIf", "delete"),
            ] {
                let Some([condition]) = argument.called(theirs) else { continue };
                always |= condition.as_bool() == Some(true);
                let condition =
                    self.condition(&scope, condition, &format!("`{theirs}` of `{}`", step.name), work);
                when.put(ours, condition.text);
            }
        }
        if !always {
            self.changed(
                step.span,
                &format!("`{}`: rows that meet no condition are inserted here", step.name),
                work,
            );
        }
        let from = self.without(input, &[ACT], work);
        let mut config = Map::default();
        config.put("when", when);
        let port = self.node(&step.name, "alter_row", config, &[&from], work);
        Some(Stream { acts: true, ..input.1.through(&step.name, port) })
    }

    /// The rows without a column of ours, if they have it.
    fn without(&mut self, input: &(String, Stream), columns: &[&str], work: &mut Work) -> String {
        if !input.1.acts {
            return input.1.port.clone();
        }
        let name = format!("{} plain", input.1.port);
        self.node(&name, "select", json!({"drop": columns}), &[&input.1.port], work)
    }

    pub(super) fn sink(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let setting = |key: &str| Expr::setting(&step.arguments, key);
        let flag = |key: &str| setting(key).and_then(Expr::as_bool);
        let mut stream = input.1.clone();
        let mut hidden: Vec<String> = stream.marks.drain(..).map(|(_, column)| column).collect();
        let keys: Vec<Value> = match setting("keys").map(|keys| &keys.kind) {
            Some(Kind::List(items)) => {
                items.iter().filter_map(|item| item.as_text().map(Value::from)).collect()
            }
            _ => Vec::new(),
        };
        // Rows say what they do to those with their keys.
        let mut applied = false;
        if stream.acts {
            let mut acts: Vec<&str> = Vec::new();
            for (key, act) in [
                ("insertable", "insert"),
                ("updateable", "update"),
                ("upsertable", "upsert"),
                ("deletable", "delete"),
            ] {
                if flag(key).unwrap_or(key == "insertable") {
                    acts.push(act);
                }
            }
            applied = !keys.is_empty() && acts != ["insert"];
            if !applied && acts.iter().any(|act| *act != "insert") {
                let message = format!(
                    "the sink `{}` changes rows and does not say by which keys: they are left out",
                    step.name
                );
                let place = self.text.place(step.span);
                let hint = "in the copy: `write: {apply_changes: {keys: [id]}}`, with the column `_op`";
                self.report.gap(&place, &mut work.comments, &message, Some(hint));
                acts.retain(|act| *act == "insert");
            }
            let list: Vec<String> = acts.iter().map(|act| format!("'{act}'")).collect();
            let condition =
                if list.is_empty() { "false".to_owned() } else { format!("{ACT} in ({})", list.join(", ")) };
            stream.port =
                self.node(&format!("{} rows", step.name), "filter", condition, &[&stream.port], work);
            if !applied {
                hidden.push(ACT.to_owned());
                stream.acts = false;
            }
        }
        if !hidden.is_empty() {
            stream.port = self.node(
                &format!("{} columns", step.name),
                "select",
                json!({"drop": hidden}),
                &[&stream.port],
                work,
            );
        }
        if Expr::call(&step.arguments, "mapColumn").is_some() {
            let mapped = Transformation { name: format!("{} mapping", step.name), ..step.clone() };
            stream = self.select(&mapped, &(input.0.clone(), stream), work)?;
        }
        let upserts = flag("upsertable") == Some(true) || flag("updateable") == Some(true);
        let replaces = flag("truncate") == Some(true) || flag("recreate") == Some(true);
        let write = match (upserts && !keys.is_empty(), replaces) {
            _ if applied => Some(json!({"apply_changes": {"keys": keys}})),
            (true, _) => Some(json!({"upsert": keys})),
            (false, true) => None,
            (false, false) => Some(json!("append")),
        };
        let cached = setting("store").and_then(Expr::as_text) == Some("cache");
        let output = self.output_names.give(&step.name);
        let stream = self.guarded(step, stream, work);
        work.gaps.clear();
        let place = self.text.place(step.span);
        self.report.taken(
            &place,
            format!("the transformation `{}` ({})", step.name, step.kind),
            format!("output.{output}"),
        );
        self.outputs.put(&output, stream.port.as_str());
        self.sinks.push(SinkUse { stream: step.name.clone(), output, write, cached });
        Some(Stream { port: String::new(), ..stream })
    }

    pub(super) fn union(
        &mut self,
        step: &Transformation,
        inputs: &[(String, Stream)],
        work: &mut Work,
    ) -> Option<Stream> {
        let by_name = Expr::setting(&step.arguments, "byName").and_then(Expr::as_bool).unwrap_or(true);
        let ports: Vec<&str> = inputs.iter().map(|(_, stream)| stream.port.as_str()).collect();
        let config = if by_name { json!({"match": "name"}) } else { json!({"match": "position"}) };
        let port = self.node(&step.name, "union", config, &ports, work);
        let (_, first) = inputs.first()?;
        let mut stream = first.through(&step.name, port);
        for (_, other) in inputs.iter().skip(1).filter(|_| by_name) {
            stream.open |= other.open;
            stream.acts |= other.acts;
            for column in &other.columns {
                if stream.find(None, &column.name).is_none() {
                    stream.columns.push(column.clone());
                }
            }
        }
        Some(stream)
    }

    /// A flowlet, whose file is a flow of its own.
    pub(super) fn compose(
        &mut self,
        step: &Transformation,
        inputs: &[(String, Stream)],
        work: &mut Work,
    ) -> Option<Stream> {
        let (file, with) = self.flowlets.get(&step.name)?.clone();
        let mut mapped = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let mapping =
                step.arguments.iter().filter(|argument| argument.called("mapColumn").is_some()).nth(number);
            mapped.push(match mapping {
                Some(mapping) => {
                    let name = format!("{} input {}", step.name, number + 1);
                    let select = Transformation { name, arguments: vec![mapping.clone()], ..step.clone() };
                    self.select(&select, input, work)?.port
                }
                None => input.1.port.clone(),
            });
        }
        let ports: Vec<&str> = mapped.iter().map(String::as_str).collect();
        let mut config = Map::default();
        config.put("file", file);
        let mut given = Map::default();
        for (name, value) in &with {
            match value.trim().trim_matches('\'') {
                text if text.parse::<f64>().is_ok() && text == value.trim() => {
                    given.put(name, json!(text.parse::<f64>().unwrap_or_default()))
                }
                text => given.put(name, text),
            }
        }
        config.put_some("with", given);
        let port = self.node(&step.name, "flowlet", config, &ports, work);
        for part in &step.parts {
            let ours = crate::names::name_of(part);
            let stream = Stream { port: format!("{port}.{ours}"), open: true, ..Stream::default() };
            self.streams.insert(format!("{}@{part}", step.name), stream);
        }
        Some(Stream { port, open: true, ..Stream::default() })
    }
}

/// The column of `output(name as type)`.
pub(super) fn output_column(step: &Transformation) -> Option<String> {
    match &Expr::call(&step.arguments, "output")?.first()?.kind {
        Kind::Declared(column) => Some(column.name.clone()),
        _ => None,
    }
}

/// Whether an expression names a column and nothing else; what it is called here.
pub(super) fn plain_column(scope: &Scope<'_>, expr: &Expr) -> Option<String> {
    let (stream, name) = expr.as_name()?;
    let found = scope.inputs.iter().find_map(|(_, input, _)| input.find(stream, name));
    match found {
        Some(column) => Some(column.ours.clone()),
        None => scope.inputs.iter().any(|(_, input, _)| input.open).then(|| name.to_owned()),
    }
}
