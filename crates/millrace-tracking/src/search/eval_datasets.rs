//! Filters and orders of evaluation datasets: `name LIKE 'qa_%' AND tags.team = 'search'`.
//!
//! There are few of them, so that they are filtered and sorted here and not in the database.

use std::cmp::Ordering;

use millrace_metastore::eval_datasets::EvalDatasetRow;
use millrace_metastore::experiments::{Compare, Condition};

use super::InvalidSearch;
use super::lexer::{Segment, Token, tokens};
use super::parser::is_word;
use super::trace_tests::TextTest;

/// Characters of a text in a filter.
const LONGEST_TEXT: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    CreatedAt,
    UpdatedAt,
    CreatedBy,
    UpdatedBy,
}

const COLUMNS: &[(&str, Column)] = &[
    ("name", Column::Name),
    ("created_time", Column::CreatedAt),
    ("last_update_time", Column::UpdatedAt),
    ("created_by", Column::CreatedBy),
    ("last_updated_by", Column::UpdatedBy),
];

#[derive(Debug)]
enum Clause {
    Time(Column, Compare, f64),
    Text(Column, TextTest),
    Tag(String, TextTest),
}

/// What datasets are asked for.
#[derive(Debug, Default)]
pub struct EvalDatasetFilter(Vec<Clause>);

/// How datasets are sorted: the first decides first, then the newest, then the id.
#[derive(Debug, Default)]
pub struct EvalDatasetOrder(Vec<(Column, bool)>);

impl EvalDatasetFilter {
    /// Reads `clause (AND clause)*`.
    ///
    /// # Errors
    /// If it cannot be read, names an unknown field, or compares a field with what it cannot be compared with.
    pub fn parse(filter: &str) -> Result<Self, InvalidSearch> {
        let invalid = || InvalidSearch::new(format!("Invalid clause(s) in filter string: '{filter}'"));
        let mut tokens = tokens(filter)?.into_iter().peekable();
        let mut clauses = Vec::new();
        while tokens.peek().is_some() {
            let Some(Token::Path(path)) = tokens.next() else { return Err(invalid()) };
            clauses.push(clause(&path, &mut tokens)?.ok_or_else(invalid)?);
            match tokens.next() {
                None => break,
                Some(token) if is_word(&token, "and") && tokens.peek().is_some() => {}
                Some(_) => return Err(invalid()),
            }
        }
        Ok(Self(clauses))
    }

    /// Whether a dataset fulfils all.
    pub fn holds(&self, row: &EvalDatasetRow) -> bool {
        self.0.iter().all(|clause| match clause {
            Clause::Time(column, compare, number) => compares(*compare, time(*column, row), *number),
            Clause::Text(column, test) => text(*column, row).is_some_and(|text| test.holds(text)),
            Clause::Tag(name, test) => {
                row.tags.iter().any(|(tag, content)| tag == name && test.holds(content))
            }
        })
    }
}

impl EvalDatasetOrder {
    /// Reads items such as `created_time DESC`.
    ///
    /// # Errors
    /// If one cannot be read or names what cannot be sorted by.
    pub fn parse(items: &[String]) -> Result<Self, InvalidSearch> {
        let item = |item: &String| {
            let invalid = || InvalidSearch::new(format!("Invalid order_by clause '{item}'"));
            let mut tokens = tokens(item).map_err(|_| invalid())?.into_iter();
            let Some(Token::Path(path)) = tokens.next() else { return Err(invalid()) };
            let [only] = path.as_slice() else { return Err(invalid()) };
            let column = column(&only.text)?;
            if matches!(column, Column::CreatedBy | Column::UpdatedBy) {
                return Err(invalid());
            }
            let ascending = match tokens.next() {
                None => true,
                Some(token) if is_word(&token, "asc") => true,
                Some(token) if is_word(&token, "desc") => false,
                Some(_) => return Err(invalid()),
            };
            if tokens.next().is_some() { Err(invalid()) } else { Ok((column, ascending)) }
        };
        items.iter().map(item).collect::<Result<_, _>>().map(Self)
    }

    /// Which of two datasets comes first.
    pub fn compare(&self, one: &EvalDatasetRow, other: &EvalDatasetRow) -> Ordering {
        let by = |(column, ascending): &(Column, bool)| {
            let order = match column {
                Column::Name => one.name.cmp(&other.name),
                column => time(*column, one).cmp(&time(*column, other)),
            };
            if *ascending { order } else { order.reverse() }
        };
        let told = self.0.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
        told.then(other.created_at_ms.cmp(&one.created_at_ms)).then(other.id.cmp(&one.id))
    }
}

fn column(word: &str) -> Result<Column, InvalidSearch> {
    let found = COLUMNS.iter().find(|(name, _)| *name == word);
    found.map(|(_, column)| *column).ok_or_else(|| {
        let words: Vec<&str> = COLUMNS.iter().map(|(word, _)| *word).collect();
        InvalidSearch::new(format!(
            "Invalid attribute key '{word}' specified. Valid keys are: {}",
            words.join(", ")
        ))
    })
}

