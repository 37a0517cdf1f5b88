//! From tokens to clauses and orders.

use millrace_metastore::experiments::{Clause, Compare, Condition, Field, Filter, Order};

use super::InvalidSearch;
use super::fields::{Holds, Target, field};
use super::lexer::{Token, tokens};

/// Clauses in one filter.
const MOST_CLAUSES: usize = 200;
/// Parentheses in one another.
const DEEPEST: usize = 32;

/// Reads `clause (AND clause)*`, which is MLflow's language, and what goes beyond it: OR, which binds less than AND, parentheses, IN and
/// IS NULL of everything, BETWEEN, NOT LIKE, LIKE of times. An empty filter leaves nothing out.
///
/// # Errors
/// If it cannot be read, names an unknown field, or compares a field with what it cannot be compared with.
pub fn parse_filter(target: Target, filter: &str) -> Result<Filter, InvalidSearch> {
    let tokens = tokens(filter)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), filter, target, clauses: 0 };
    if parser.tokens.peek().is_none() {
        return Ok(Filter::default());
    }
    let read = parser.any(0)?;
    if parser.tokens.next().is_some() {
        return Err(parser.invalid());
    }
    Ok(read)
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
    target: Target,
    clauses: usize,
}

impl Parser<'_> {
    fn invalid(&self) -> InvalidSearch {
        InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}'", self.filter))
    }

    fn next_is(&mut self, word: &str) -> bool {
        let is = self.tokens.peek().is_some_and(|token| is_word(token, word));
        if is {
            self.tokens.next();
        }
        is
    }

    /// Parts with OR between.
    fn any(&mut self, depth: usize) -> Result<Filter, InvalidSearch> {
        let mut parts = vec![self.all(depth)?];
        while self.next_is("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    /// Parts with AND between.
    fn all(&mut self, depth: usize) -> Result<Filter, InvalidSearch> {
        let mut parts = vec![self.part(depth)?];
        while self.next_is("and") {
            parts.push(self.part(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn part(&mut self, depth: usize) -> Result<Filter, InvalidSearch> {
        if self.tokens.peek() != Some(&Token::Open) {
            return self.clause();
        }
        self.tokens.next();
        if depth == DEEPEST {
            return Err(InvalidSearch::new(format!(
                "a filter has {DEEPEST} parentheses in one another at most"
            )));
        }
        let inner = self.any(depth + 1)?;
        if self.tokens.next() != Some(Token::Close) {
            return Err(self.invalid());
        }
        Ok(inner)
    }

    fn clause(&mut self) -> Result<Filter, InvalidSearch> {
        self.clauses += 1;
        if self.clauses > MOST_CLAUSES {
            return Err(InvalidSearch::new(format!("a filter has {MOST_CLAUSES} clauses at most")));
        }
        let Some(Token::Path(path)) = self.tokens.next() else { return Err(self.invalid()) };
        let (field, holds) = field(self.target, &path)?;
        let condition = match self.tokens.next() {
            Some(Token::Sign(sign)) => self.compared(sign, holds)?,
            Some(token) if is_word(&token, "is") => self.null()?,
            Some(token) if is_word(&token, "between") => return self.between(field, holds),
            Some(token) if is_word(&token, "not") => self.of_word(true, &field, holds)?,
            Some(token) => {
                let word = self.word_of(&token)?;
                self.named(&word, false, &field, holds)?
            }
            None => return Err(self.invalid()),
        };
        Ok(Clause { field, condition }.into())
    }

    fn of_word(&mut self, negated: bool, field: &Field, holds: Holds) -> Result<Condition, InvalidSearch> {
        let token = self.tokens.next().ok_or_else(|| self.invalid())?;
        let word = self.word_of(&token)?;
        self.named(&word, negated, field, holds)
    }

    fn word_of(&self, token: &Token) -> Result<String, InvalidSearch> {
        ["like", "ilike", "in"]
            .into_iter()
            .find(|word| is_word(token, word))
            .map(str::to_owned)
            .ok_or_else(|| self.invalid())
    }

    fn named(
        &mut self,
        word: &str,
        negated: bool,
        field: &Field,
        holds: Holds,
    ) -> Result<Condition, InvalidSearch> {
        match word {
            "in" => self.one_of(negated, holds),
            word => self.like(word == "ilike", negated, field, holds),
        }
    }

    /// Both bounds belong to it.
    fn between(&mut self, field: Field, holds: Holds) -> Result<Filter, InvalidSearch> {
        let (low, and, high) = (self.tokens.next(), self.next_is("and"), self.tokens.next());
        match (holds, low, and, high) {
            (Holds::Number, Some(Token::Number(low)), true, Some(Token::Number(high))) => {
                let bound = |compare, number| {
                    Filter::from(Clause {
                        field: field.clone(),
                        condition: Condition::Number(compare, number),
                    })
                };
                Ok(Filter::All(vec![bound(Compare::GreaterOrEqual, low), bound(Compare::LessOrEqual, high)]))
            }
            _ => Err(InvalidSearch::new(format!(
                "BETWEEN takes a metric or time and two numbers: `metrics.x BETWEEN 0.1 AND 0.2`, not '{}'",
                self.filter
            ))),
        }
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

    fn null(&mut self) -> Result<Condition, InvalidSearch> {
        let condition = if self.next_is("not") { Condition::NotNull } else { Condition::Null };
        self.word("null")?;
        Ok(condition)
    }

    fn like(
        &mut self,
        any_case: bool,
        negated: bool,
        field: &Field,
        holds: Holds,
    ) -> Result<Condition, InvalidSearch> {
        // A time is compared as `2026-11-27 23:25:09.123`, UTC; only the search of runs knows how.
        let is_time = self.target == Target::Runs && matches!(field, Field::Attribute(_));
        match self.tokens.next() {
            Some(Token::Text(pattern)) if holds == Holds::Text || is_time => {
                Ok(Condition::Like { pattern, any_case, negated })
            }
            _ => Err(self.invalid()),
        }
    }

    fn one_of(&mut self, negated: bool, holds: Holds) -> Result<Condition, InvalidSearch> {
        if self.tokens.next() != Some(Token::Open) {
            return Err(self.invalid());
        }
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        loop {
            match (holds, self.tokens.next()) {
                (Holds::Text, Some(Token::Text(text))) => texts.push(text),
                (Holds::Number, Some(Token::Number(number))) => numbers.push(number),
                _ => return Err(self.invalid()),
            }
            match self.tokens.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => break,
                _ => return Err(self.invalid()),
            }
        }
        Ok(match holds {
            Holds::Text => Condition::In { values: texts, negated },
            Holds::Number => Condition::NumberIn { values: numbers, negated },
        })
    }
}

/// One part as it is, several together.
fn one_or(mut parts: Vec<Filter>, together: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            together(parts)
        }
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
