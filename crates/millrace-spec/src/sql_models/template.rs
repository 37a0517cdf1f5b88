//! The text of a model: SQL with `{{ }}`. Names of tables are put in as quoted names; every other value becomes a parameter, `$1`, so that none
//! is ever read as SQL.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object, Rest};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use regex::Regex;
use serde_json::Value;

use super::Target;
use crate::problem::{Place, Problem};

/// Steps that a template may take.
const FUEL: u64 = 1_000_000;
/// Signs that enclose the offset of what follows; nobody types them.
const MARK: (char, char) = ('\u{F5A00}', '\u{F5A01}');

/// A text with the places of its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    file: String,
    text: String,
    /// What stands outside of tags, by the offset at which it begins.
    literals: Vec<(usize, usize)>,
    /// What stands within tags.
    tags: Vec<(usize, usize)>,
}

/// A table that the text names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub target: Target,
    /// Where its name stands.
    pub place: Place,
}

/// SQL for a table, or why there is none.
pub type Names<'a> = Box<dyn Fn(&Target) -> Result<String, String> + 'a>;

/// What a text is rendered with.
pub struct Rendering<'a> {
    /// SQL for a table: a quoted name.
    pub relation: Names<'a>,
    /// SQL for the model's own dataset.
    pub this: Option<String>,
    /// Whether the rows are added to some that are there.
    pub incremental: bool,
    /// Values of `var('name')`.
    pub vars: &'a serde_json::Map<String, Value>,
    /// A variable without a value is null, as long as nothing is run.
    pub lenient: bool,
}

/// SQL that an engine can read, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The SQL; `$1`, `$2`, … stand for `params`.
    pub sql: String,
    /// Bound values.
    pub params: Vec<Value>,
    /// Pieces of the text, as they came out: offset in the SQL, in the text, length.
    pieces: Vec<(usize, usize, usize)>,
}

/// A quoted name, which is put in as it is.
#[derive(Debug)]
struct Name(String);

impl Object for Name {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Template {
    /// Finds the tags of a text.
    pub fn new(file: &str, text: &str) -> Self {
        let (mut literals, mut tags) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|sign| find(text, sign, at)).min() {
            literals.push((at, start));
            let end = tag_end(text, start);
            if !text.get(start..).is_some_and(|rest| rest.starts_with("{#")) {
                tags.push((start, end));
            }
            at = end;
        }
        literals.push((at, text.len()));
        Self { file: file.to_owned(), text: text.to_owned(), literals, tags }
    }

    /// The tables that the text names by `ref('…')` and `source('…', '…')`, in every branch of it.
    pub fn calls(&self) -> Vec<Call> {
        let Ok(pattern) = Regex::new(
            r#"\b(?:(ref)\s*\(\s*(?:'([^']*)'|"([^"]*)")\s*\)|(source)\s*\(\s*(?:'([^']*)'|"([^"]*)")\s*,\s*(?:'([^']*)'|"([^"]*)")\s*\))"#,
        ) else {
            return Vec::new();
        };
        let mut calls = Vec::new();
        for &(start, end) in &self.tags {
            for found in pattern.captures_iter(self.text.get(start..end).unwrap_or_default()) {
                let group = |numbers: &[usize]| numbers.iter().find_map(|number| found.get(*number));
                let text = |numbers: &[usize]| group(numbers).map(|part| part.as_str().to_owned());
                let (target, name) = if found.get(1).is_some() {
                    (text(&[2, 3]).map(Target::Model), group(&[2, 3]))
                } else {
                    let both = text(&[5, 6]).zip(text(&[7, 8]));
                    (both.map(|(source, table)| Target::Source(source, table)), group(&[5, 6]))
                };
                if let (Some(target), Some(name)) = (target, name) {
                    let place = self.place(start + name.start(), name.as_str().chars().count());
                    calls.push(Call { target, place });
                }
            }
        }
        calls
    }

