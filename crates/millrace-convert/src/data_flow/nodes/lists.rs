//! Lists, structs and texts that hold them, and the types of columns.

use serde_json::{Value, json};

use super::super::expression::{Gap, Over, Sql, literal, quote, sql_type, type_word};
use super::super::script::{Expr, Kind, Transformation, Type};
use super::super::stream::{Column, Stream};
use super::rows::plain_column;
use super::{Builder, Work, over, values};
use crate::yaml_out::Map;

/// A list within a row: its path from the element of the one around it, and the type of its elements.
struct Level {
    path: Vec<String>,
    element: Type,
}

impl Builder<'_> {
    /// Rows of the elements of a list. What stands beside the list gets a column of its own before, so that no names meet.
    pub(super) fn flatten(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let what = format!("the flatten `{}`", step.name);
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let unroll = Expr::call(&step.arguments, "unroll")?;
        let mapping = Expr::call(&step.arguments, "mapColumn")?;
        let path: Vec<String> = unroll.first()?.as_path()?.iter().map(|part| (*part).to_owned()).collect();
        let root: Option<Vec<String>> = unroll
            .get(1)
            .and_then(Expr::as_path)
            .map(|path| path.iter().map(|part| (*part).to_owned()).collect());
        let Some(levels) = levels(&input.1, &path) else {
            self.gap(&what, &Gap::new(step.span, "unrolls what the source does not declare as a list"), work);
            return Some(input.1.through(&step.name, input.1.port.clone()));
        };
        let top = path.first()?.clone();
        let (mut beside, mut kept) = (Map::default(), vec![]);
        let mut entries: Vec<(String, String, Vec<String>, Type)> = Vec::new();
        for argument in mapping {
            let (name, value) = match &argument.kind {
                Kind::Assign(name, value) => (name.as_name().map(|(_, name)| name.to_owned()), &**value),
                _ => {
                    (argument.as_path().and_then(|path| path.last().map(|last| (*last).to_owned())), argument)
                }
            };
            let (Some(name), Some(source)) = (name, value.as_path()) else {
                self.gap(&what, &Gap::new(argument.span, "maps columns by a pattern"), work);
                continue;
            };
            let source: Vec<String> = source.iter().map(|part| (*part).to_owned()).collect();
            if let Some((column, rest, of)) = within(&levels, &source) {
                entries.push((name, column, rest, of));
            } else {
                let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
                let ours = format!("_beside_{}", entries.len() + 1);
                beside.put(&ours, sql.text);
                kept.push(ours.clone());
                entries.push((name, ours, Vec::new(), sql.of));
            }
        }
        let mut port = input.1.port.clone();
        if beside.has_fields() {
            port = self.node(&format!("{} beside", step.name), "derive", beside, &[&port], work);
        }
        kept.push(input.1.find(None, &top).map_or(top, |column| column.ours.clone()));
        port = self.node(&format!("{} input", step.name), "select", json!(kept), &[&port], work);
        port = self.unrolled(step, &levels, root.as_deref(), port, work);
        let mut computed = Map::default();
        let (mut columns, mut rename) = (Vec::new(), Map::default());
        let mut stream = Stream::default();
        for (number, (name, column, rest, of)) in entries.into_iter().enumerate() {
            let mut source = column.clone();
            if !rest.is_empty() || columns.contains(&Value::from(column.as_str())) {
                let path = rest
                    .iter()
                    .fold(quote(&column), |sql, field| format!("get_field({sql}, {})", literal(field)));
                source = format!("_field_{}", number + 1);
                computed.put(&source, path);
            }
            if source != name {
                rename.put(&source, name.as_str());
            }
            columns.push(Value::from(source));
            stream.columns.push(Column::new(&name, of, &step.name));
        }
        if computed.has_fields() {
            port = self.node(&format!("{} fields", step.name), "derive", computed, &[&port], work);
        }
        let mut config = Map::default();
        config.put("columns", Value::Array(columns));
        config.put_some("rename", rename);
        stream.port = self.node(&step.name, "select", config, &[&port], work);
        Some(stream)
    }

    /// A node for the lists up to the root, whose rows go if they are empty, and one for those below.
    fn unrolled(
        &mut self,
        step: &Transformation,
        levels: &[Level],
        root: Option<&[String]>,
        from: String,
        work: &mut Work,
    ) -> String {
        let mut whole: Vec<String> = Vec::new();
        let mut up_to_root = 0;
        for (number, level) in levels.iter().enumerate() {
            whole.extend(level.path.iter().cloned());
            if root.is_some_and(|root| root == whole) {
                up_to_root = number + 1;
            }
        }
        let mut port = from;
        for (part, keep) in [(levels.get(..up_to_root), false), (levels.get(up_to_root..), true)] {
            let paths: Vec<String> =
                part.unwrap_or_default().iter().map(|level| level.path.join(".")).collect();
            if paths.is_empty() {
                continue;
            }
            let name = if keep { format!("{} elements", step.name) } else { format!("{} root", step.name) };
            let mut config = json!({"unroll": paths});
            if !keep {
                config["keep_empty"] = false.into();
            }
            port = self.node(&name, "flatten", config, &[&port], work);
        }
        port
    }

    pub(super) fn parse(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let format =
            Expr::setting(&step.arguments, "format").and_then(Expr::as_text).unwrap_or("json").to_lowercase();
        let header =
            Expr::setting(&step.arguments, "columnNamesAsHeader").and_then(Expr::as_bool).unwrap_or(false);
        let mut stream = input.1.clone();
        let mut port = input.1.port.clone();
        for argument in values(step) {
            let Kind::Assign(name, value) = &argument.kind else { continue };
            let (Some((_, name)), Kind::Typed(text, of)) = (name.as_name(), &value.kind) else {
                self.gap(
                    &format!("`{}`", step.name),
                    &Gap::new(argument.span, "does not say what is in the text"),
                    work,
                );
                continue;
            };
            let what = format!("the column `{name}` of `{}`", step.name);
            let (Some(shape), true) = (
                shape(of),
                matches!(format.as_str(), "json" | "delimited") && !(header && format == "delimited"),
            ) else {
                self.gap(&what, &Gap::new(argument.span, format!("reads text of the format `{format}`, or with a header, or of types that cannot be said")), work);
                continue;
            };
            let sql = self.value(&scope, text, &what, work);
            let column = match plain_column(&scope, text) {
                Some(column) if column != name => column,
                plain => {
                    let temporary = stream.fresh(&format!("_text_of_{name}"));
                    let mut derived = Map::default();
                    derived.put(&temporary, sql.text);
                    port =
                        self.node(&format!("{} {name} text", step.name), "derive", derived, &[&port], work);
                    if plain.is_some() || stream.find(None, name).is_some() {
                        port = self.node(
                            &format!("{} {name} before", step.name),
                            "select",
                            json!({"drop": [name]}),
                            &[&port],
                            work,
                        );
                    }
                    temporary
                }
            };
            let mut config = Map::default();
            config.put("column", column.as_str());
            config.put("as", shape);
            config.put("into", name);
            config.put("on_error", "null");
            if format == "delimited" {
                config.put("format", "csv");
                let delimiter = Expr::setting(&step.arguments, "columnDelimiter").and_then(Expr::as_text);
                delimiter.iter().for_each(|delimiter| config.put("delimiter", *delimiter));
            }
            port = self.node(&format!("{} {name}", step.name), "parse", config, &[&port], work);
            if column.starts_with("_text_of_") {
                port = self.node(
                    &format!("{} {name} columns", step.name),
                    "select",
                    json!({"drop": [column]}),
                    &[&port],
                    work,
                );
            }
            stream.put(name, name, of.clone(), &step.name);
        }
        Some(stream.through(&step.name, port))
    }

    pub(super) fn stringify(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let json = Expr::setting(&step.arguments, "format")
            .and_then(Expr::as_text)
            .is_none_or(|format| format == "json");
        let mut stream = input.1.clone();
        let mut columns = Map::default();
        for argument in values(step) {
            let Kind::Assign(name, value) = &argument.kind else { continue };
            let Some((_, name)) = name.as_name() else { continue };
            let value = match &value.kind {
                Kind::Typed(inner, _) => inner,
                _ => value,
            };
            let what = format!("the column `{name}` of `{}`", step.name);
            if !json {
                self.gap(&what, &Gap::new(argument.span, "is written as something else than JSON"), work);
            }
            let sql = self.value(&scope, value, &what, work);
            columns.put(name, format!("to_json({})", sql.text));
            stream.put(name, name, Type::Text, &step.name);
        }
        let port = self.node(&step.name, "derive", columns, &[&input.1.port], work);
        Some(stream.through(&step.name, port))
    }

    pub(super) fn cast(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let mut stream = input.1.clone();
        let (mut columns, mut written) = (Map::default(), Map::default());
        for argument in Expr::call(&step.arguments, "output")? {
            let Kind::Declared(column) = &argument.kind else { continue };
            let what = format!("the column `{}` of `{}`", column.name, step.name);
            let ours = input
                .1
                .find(None, &column.name)
                .map_or_else(|| column.name.clone(), |column| column.ours.clone());
            let format = column.format.as_deref().filter(|format| !super::super::formats::is_iso(format));
            match (type_word(&column.of), format) {
                (Some(word), None) => columns.put(&ours, word),
                (_, Some(format)) => {
                    let parameters = self.parameters();
                    let scope = over(input, &parameters, Over::Row);
                    let function = if column.of == Type::Date { "toDate" } else { "toTimestamp" };
                    let text = format!(
                        "{function}({{{}}}, '{}')",
                        column.name.replace('}', "\\}"),
                        format.replace('\'', "\\'")
                    );
                    let made = super::super::script::parse_expression(&text);
                    let sql = match made {
                        Ok(expr) if matches!(column.of, Type::Date | Type::Timestamp) => {
                            let expr = Expr { span: argument.span, ..expr };
                            self.value(&scope, &expr, &what, work)
                        }
                        _ => {
                            self.gap(
                                &what,
                                &Gap::new(argument.span, format!("has the format `{format}`")),
                                work,
                            );
                            Sql::atom("null", Type::Any)
                        }
                    };
                    written.put(&ours, sql.text);
                }
                (None, None) => {
                    self.gap(&what, &Gap::new(argument.span, "becomes a list, a struct or bytes"), work)
                }
            }
            stream.put(&column.name, &ours, column.of.clone(), &step.name);
        }
        let mut port = input.1.port.clone();
        if written.has_fields() {
            port = self.node(&format!("{} formats", step.name), "derive", written, &[&port], work);
        }
        if columns.has_fields() {
            let mut config = Map::default();
            config.put("columns", columns);
            config.put("on_error", "null");
            port = self.node(&step.name, "cast", config, &[&port], work);
        }
        Some(stream.through(&step.name, port))
    }
}

