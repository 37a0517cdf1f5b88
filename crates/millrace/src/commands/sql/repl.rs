//! `millrace sql` without a query: ask, see, ask again; or, where nobody sits at a terminal, the statements of standard input one by one.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use millrace_contract::{BatchStream, DatasetCatalog, DatasetVersion, QueryRequest};
use millrace_tracking::tables;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use serde_json::{Value, json};

use super::print_rows;
use crate::boot::Rooms;
use crate::printer::Printer;

/// Words of SQL that are completed.
const WORDS: &[&str] = &[
    "all",
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "cross",
    "date",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "filter",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "interval",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "qualify",
    "right",
    "select",
    "then",
    "timestamp",
    "true",
    "union",
    "unnest",
    "using",
    "values",
    "when",
    "where",
    "with",
    "within",
];
/// Functions that most queries use.
const FUNCTIONS: &[&str] = &[
    "abs",
    "approx_distinct",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "ceil",
    "coalesce",
    "concat",
    "corr",
    "count",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "dense_rank",
    "first_value",
    "floor",
    "greatest",
    "lag",
    "last_value",
    "lead",
    "least",
    "length",
    "ln",
    "lower",
    "max",
    "median",
    "min",
    "now",
    "ntile",
    "nullif",
    "power",
    "rank",
    "regexp_like",
    "regexp_replace",
    "replace",
    "round",
    "row_number",
    "split_part",
    "sqrt",
    "starts_with",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "to_timestamp",
    "trim",
    "trunc",
    "upper",
    "var",
];
const HELP: &str = "A query ends with `;` and may have several lines. Tab completes names.
  \\d            the datasets and connections
  \\d NAME       the columns of a dataset or table
  \\limit N      rows that are shown
  \\timing       tell how long queries take, or no longer
  \\q            end (also Ctrl-D); Ctrl-C ends a query";

/// What one line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Query(String),
    Tables,
    Columns(String),
    Limit(usize),
    Timing,
    Help,
    End,
    /// A word that is none of these.
    Unknown(String),
}

impl Asked {
    fn of(line: &str) -> Self {
        let line = line.trim();
        let Some(word) = line.strip_prefix('\\') else {
            let query = line.trim_end_matches(';').trim();
            return match query {
                "" => Self::Nothing,
                "exit" | "quit" => Self::End,
                query => Self::Query(query.to_owned()),
            };
        };
        let (word, rest) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match (word, rest.trim().trim_end_matches(';')) {
            ("d", "") => Self::Tables,
            ("d", name) => Self::Columns(name.to_owned()),
            ("limit", rows) => rows.parse().map_or_else(|_| Self::Unknown(line.to_owned()), Self::Limit),
            ("timing", "") => Self::Timing,
            ("?" | "h" | "help", _) => Self::Help,
            ("q" | "quit", _) => Self::End,
            _ => Self::Unknown(line.to_owned()),
        }
    }
}