    /// The place of an offset.
    pub fn place(&self, offset: usize, length: usize) -> Place {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: self.file.clone(),
            line: number(line),
            column: number(column),
            length: number(length.max(1)),
        }
    }

    /// Where a line and a column of rendered SQL came from.
    pub fn place_of(&self, rendered: &Rendered, line: u32, column: u32) -> Place {
        let offset = offset_of(&rendered.sql, line, column);
        let piece = rendered.pieces.iter().rev().find(|(start, _, _)| *start <= offset);
        let source = piece.map_or(0, |(start, source, length)| source + (offset - start).min(*length));
        let word = self.text.get(source..).unwrap_or_default();
        let length = word.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').count();
        self.place(source, length)
    }

    /// The SQL of the text.
    ///
    /// # Errors
    /// What is wrong with the template, with its place.
    pub fn render(&self, rendering: &Rendering<'_>) -> Result<Rendered, Box<Problem>> {
        let params = Arc::new(Mutex::new(Vec::new()));
        let environment = environment(rendering, &self.tables(rendering), &params);
        let marked = self.marked();
        let template =
            environment.template_from_str(&marked).map_err(|error| self.problem(&error, &marked))?;
        let context = match &rendering.this {
            Some(this) => minijinja::context! { this => minijinja::Value::from_object(Name(this.clone())) },
            None => minijinja::context! {},
        };
        let text = template.render(context).map_err(|error| self.problem(&error, &marked))?;
        let (sql, pieces) = self.without_marks(&text);
        let params = params.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Rendered { sql, params, pieces })
    }

    /// What each table is called, or why it cannot be named.
    fn tables(&self, rendering: &Rendering<'_>) -> BTreeMap<Target, Result<String, String>> {
        self.calls()
            .into_iter()
            .map(|call| {
                let name = (rendering.relation)(&call.target);
                (call.target, name)
            })
            .collect()
    }

    /// The text with the offset of each line before it, outside of tags.
    fn marked(&self) -> String {
        if self.text.contains([MARK.0, MARK.1]) {
            return self.text.clone();
        }
        let mut marked = String::with_capacity(self.text.len() * 2);
        let mut done = 0;
        for &(start, end) in &self.literals {
            marked.push_str(self.text.get(done..start).unwrap_or_default());
            let mut at = start;
            for line in self.text.get(start..end).unwrap_or_default().split_inclusive('\n') {
                marked.push_str(&format!("{}{at}{}{line}", MARK.0, MARK.1));
                at += line.len();
            }
            done = end;
        }
        marked
    }

    fn without_marks(&self, text: &str) -> (String, Vec<(usize, usize, usize)>) {
        let mut sql = String::with_capacity(text.len());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(MARK.0) {
            sql.push_str(before);
            let Some((offset, behind)) = after.split_once(MARK.1) else { break };
            if let Ok(offset) = offset.parse::<usize>() {
                pieces.push((sql.len(), offset, self.line_length(offset)));
            }
            rest = behind;
        }
        sql.push_str(rest);
        (sql, pieces)
    }

    /// Bytes from an offset to the end of its line or the next tag.
    fn line_length(&self, offset: usize) -> usize {
        let end = self.literals.iter().find(|(start, end)| (*start..*end).contains(&offset));
        let literal = end.and_then(|(_, end)| self.text.get(offset..*end)).unwrap_or_default();
        literal.find('\n').map_or(literal.len(), |line| line + 1)
    }

    fn problem(&self, error: &Error, marked: &str) -> Box<Problem> {
        let line = error.line().unwrap_or(1);
        let offset = match error.range() {
            Some(range) => self.without_marks_before(marked, range.start),
            None => offset_of(&self.text, u32::try_from(line).unwrap_or(1), 1),
        };
        // An error within a tag is told where the tag begins.
        let tag = self.tags.iter().find(|(start, end)| (*start..*end).contains(&offset));
        let offset = if error.range().is_some() { offset } else { tag.map_or(offset, |tag| tag.0) };
        let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let problem = Problem::error("model-template", message).at(self.place(offset, 1));
        Box::new(match error.kind() {
            ErrorKind::UnknownFunction | ErrorKind::UndefinedError => problem.hint(
                "there are ref('model'), source('source', 'table'), var('name'), identifier('name'), is_incremental() and this",
            ),
            _ => problem,
        })
    }

    fn without_marks_before(&self, marked: &str, offset: usize) -> usize {
        let before = marked.get(..offset).unwrap_or_default();
        match before.rsplit_once(MARK.1) {
            // What stands behind a mark, tags among it, is the text itself.
            Some((start, behind)) => {
                let at = start.rsplit_once(MARK.0).and_then(|(_, digits)| digits.parse::<usize>().ok());
                at.unwrap_or(0) + behind.len()
            }
            None => before.len(),
        }
    }
}

