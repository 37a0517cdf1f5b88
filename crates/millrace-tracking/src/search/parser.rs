//! From tokens to clauses and orders.

use millrace_metastore::experiments::{Attribute, Clause, Compare, Condition, Field, Order};

use super::InvalidSearch;
use super::fields::{Holds, Target, field};
use super::lexer::{Token, tokens};

/// Clauses in one filter.
const MOST_CLAUSES: usize = 200;

/// Reads `clause (AND clause)*`; an empty filter has no clause.
///
/// # Errors
/// If it cannot be read, names an unknown field, or compares a field with what it cannot be compared with.
pub fn parse_filter(target: Target, filter: &str) -> Result<Vec<Clause>, InvalidSearch> {
    let tokens = tokens(filter)?;
    let mut clauses = Vec::new();
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), filter };
    if parser.tokens.peek().is_none() {
        return Ok(clauses);
    }
    loop {
        clauses.push(parser.clause(target)?);
        match parser.tokens.next() {
            None => break,
            Some(token) if is_word(&token, "and") => {}
            Some(_) => return Err(parser.invalid()),
        }
    }
    if clauses.len() > MOST_CLAUSES {
        return Err(InvalidSearch::new(format!("a filter has {MOST_CLAUSES} clauses at most")));
    }
    Ok(clauses)
}

/// Reads `field [ASC|DESC]`.
///
/// # Errors
/// If it cannot be read or names a field that cannot be sorted by.
pub fn parse_order(target: Target, order: &str) -> Result<Order, InvalidSearch> {
    let invalid = || InvalidSearch::new(format!("Invalid order_by clause '{order}'"));
    let mut tokens = tokens(order).map_err(|_| invalid())?.into_iter();
    let Some(Token::Path(path)) = tokens.next() else { return Err(invalid()) };
    let (field, _) = field(target, &path)?;
    let ascending = match tokens.next() {
        None => true,
        Some(token) if is_word(&token, "asc") => true,
        Some(token) if is_word(&token, "desc") => false,
        Some(_) => return Err(invalid()),
    };
    if tokens.next().is_some() || matches!(field, Field::Dataset(_)) {
        return Err(invalid());
    }
    Ok(Order { field, ascending })
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    filter: &'a str,
}

impl Parser<'_> {
    fn invalid(&self) -> InvalidSearch {
        InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}'", self.filter))
    }

    fn clause(&mut self, target: Target) -> Result<Clause, InvalidSearch> {
        let Some(Token::Path(path)) = self.tokens.next() else { return Err(self.invalid()) };
        let (field, holds) = field(target, &path)?;
        let condition = match self.tokens.next() {
            Some(Token::Sign(sign)) => self.compared(sign, holds)?,
            Some(token) if is_word(&token, "is") => self.null(&field)?,
            Some(token) if is_word(&token, "like") => self.like(false, holds)?,
            Some(token) if is_word(&token, "ilike") => self.like(true, holds)?,
            Some(token) if is_word(&token, "in") => self.one_of(false, &field, holds)?,
            Some(token) if is_word(&token, "not") => {
                self.word("in")?;
                self.one_of(true, &field, holds)?
            }
            _ => return Err(self.invalid()),
        };
        Ok(Clause { field, condition })
    }

    fn word(&mut self, word: &str) -> Result<(), InvalidSearch> {
        match self.tokens.next() {
            Some(token) if is_word(&token, word) => Ok(()),
            _ => Err(self.invalid()),
        }
    }

    fn compared(&mut self, sign: &'static str, holds: Holds) -> Result<Condition, InvalidSearch> {
        let compare = match sign {
            "=" => Compare::Equal,
            "!=" => Compare::NotEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            ">" => Compare::Greater,
            _ => Compare::GreaterOrEqual,
        };
        match (holds, self.tokens.next()) {
            (Holds::Number, Some(Token::Number(number))) => Ok(Condition::Number(compare, number)),
            (Holds::Number, Some(Token::Text(text))) => Err(InvalidSearch::new(format!(
                "Expected numeric value type for metric or time. Found '{text}'"
            ))),
            (Holds::Text, Some(Token::Text(text))) => match compare {
                Compare::Equal | Compare::NotEqual => Ok(Condition::Text(compare, text)),
                _ => Err(InvalidSearch::new(format!(
                    "Invalid comparator '{sign}' for a text in '{}'",
                    self.filter
                ))),
            },
            (Holds::Text, Some(Token::Number(number))) => Err(InvalidSearch::new(format!(
                "Expected a quoted string value. Found {number}; write it in quotes"
            ))),
            _ => Err(self.invalid()),
        }
    }

    fn null(&mut self, field: &Field) -> Result<Condition, InvalidSearch> {
        let mut condition = Condition::Null;
        if self.tokens.peek().is_some_and(|token| is_word(token, "not")) {
            self.tokens.next();
            condition = Condition::NotNull;
        }
        self.word("null")?;
        match field {
            Field::Param(_) | Field::Tag(_) => Ok(condition),
            _ => Err(InvalidSearch::new(format!(
                "IS NULL and IS NOT NULL ask for parameters and tags only, not in '{}'",
                self.filter
            ))),
        }
    }

    fn like(&mut self, any_case: bool, holds: Holds) -> Result<Condition, InvalidSearch> {
        match (holds, self.tokens.next()) {
            (Holds::Text, Some(Token::Text(pattern))) => Ok(Condition::Like { pattern, any_case }),
            _ => Err(self.invalid()),
        }
    }

    fn one_of(&mut self, negated: bool, field: &Field, holds: Holds) -> Result<Condition, InvalidSearch> {
        let fits = matches!(field, Field::Dataset(_) | Field::Attribute(Attribute::Id))
            || matches!(field, Field::Attribute(_)) && holds == Holds::Text;
        if !fits || self.tokens.next() != Some(Token::Open) {
            return Err(self.invalid());
        }
        let mut values = Vec::new();
        loop {
            match self.tokens.next() {
                Some(Token::Text(text)) => values.push(text),
                _ => return Err(self.invalid()),
            }
            match self.tokens.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => break,
                _ => return Err(self.invalid()),
            }
        }
        Ok(Condition::In { values, negated })
    }
}

pub(super) fn is_word(token: &Token, word: &str) -> bool {
    match token {
        Token::Path(path) => match path.as_slice() {
            [only] => !only.quoted && only.text.eq_ignore_ascii_case(word),
            _ => false,
        },
        _ => false,
    }
}