/// The statements of a text, each up to its `;`; those within quotes and comments end none.
fn statements(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut letters = text.chars().peekable();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        let Some(open) = found.last_mut() else { break };
        match (quote, letter) {
            (None, ';') => {
                found.push(String::new());
                continue;
            }
            (None, '-') if letters.peek() == Some(&'-') => {
                while letters.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            (None, '\'' | '"') => quote = Some(letter),
            (Some(mark), letter) if mark == letter => quote = None,
            _ => {}
        }
        open.push(letter);
    }
    found.into_iter().map(|statement| statement.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// Names that are completed: of datasets, connections and their columns.
#[derive(Default)]
struct Names {
    tables: Vec<String>,
    /// A table and one of its columns.
    columns: Vec<(String, String)>,
}

/// Completes words.
struct Words(Arc<Mutex<Names>>);

impl Words {
    fn matching(&self, line: &str, start: &str) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lower = line.to_lowercase();
        let start = start.to_lowercase();
        let mut found: Vec<String> = Vec::new();
        let mut offer = |word: &str| {
            if word.to_lowercase().starts_with(&start) && !found.iter().any(|other| other == word) {
                found.push(word.to_owned());
            }
        };
        // Columns of tables that the query names come first; before it names one, those of all.
        let named = |table: &str| lower.contains(&table.to_lowercase());
        let any = names.columns.iter().any(|(table, _)| named(table));
        names.columns.iter().filter(|(table, _)| !any || named(table)).for_each(|(_, name)| offer(name));
        names.tables.iter().for_each(|name| offer(name));
        FUNCTIONS.iter().chain(WORDS).for_each(|word| offer(word));
        found
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or_default();
        let begin =
            before.rfind(|letter: char| !(letter.is_alphanumeric() || letter == '_')).map_or(0, |place| {
                place + before.get(place..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
            });
        let start = before.get(begin..).unwrap_or_default();
        if start.is_empty() {
            return Ok((at, Vec::new()));
        }
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((begin, self.matching(line, start).into_iter().map(pair).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let line = context.input().trim();
        let whole = line.is_empty()
            || line.starts_with('\\')
            || line.ends_with(';')
            || matches!(line, "exit" | "quit");
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

/// What stays from one query to the next.
struct Session<'a> {
    rooms: &'a Rooms,
    printer: &'a Printer,
    limit: usize,
    timing: bool,
}

/// Reads and answers until the end.
pub(super) async fn run(rooms: &Rooms, limit: usize, printer: &Printer) -> Result<ExitCode> {
    let mut session = Session { rooms, printer, limit, timing: false };
    if !std::io::stdin().is_terminal() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        for statement in statements(&text) {
            if !session.answer(Asked::of(&statement)).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    session.talk().await?;
    Ok(ExitCode::SUCCESS)
}

impl Session<'_> {
    async fn talk(&mut self) -> Result<()> {
        let names = Arc::new(Mutex::new(self.names().await?));
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
        let mut editor: Editor<Words, FileHistory> = Editor::with_config(config)?;
        editor.set_helper(Some(Words(names)));
        let history = self.rooms.workspace.state_folder().join("sql_history");
        // There is none before the first time.
        let _ = editor.load_history(&history);
        self.printer.note("a query ends with `;`, `\\?` says what else there is");
        loop {
            // The editor waits for keys, which must not hold up what else runs here.
            let (back, line) = tokio::task::spawn_blocking(move || {
                let line = editor.readline("sql> ");
                (editor, line)
            })
            .await?;
            editor = back;
            match line {
                Ok(line) => match Asked::of(&line) {
                    Asked::End => break,
                    asked => {
                        self.answer(asked).await?;
                    }
                },
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if let Err(error) = editor.save_history(&history) {
            self.printer.note(&format!("the history could not be kept: {error}"));
        }
        Ok(())
    }

    /// Whether it could be answered.
    async fn answer(&mut self, asked: Asked) -> Result<bool> {
        match asked {
            Asked::Nothing | Asked::End => {}
            Asked::Help => self.printer.line(HELP),
            Asked::Timing => {
                self.timing = !self.timing;
                self.printer.note(if self.timing {
                    "queries tell their time"
                } else {
                    "queries tell no time"
                });
            }
            Asked::Limit(rows) => self.limit = rows,
            Asked::Unknown(line) => {
                self.printer.note(&format!("`{line}` is nothing that can be asked; `\\?` says what can"));
                return Ok(false);
            }
            Asked::Tables => self.tables().await?,
            Asked::Columns(name) => return self.query(format!("select * from {name} limit 0"), true).await,
            Asked::Query(sql) => return self.query(sql, false).await,
        }
        Ok(true)
    }
}

impl Session<'_> {
    /// Whether the query ran. Ctrl-C ends it.
    async fn query(&self, sql: String, columns: bool) -> Result<bool> {
        let begun = Instant::now();
        let asked = async {
            let (engine, catalog) = (self.rooms.queries.as_ref(), self.rooms.catalog.as_ref());
            let tables = match tables::named_in(engine, catalog, &self.rooms.workspace.root, &sql).await {
                Ok(tables) => tables,
                Err(error) => {
                    self.printer.problem(&error.problem(), None);
                    return Ok(false);
                }
            };
            let limit = Some(self.limit.saturating_add(1));
            let request = QueryRequest { sql: sql.clone(), params: Vec::new(), tables, limit };
            let rows = match engine.query(request).await {
                Ok(rows) if columns => {
                    print_columns(&rows, self.printer);
                    return Ok(true);
                }
                Ok(rows) => print_rows(rows, self.limit, self.printer).await,
                Err(error) => {
                    self.printer.problem(&tables::TablesError::from(error).problem(), None);
                    return Ok(false);
                }
            };
            if let Err(error) = &rows {
                self.printer.note(&format!("{error:#}"));
            }
            Ok(rows.is_ok())
        };
        let done = tokio::select! {
            done = asked => done,
            _ = tokio::signal::ctrl_c() => {
                self.printer.note("the query was ended");
                Ok(false)
            }
        };
        if self.timing {
            self.printer.note(&format!("{:.3} s", begun.elapsed().as_secs_f64()));
        }
        done
    }

    /// Datasets and their rows; and the connections.
    async fn tables(&self) -> Result<()> {
        let mut found = Vec::new();
        for version in self.datasets().await? {
            found.push(json!({"name": version.asset.name, "kind": "dataset", "rows": version.asset.rows}));
        }
        let connections = self.rooms.workspace.connections().usable();
        for name in connections.map_err(|problem| anyhow!("{}", problem.message))?.keys() {
            found.push(json!({"name": name, "kind": "connection", "rows": null}));
        }
        self.printer.list(&found, &["name", "kind", "rows"], |row| {
            ["name", "kind", "rows"].map(|name| cell(&row[name])).to_vec()
        });
        Ok(())
    }

    async fn datasets(&self) -> Result<Vec<DatasetVersion>> {
        Ok(DatasetCatalog::list(self.rooms.catalog.as_ref()).await?)
    }

    async fn names(&self) -> Result<Names> {
        let mut names = Names::default();
        for version in self.datasets().await? {
            let Some(name) = version.asset.name.clone() else { continue };
            for column in version.schema.as_array().into_iter().flatten() {
                if let Some(column) = column["name"].as_str() {
                    names.columns.push((name.clone(), column.to_owned()));
                }
            }
            names.tables.push(name);
        }
        if let Ok(connections) = self.rooms.workspace.connections().usable() {
            names.tables.extend(connections.keys().cloned());
        }
        Ok(names)
    }
}

fn print_columns(rows: &BatchStream, printer: &Printer) {
    let columns = rows.schema.fields().iter();
    let rows: Vec<Value> =
        columns.map(|field| json!({"column": field.name(), "type": field.data_type().to_string()})).collect();
    printer.list(&rows, &["column", "type"], |row| ["column", "type"].map(|name| cell(&row[name])).to_vec());
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_statements() {
        let text = "select ';' as a; -- one; two\nselect \"b;\" from t\n;\n;select 'it''s';";
        assert_eq!(statements(text), ["select ';' as a", "select \"b;\" from t", "select 'it''s'"]);
        assert_eq!(statements(" -- nothing\n"), [""; 0]);
    }

    #[test]
    fn lines_are_understood() {
        assert_eq!(Asked::of(" select 1 ;"), Asked::Query("select 1".to_owned()));
        assert_eq!(Asked::of("\\d"), Asked::Tables);
        assert_eq!(Asked::of("\\d flights;"), Asked::Columns("flights".to_owned()));
        assert_eq!(Asked::of("\\limit 5"), Asked::Limit(5));
        assert_eq!(Asked::of("\\limit x"), Asked::Unknown("\\limit x".to_owned()));
        assert_eq!(
            (Asked::of(";"), Asked::of("exit"), Asked::of("\\q")),
            (Asked::Nothing, Asked::End, Asked::End)
        );
    }

    #[test]
    fn columns_of_the_tables_that_are_named_come_first() {
        let columns = [("flights", "origin"), ("planes", "order_no")];
        let columns = columns.map(|(table, column)| (table.to_owned(), column.to_owned())).to_vec();
        let words = Words(Arc::new(Mutex::new(Names { tables: vec!["orders".to_owned()], columns })));
        assert_eq!(words.matching("select or from flights", "or"), ["origin", "orders", "or", "order"]);
        assert_eq!(words.matching("select or", "or"), ["origin", "order_no", "orders", "or", "order"]);
        assert_eq!(words.matching("select o", "approx_d"), ["approx_distinct"]);
    }
}