fn environment(
    rendering: &Rendering<'_>,
    tables: &BTreeMap<Target, Result<String, String>>,
    params: &Arc<Mutex<Vec<Value>>>,
) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // What a macro or a block gives is then known to be the template's own text, whose values are bound already; nothing else may say so.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for filter in ["safe", "escape", "e", "tojson"] {
        environment.remove_filter(filter);
    }
    let bound = params.clone();
    environment.set_formatter(move |out, _: &mut State<'_, '_>, value| {
        if let Some(Name(name)) = value.downcast_object_ref::<Name>() {
            return out.write_str(name).map_err(Error::from);
        }
        if value.is_undefined() {
            return Err(Error::new(ErrorKind::UndefinedError, "this has no value"));
        }
        if let Some(text) = value.as_str().filter(|_| value.is_safe()) {
            return out.write_str(text).map_err(Error::from);
        }
        let value = serde_json::to_value(value)
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
        if value.is_array() || value.is_object() {
            let message = "a list cannot stand in SQL: write a loop over it";
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        let is_text = value.is_string();
        let mut params = bound.lock().unwrap_or_else(PoisonError::into_inner);
        let number = params.iter().position(|known| *known == value).unwrap_or_else(|| {
            params.push(value);
            params.len() - 1
        });
        // A parameter has no type before it has its value, and a query is planned before that.
        let sql =
            if is_text { format!("cast(${} as varchar)", number + 1) } else { format!("${}", number + 1) };
        out.write_str(&sql).map_err(Error::from)
    });
    let named = tables.clone();
    environment.add_function("ref", move |name: String| relation(&named, &Target::Model(name)));
    let named = tables.clone();
    environment.add_function("source", move |source: String, table: String| {
        relation(&named, &Target::Source(source, table))
    });
    environment.add_function("identifier", |name: String| minijinja::Value::from_object(Name(quoted(&name))));
    let incremental = rendering.incremental;
    environment.add_function("is_incremental", move || incremental);
    let (vars, lenient) = (rendering.vars.clone(), rendering.lenient);
    environment.add_function("var", move |name: String, rest: Rest<minijinja::Value>, named: Kwargs| {
        let default = rest.first().cloned().or_else(|| named.get("default").ok());
        named.assert_all_used()?;
        match (vars.get(&name), default) {
            (Some(value), _) => Ok(minijinja::Value::from(minijinja::value::Serde(value))),
            (None, Some(default)) => Ok(default),
            (None, None) if lenient => Ok(minijinja::Value::from(())),
            (None, None) => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("the variable `{name}` has no value; give one with `--var {name}=…` or `vars: {{{name}: …}}`, or a default: `var('{name}', …)`"),
            )),
        }
    });
    environment
}

fn relation(
    tables: &BTreeMap<Target, Result<String, String>>,
    target: &Target,
) -> Result<minijinja::Value, Error> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    match tables.get(target) {
        Some(Ok(name)) => Ok(minijinja::Value::from_object(Name(name.clone()))),
        Some(Err(message)) => Err(wrong(message.clone())),
        None => {
            Err(wrong(format!("{target} is computed: write the name itself, so that the order is known")))
        }
    }
}

/// A name as SQL takes it, whatever its letters.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn find(text: &str, sign: &str, from: usize) -> Option<usize> {
    text.get(from..)?.find(sign).map(|at| at + from)
}

/// Where a tag ends: behind its closing signs, which do not count in quotes.
fn tag_end(text: &str, start: usize) -> usize {
    let Some(rest) = text.get(start + 2..) else { return text.len() };
    let closing = match text.get(start..start + 2) {
        Some("{{") => "}}",
        Some("{%") => "%}",
        _ => return rest.find("#}").map_or(text.len(), |at| start + 2 + at + 2),
    };
    let mut quote = None;
    for (at, sign) in rest.char_indices() {
        match (quote, sign) {
            (Some(open), sign) if open == sign => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(sign),
            (None, _) if rest.get(at..).is_some_and(|rest| rest.starts_with(closing)) => {
                return start + 2 + at + 2;
            }
            (None, _) => {}
        }
    }
    text.len()
}