fn text(column: Column, row: &EvalDatasetRow) -> Option<&str> {
    match column {
        Column::CreatedBy => row.created_by.as_deref(),
        Column::UpdatedBy => row.updated_by.as_deref(),
        _ => Some(&row.name),
    }
}

fn time(column: Column, row: &EvalDatasetRow) -> i64 {
    if column == Column::CreatedAt { row.created_at_ms } else { row.updated_at_ms }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of the next 285,000 years are exact")]
fn compares(compare: Compare, time: i64, number: f64) -> bool {
    let order = (time as f64).partial_cmp(&number);
    match compare {
        Compare::Equal => order == Some(Ordering::Equal),
        Compare::NotEqual => order != Some(Ordering::Equal),
        Compare::Less => order == Some(Ordering::Less),
        Compare::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Compare::Greater => order == Some(Ordering::Greater),
        Compare::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// The rest of a clause; `None` if it is none.
fn clause(
    path: &[Segment],
    tokens: &mut impl Iterator<Item = Token>,
) -> Result<Option<Clause>, InvalidSearch> {
    let (column, tag) = match path {
        [only] => (column(&only.text)?, None),
        [first, rest @ ..] if first.text == "tags" && !first.quoted => {
            let name = rest.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
            (Column::Name, Some(name))
        }
        _ => return Ok(None),
    };
    let is_time = tag.is_none() && matches!(column, Column::CreatedAt | Column::UpdatedAt);
    let sign = tokens.next();
    let condition = match (&sign, is_time) {
        (Some(Token::Sign(sign)), true) => {
            let Some(Token::Number(number)) = tokens.next() else { return Ok(None) };
            let compare = match *sign {
                "=" => Compare::Equal,
                "!=" => Compare::NotEqual,
                "<" => Compare::Less,
                "<=" => Compare::LessOrEqual,
                ">" => Compare::Greater,
                _ => Compare::GreaterOrEqual,
            };
            return Ok(Some(Clause::Time(column, compare, number)));
        }
        (Some(Token::Sign("=")), false) => taken(tokens).map(|text| Condition::Text(Compare::Equal, text)),
        (Some(Token::Sign("!=")), false) => {
            taken(tokens).map(|text| Condition::Text(Compare::NotEqual, text))
        }
        (Some(token), false) if is_word(token, "like") || is_word(token, "ilike") => {
            let any_case = is_word(token, "ilike");
            taken(tokens).map(|pattern| Condition::Like { pattern, any_case, negated: false })
        }
        (Some(token), false) if is_word(token, "in") && tag.is_none() && column == Column::Name => {
            list(tokens).map(|values| Condition::In { values, negated: false })
        }
        _ => None,
    };
    let Some(test) = condition.and_then(TextTest::of) else { return Ok(None) };
    Ok(Some(match tag {
        Some(name) => Clause::Tag(name, test),
        None => Clause::Text(column, test),
    }))
}

fn taken(tokens: &mut impl Iterator<Item = Token>) -> Option<String> {
    match tokens.next() {
        Some(Token::Text(text)) if text.chars().count() <= LONGEST_TEXT => Some(text),
        _ => None,
    }
}

fn list(tokens: &mut impl Iterator<Item = Token>) -> Option<Vec<String>> {
    if tokens.next() != Some(Token::Open) {
        return None;
    }
    let mut values = Vec::new();
    loop {
        values.push(taken(tokens)?);
        match tokens.next()? {
            Token::Comma => {}
            Token::Close => return Some(values),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_filtered_and_sorted() {
        let row = EvalDatasetRow {
            name: "qa_1".to_owned(),
            created_at_ms: 5,
            created_by: Some("ann".to_owned()),
            tags: vec![("team".to_owned(), "search".to_owned())],
            ..EvalDatasetRow::default()
        };
        let holds = |filter: &str| EvalDatasetFilter::parse(filter).unwrap().holds(&row);
        for filter in [
            "",
            "name LIKE 'qa_%'",
            "tags.team = 'search' AND created_time >= 5",
            "created_by != 'bob'",
            "name IN ('x', 'qa_1')",
        ] {
            assert!(holds(filter), "{filter}");
        }
        for filter in ["name = 'qa'", "tags.absent != 'x'", "last_updated_by = 'ann'", "created_time < 5"] {
            assert!(!holds(filter), "{filter}");
        }
        for filter in [
            "x = 'a'",
            "name > 'a'",
            "created_time = 'a'",
            "name = 'a' OR name = 'b'",
            "tags.a IN ('b')",
            "name = 'a' AND",
        ] {
            assert!(EvalDatasetFilter::parse(filter).is_err(), "{filter}");
        }
        let other = EvalDatasetRow { name: "a".to_owned(), created_at_ms: 9, ..EvalDatasetRow::default() };
        let order = |items: &[&str]| {
            let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
            EvalDatasetOrder::parse(&items).unwrap().compare(&row, &other)
        };
        assert_eq!((order(&[]), order(&["name DESC"])), (Ordering::Greater, Ordering::Less));
        assert_eq!(order(&["created_time ASC"]), Ordering::Less);
        assert!(EvalDatasetOrder::parse(&["created_by".to_owned()]).is_err());
    }
}