/// The lists on the way to a path, by the types that the source declares.
fn levels(input: &Stream, path: &[String]) -> Option<Vec<Level>> {
    let mut of = input.find(None, path.first()?)?.of.clone();
    let mut levels = Vec::new();
    let mut since: Vec<String> = Vec::new();
    let mut parts = path.iter();
    since.push(parts.next()?.clone());
    loop {
        if let Type::List(element) = of {
            levels.push(Level { path: std::mem::take(&mut since), element: (*element).clone() });
            of = *element;
        }
        let Some(part) = parts.next() else { break };
        let Type::Struct(fields) = &of else { return None };
        of = fields.iter().find(|(name, _)| name == part)?.1.clone();
        since.push(part.clone());
    }
    (since.is_empty() && !levels.is_empty()).then_some(levels)
}

/// Where a path of the input is after unrolling: the column, what to take out of it, and its type; nothing if it is beside the lists.
fn within(levels: &[Level], path: &[String]) -> Option<(String, Vec<String>, Type)> {
    let mut whole: Vec<String> = Vec::new();
    let mut found = None;
    // Names that are taken when the fields of an element become columns, as the node gives them.
    let mut taken: Vec<String> = Vec::new();
    for (number, level) in levels.iter().enumerate() {
        whole.extend(level.path.iter().cloned());
        let next = levels.get(number + 1).map(|next| next.path.join("."));
        let short = level.path.last().cloned().unwrap_or_default();
        match &level.element {
            Type::Struct(fields) => {
                for (field, of) in fields.iter().filter(|(field, _)| Some(field) != next.as_ref()) {
                    let column =
                        if taken.contains(field) { format!("{short}_{field}") } else { field.clone() };
                    taken.push(column.clone());
                    let rest = path.strip_prefix(whole.as_slice()).and_then(|rest| rest.split_first());
                    if let Some((first, rest)) = rest
                        && first == field
                    {
                        found = Some((column, rest.to_vec(), inner(of, rest)));
                    }
                }
            }
            _ if path == whole => found = Some((short, Vec::new(), level.element.clone())),
            _ => {}
        }
    }
    found
}

fn inner(of: &Type, path: &[String]) -> Type {
    match (path.split_first(), of) {
        (None, of) => of.clone(),
        (Some((first, rest)), Type::Struct(fields)) => {
            fields.iter().find(|(name, _)| name == first).map_or(Type::Any, |(_, of)| inner(of, rest))
        }
        _ => Type::Any,
    }
}

/// A type as the shape of a `parse`.
fn shape(of: &Type) -> Option<Value> {
    Some(match of {
        Type::List(of) => json!([shape(of)?]),
        Type::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| Some((name.clone(), shape(of)?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
        plain => {
            sql_type(plain)?;
            type_word(plain)?.into()
        }
    })
}