/// The offset of a line and a column, both from 1, columns in characters.
fn offset_of(text: &str, line: u32, column: u32) -> usize {
    let line = usize::try_from(line.max(1)).unwrap_or(1);
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            let skipped = usize::try_from(column.max(1)).unwrap_or(1) - 1;
            let inner = content.char_indices().nth(skipped).map_or(content.len(), |(at, _)| at);
            return start + inner;
        }
        start += content.len();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(text: &str, vars: Value) -> Result<(Template, Rendered), Box<Problem>> {
        let template = Template::new("models/m.sql", text);
        let vars = vars.as_object().cloned().unwrap_or_default();
        let relation = |target: &Target| match target {
            Target::Model(name) => Ok(quoted(name)),
            Target::Source(source, table) => Ok(quoted(&format!("{source}.{table}"))),
        };
        let rendering = Rendering {
            relation: Box::new(relation),
            this: Some(quoted("m")),
            incremental: true,
            vars: &vars,
            lenient: false,
        };
        let rendered = template.render(&rendering)?;
        Ok((template, rendered))
    }

    fn sql(text: &str, vars: Value) -> (String, Vec<Value>) {
        let (_, rendered) = render(text, vars).unwrap();
        (rendered.sql, rendered.params)
    }

    #[test]
    fn names_are_put_in_and_values_are_bound() {
        let text = "select {{ var('x') }}, {{ identifier('a\"b') }} from {{ ref('o') }} {% if is_incremental() %}where t > {{ var('x') }} and u < {{ var('y', default=2) }} and v in (select v from {{ this }}){% endif %}";
        let (sql, params) = sql(text, json!({"x": "1; drop"}));
        assert_eq!(
            sql,
            r#"select cast($1 as varchar), "a""b" from "o" where t > cast($1 as varchar) and u < $2 and v in (select v from "m")"#
        );
        assert_eq!(params, [json!("1; drop"), json!(2)]);
    }

    #[test]
    fn nothing_makes_a_value_sql() {
        for text in [
            "{{ var('x') | safe }}",
            "{{ var('x') | escape }}",
            "{{ var('x') | tojson }}",
            "{{ [var('x')] }}",
            "{{ var('nothing') }}",
            "{{ nothing }}",
            "{{ ref(var('x')) }}",
        ] {
            assert!(render(text, json!({"x": "o"})).is_err(), "{text}");
        }
        for text in [
            "{{ var('x') ~ 'b' }}",
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(var('x')) }}",
            "{% set a %}{{ var('x') }}{% endset %}{{ a }}",
            "{% filter upper %}{{ var('x') }}{% endfilter %}",
            "{% autoescape false %}{% set a %}{{ var('x') }}{% endset %}{{ a }}{% endautoescape %}",
        ] {
            let (sql, _) = sql(text, json!({"x": "x' or 1=1"}));
            assert!(!sql.to_lowercase().contains("1=1"), "{text} became {sql}");
        }
    }

    #[test]
    fn calls_are_found_in_every_branch_with_their_places() {
        let template = Template::new(
            "m.sql",
            "select '{{ \"}}\" }}' {# ref('no') #} ref('no')\n{% if false %}from {{ ref( \"a\" ) }}{% endif %} {{source('s', 't')}}",
        );
        let found: Vec<_> = template
            .calls()
            .into_iter()
            .map(|call| (call.target.to_string(), call.place.line, call.place.column))
            .collect();
        assert_eq!(found, [("ref('a')".to_owned(), 2, 29), ("source('s', 't')".to_owned(), 2, 58)]);
    }

    #[test]
    fn places_in_sql_are_places_in_the_file() {
        let text = "{% set a = 1 %}\nselect {% for n in [1, 2] %}\n  x{{ n }},{% endfor %} ä, wrong\nfrom t";
        let (template, rendered) = render(text, json!({})).unwrap();
        let at = |word: &str| {
            let offset = rendered.sql.find(word).unwrap();
            let before = &rendered.sql[..offset];
            let line = u32::try_from(before.matches('\n').count() + 1).unwrap();
            let column = u32::try_from(before.rsplit('\n').next().unwrap().chars().count() + 1).unwrap();
            let place = template.place_of(&rendered, line, column);
            (place.line, place.column, place.length)
        };
        assert_eq!(at("select"), (2, 1, 6));
        assert_eq!(at("wrong"), (3, 28, 5));
        assert_eq!(at("from"), (4, 1, 4));
        assert_eq!(at("x$2"), (3, 3, 1));
    }

    #[test]
    fn a_mistake_in_a_template_has_its_place() {
        let problem = render("select 1\n, {{ nothing('x') }}", json!({})).unwrap_err();
        let place = problem.place.unwrap();
        assert_eq!((place.line, place.column), (2, 6), "{}", problem.message);
        let problem = render("select 1\n{% if x", json!({})).unwrap_err();
        assert_eq!(problem.place.unwrap().line, 2, "{}", problem.message);
    }
}
