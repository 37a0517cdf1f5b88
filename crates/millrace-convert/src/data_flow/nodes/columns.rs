//! What changes columns: select and derive, by name and by pattern.

use serde_json::{Value, json};

use super::super::expression::{Gap, Over, Scope, Sql};
use super::super::patterns;
use super::super::script::{Expr, Kind, Transformation, Type};
use super::super::stream::{Column, Stream};
use super::rows::plain_column;
use super::{Builder, Work, over, values};
use crate::yaml_out::{Map, Yaml};

/// A column of a projection.
struct Entry {
    name: String,
    /// The column that it is, if it is one and no expression.
    plain: Option<String>,
    sql: Sql,
}

impl Builder<'_> {
    pub(super) fn select(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let scope = over(input, &parameters, Over::Row);
        let mapping = Expr::call(&step.arguments, "mapColumn")?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut everything = false;
        for argument in mapping {
            let what = format!("a column of `{}`", step.name);
            if let Some(each) = argument.called("each") {
                everything |= self.each_selected(step, each, input, &mut entries, work);
                continue;
            }
            let (name, value) = match &argument.kind {
                Kind::Assign(name, value) => (name.as_name().map(|(_, name)| name.to_owned()), &**value),
                _ => {
                    (argument.as_path().and_then(|path| path.last().map(|last| (*last).to_owned())), argument)
                }
            };
            let Some(name) = name else {
                self.gap(&what, &Gap::new(argument.span, "has a name that is computed"), work);
                continue;
            };
            let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
            entries.push(Entry { name, plain: plain_column(&scope, value), sql });
        }
        Some(self.projected(step, input, entries, everything, work))
    }

    /// The columns that a pattern of a select keeps; whether it keeps all, whatever there is.
    fn each_selected(
        &mut self,
        step: &Transformation,
        each: &[Expr],
        input: &(String, Stream),
        entries: &mut Vec<Entry>,
        work: &mut Work,
    ) -> bool {
        let Some([condition]) = each.first().and_then(|first| first.called("match")) else {
            let span = each.first().map_or(step.span, |first| first.span);
            self.gap(
                &format!("a pattern of `{}`", step.name),
                &Gap::new(span, "is over the fields of a struct"),
                work,
            );
            return false;
        };
        let name = each.iter().skip(1).find_map(|argument| match &argument.kind {
            Kind::Assign(name, _) => Some(&**name),
            _ => None,
        });
        if input.1.open
            && condition.as_bool() == Some(true)
            && name.is_none_or(|name| name.kind == Kind::Matched)
        {
            return true;
        }
        for (place, column) in input.1.columns.iter().enumerate() {
            let wanted = patterns::holds(condition, column, place + 1);
            let name = name.map_or_else(|| Some(column.name.clone()), |name| patterns::named(name, column));
            let (Some(wanted), Some(name)) = (wanted, name) else {
                self.gap(
                    &format!("a pattern of `{}`", step.name),
                    &Gap::new(condition.span, "asks what is not known of columns here"),
                    work,
                );
                return false;
            };
            let taken = entries
                .iter()
                .any(|entry| entry.name == name || entry.plain.as_deref() == Some(&column.ours));
            if wanted && !taken {
                let sql = Sql::atom(super::super::expression::quote(&column.ours), column.of.clone());
                entries.push(Entry { name, plain: Some(column.ours.clone()), sql });
            }
        }
        if input.1.open {
            self.changed(
                condition.span,
                &format!("a pattern of `{}` is written out for the columns that the file names", step.name),
                work,
            );
        }
        false
    }

    fn projected(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        entries: Vec<Entry>,
        everything: bool,
        work: &mut Work,
    ) -> Stream {
        let (mut computed, mut columns, mut rename) = (Map::default(), Vec::new(), Map::default());
        let mut seen: Vec<String> = Vec::new();
        let mut stream = Stream {
            open: everything,
            acts: input.1.acts,
            marks: input.1.marks.clone(),
            ..Stream::default()
        };
        for entry in &entries {
            let source = match &entry.plain {
                Some(plain) if !seen.contains(plain) => plain.clone(),
                // An expression, or a column that is there twice.
                _ => {
                    let temporary = input.1.fresh(&entry.name);
                    computed.put(&temporary, entry.sql.text.as_str());
                    temporary
                }
            };
            if source != entry.name {
                rename.put(&source, entry.name.as_str());
            }
            seen.push(source.clone());
            columns.push(Value::from(source));
            stream.columns.push(Column::new(&entry.name, entry.sql.of.clone(), &step.name));
        }
        if everything {
            let left = input.1.columns.iter().filter(|column| !seen.contains(&column.ours));
            stream
                .columns
                .extend(left.map(|column| Column { streams: vec![step.name.clone()], ..column.clone() }));
        }
        let hidden = input.1.marks.iter().map(|(_, column)| column.clone());
        columns.extend(
            hidden.chain(input.1.acts.then(|| super::super::stream::ACT.to_owned())).map(Value::from),
        );
        let mut from = input.1.port.clone();
        if computed.has_fields() {
            from = self.node(&format!("{} computed", step.name), "derive", computed, &[&from], work);
        }
        let renames = rename.has_fields();
        let config: Yaml = match (everything, renames) {
            (true, false) => Value::Object(serde_json::Map::new()).into(),
            (false, false) => Value::Array(columns).into(),
            (whole, true) => {
                let mut config = Map::default();
                if !whole {
                    config.put("columns", Value::Array(columns));
                }
                config.put("rename", rename);
                config.into()
            }
        };
        stream.port = if everything && !renames {
            from
        } else {
            self.node(&step.name, "select", config, &[&from], work)
        };
        stream
    }

    pub(super) fn derive(
        &mut self,
        step: &Transformation,
        input: &(String, Stream),
        work: &mut Work,
    ) -> Option<Stream> {
        let parameters = self.parameters();
        let mut scope = over(input, &parameters, Over::Row);
        for local in Expr::call(&step.arguments, "locals").unwrap_or_default() {
            if let Kind::Assign(name, value) = &local.kind
                && let Some((_, name)) = name.as_name()
            {
                scope.locals.insert(name.to_owned(), value);
            }
        }
        let mut stream = input.1.clone();
        let (mut each, mut columns) = (Vec::new(), Map::default());
        for argument in values(step).filter(|argument| argument.called("locals").is_none()) {
            if let Some(pattern) = argument.called("each") {
                self.each_derived(step, pattern, input, &mut stream, &mut columns, &mut each, work);
                continue;
            }
            let Kind::Assign(name, value) = &argument.kind else {
                self.gap(
                    &format!("`{}`", step.name),
                    &Gap::new(argument.span, "has a column without a value"),
                    work,
                );
                continue;
            };
            let name = match name.as_path().as_deref() {
                Some([name]) => (*name).to_owned(),
                path => {
                    let what = path.map_or_else(
                        || "a column".to_owned(),
                        |path| format!("the field `{}`", path.join(".")),
                    );
                    self.gap(
                        &what,
                        &Gap::new(argument.span, "is set within a struct, or its name is computed"),
                        work,
                    );
                    continue;
                }
            };
            let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
            let ours = input.1.find(None, &name).map_or_else(|| name.clone(), |column| column.ours.clone());
            columns.put(&ours, sql.text);
            stream.put(&name, &ours, sql.of, &step.name);
        }
        let mut config = Map::default();
        if !each.is_empty() {
            config.put("each", Yaml::List(each));
        }
        config.append(columns);
        let port = match config.has_fields() {
            true => self.node(&step.name, "derive", config, &[&input.1.port], work),
            false => input.1.port.clone(),
        };
        Some(stream.through(&step.name, port))
    }

    /// A pattern of a derived column: written out where all columns are known, else the node's own `each`.
    #[expect(clippy::too_many_arguments, reason = "what a pattern adds to is the node that is being made")]
    fn each_derived(
        &mut self,
        step: &Transformation,
        pattern: &[Expr],
        input: &(String, Stream),
        stream: &mut Stream,
        columns: &mut Map,
        each: &mut Vec<Yaml>,
        work: &mut Work,
    ) {
        let what = format!("a pattern of `{}`", step.name);
        let Some(([condition], makes)) = matched(pattern) else {
            self.gap(&what, &Gap::new(step.span, "is over the fields of a struct"), work);
            return;
        };
        let parameters = self.parameters();
        for (name, value) in makes {
            if input.1.open
                && let (Some(found), Some(template)) = (patterns::open(condition), patterns::template(name))
            {
                let scope = Scope { matched: None, ..over(input, &parameters, Over::Row) };
                let mut entry = Map::default();
                let mut shape = Map::default();
                found.name.iter().for_each(|name| shape.put("name", name.as_str()));
                found.of.iter().for_each(|of| shape.put("type", *of));
                // The type of `$$` is that of the columns that match.
                let known = found
                    .of
                    .and_then(type_of)
                    .map(|of| Column { ours: "$$".to_owned(), ..Column::new("$$", of, "") });
                let scope = Scope { matched: known.as_ref(), ..scope };
                let sql = self.value(&scope, value, &what, work).text.replace("\"$$\"", "$$");
                entry.put("match", shape);
                entry.put("as", sql);
                if template != "$0" {
                    entry.put("name", template);
                }
                each.push(entry.into());
                continue;
            }
            if input.1.open {
                self.changed(
                    condition.span,
                    &format!("{what} is written out for the columns that the file names"),
                    work,
                );
            }
            for (place, column) in input.1.columns.iter().enumerate() {
                let (Some(wanted), Some(name)) =
                    (patterns::holds(condition, column, place + 1), patterns::named(name, column))
                else {
                    self.gap(
                        &what,
                        &Gap::new(condition.span, "asks what is not known of columns here"),
                        work,
                    );
                    return;
                };
                if !wanted {
                    continue;
                }
                let scope = Scope { matched: Some(column), ..over(input, &parameters, Over::Row) };
                let sql = self.value(&scope, value, &format!("the column `{name}` of `{}`", step.name), work);
                let ours = if name == column.name { column.ours.clone() } else { name.clone() };
                columns.put(&ours, sql.text);
                stream.put(&name, &ours, sql.of, &step.name);
            }
        }
    }
}

/// What matches, and what becomes of it: names and values.
pub(super) type Matched<'e> = ([&'e Expr; 1], Vec<(&'e Expr, &'e Expr)>);

/// `match(condition), name = value, …`.
pub(super) fn matched(pattern: &[Expr]) -> Option<Matched<'_>> {
    let [condition] = pattern.first()?.called("match")? else { return None };
    let makes = pattern.iter().skip(1).filter_map(|argument| match &argument.kind {
        Kind::Assign(name, value) => Some((&**name, &**value)),
        _ => None,
    });
    Some(([condition], makes.collect()))
}

/// The type that a word of `match` stands for.
fn type_of(word: &str) -> Option<Type> {
    Some(match word {
        "string" => Type::Text,
        "integer" => Type::Integer("long"),
        "float" => Type::Float("double"),
        "boolean" => Type::Boolean,
        "date" => Type::Date,
        "timestamp" => Type::Timestamp,
        _ => return None,
    })
}

/// A list of names.
pub(super) fn names(list: &[String]) -> Value {
    match list {
        [one] => json!(one),
        many => json!(many),
    }
}
