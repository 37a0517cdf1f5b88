//! Filters and orders of the model registry: `name LIKE 'churn%' AND tags.team = 'a'`.

use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::registry::{PROMPT_TAG, RegistryClause, RegistryField, RegistryOrder};

use super::InvalidSearch;
use super::lexer::{Segment, Token, tokens};
use super::parser::is_word;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryTarget {
    /// Registered models.
    Models,
    /// Their versions.
    Versions,
}

/// Clauses in one filter.
const MOST_CLAUSES: usize = 200;

/// Bytes of a pattern; SQLite takes 50,000.
const LONGEST_PATTERN: usize = 10_000;

/// Reads `clause (AND clause)*`, and whether it asks for prompts.
///
/// Prompts are hidden unless the tag [`PROMPT_TAG`] is asked to be `true`. Models do not have that tag, so a clause that asks for it to
/// be anything else says nothing more.
///
/// # Errors
/// If it cannot be read, names an unknown field, or compares a field with what it cannot be compared with.
pub fn parse_registry_filter(
    target: RegistryTarget,
    filter: &str,
) -> Result<(Vec<RegistryClause>, bool), InvalidSearch> {
    let mut clauses = Vec::new();
    let mut parser = Parser { tokens: tokens(filter)?.into_iter().peekable(), filter };
    if parser.tokens.peek().is_none() {
        return Ok((clauses, false));
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
    let of_prompts = |clause: &RegistryClause| clause.field == RegistryField::Tag(PROMPT_TAG.to_owned());
    let prompts = clauses.iter().find(|clause| of_prompts(clause)).is_some_and(|clause| {
        let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
        match &clause.condition {
            Condition::Text(Compare::Equal, text) => is(text, "true"),
            Condition::Text(Compare::NotEqual, text) => is(text, "false"),
            _ => false,
        }
    });
    if !prompts {
        clauses.retain(|clause| !of_prompts(clause));
    }
    Ok((clauses, prompts))
}

/// Reads `field [ASC|DESC]`.
///
/// # Errors
/// If it cannot be read or names a field that cannot be sorted by.
pub fn parse_registry_order(target: RegistryTarget, order: &str) -> Result<RegistryOrder, InvalidSearch> {
    let invalid = || InvalidSearch::new(format!("Invalid order_by clause '{order}'"));
    let mut tokens = tokens(order).map_err(|_| invalid())?.into_iter();
    let Some(Token::Path(path)) = tokens.next() else { return Err(invalid()) };
    let key = match path.as_slice() {
        [key] => key,
        [entity, key] if is_attribute(entity) => key,
        _ => return Err(invalid()),
    };
    let field = match (key.text.as_str(), target) {
        ("name", _) => RegistryField::Name,
        ("version_number", RegistryTarget::Versions) => RegistryField::Version,
        ("creation_timestamp", _) => RegistryField::CreatedAt,
        ("last_updated_timestamp", _) | ("timestamp", RegistryTarget::Models) => RegistryField::UpdatedAt,
        (key, _) => {
            return Err(InvalidSearch::new(format!(
                "Invalid order by key '{key}' specified. Valid keys are {}",
                match target {
                    RegistryTarget::Models => "name, creation_timestamp, last_updated_timestamp",
                    RegistryTarget::Versions =>
                        "name, version_number, creation_timestamp, last_updated_timestamp",
                }
            )));
        }
    };
    let ascending = match tokens.next() {
        None => true,
        Some(token) if is_word(&token, "asc") => true,
        Some(token) if is_word(&token, "desc") => false,
        Some(_) => return Err(invalid()),
    };
    if tokens.next().is_some() {
        return Err(invalid());
    }
    Ok(RegistryOrder { field, ascending })
}

fn is_attribute(segment: &Segment) -> bool {
    !segment.quoted && matches!(segment.text.as_str(), "attribute" | "attributes")
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    filter: &'a str,
}

impl Parser<'_> {
    fn invalid(&self) -> InvalidSearch {
        InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}'", self.filter))
    }

    fn clause(&mut self, target: RegistryTarget) -> Result<RegistryClause, InvalidSearch> {
        let Some(Token::Path(path)) = self.tokens.next() else { return Err(self.invalid()) };
        let field = field(target, &path)?;
        let condition = match self.tokens.next() {
            Some(Token::Sign(sign)) if field == RegistryField::Version => self.number(sign)?,
            Some(Token::Sign("=")) => Condition::Text(Compare::Equal, self.text()?),
            Some(Token::Sign("!=")) => Condition::Text(Compare::NotEqual, self.text()?),
            Some(token) if field != RegistryField::Version => self.words(&token, &field)?,
            _ => return Err(self.invalid()),
        };
        Ok(RegistryClause { field, condition })
    }

    fn words(&mut self, token: &Token, field: &RegistryField) -> Result<Condition, InvalidSearch> {
        for (word, any_case) in [("like", false), ("ilike", true)] {
            if is_word(token, word) {
                let pattern = self.text()?;
                if pattern.len() > LONGEST_PATTERN {
                    return Err(InvalidSearch::new(format!("a pattern has {LONGEST_PATTERN} bytes at most")));
                }
                return Ok(Condition::Like { pattern, any_case, negated: false });
            }
        }
        let negated = is_word(token, "not");
        let word = if negated { self.tokens.next() } else { Some(token.clone()) };
        let listed = matches!(field, RegistryField::Name | RegistryField::RunId);
        if !word.is_some_and(|word| is_word(&word, "in")) || !listed {
            return Err(self.invalid());
        }
        Ok(Condition::In { values: self.list()?, negated })
    }

    fn text(&mut self) -> Result<String, InvalidSearch> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Number(number)) => Err(InvalidSearch::new(format!(
                "Expected a quoted string value. Found {number}; write it in quotes"
            ))),
            _ => Err(self.invalid()),
        }
    }

    /// A whole number, in quotes or not.
    #[allow(clippy::cast_precision_loss, reason = "nobody has as many versions")]
    fn number(&mut self, sign: &str) -> Result<Condition, InvalidSearch> {
        let compare = match sign {
            "=" => Compare::Equal,
            "!=" => Compare::NotEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            ">" => Compare::Greater,
            _ => Compare::GreaterOrEqual,
        };
        let number = match self.tokens.next() {
            Some(Token::Number(number)) => Some(number).filter(|number| number.fract() == 0.0),
            Some(Token::Text(text)) => text.trim().parse::<i64>().ok().map(|number| number as f64),
            _ => None,
        };
        let number = number.ok_or_else(|| {
            let message = format!(
                "Invalid value for numeric attribute 'version_number' in '{}'. It must be an integer",
                self.filter
            );
            InvalidSearch::new(message)
        })?;
        Ok(Condition::Number(compare, number))
    }

    fn list(&mut self) -> Result<Vec<String>, InvalidSearch> {
        if self.tokens.next() != Some(Token::Open) {
            return Err(self.invalid());
        }
        let mut values = Vec::new();
        loop {
            values.push(self.text()?);
            match self.tokens.next() {
                Some(Token::Comma) => {}
                Some(Token::Close) => return Ok(values),
                _ => return Err(self.invalid()),
            }
        }
    }
}

/// The field that a path names.
fn field(target: RegistryTarget, path: &[Segment]) -> Result<RegistryField, InvalidSearch> {
    let shown = || path.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
    let attribute = |key: &str| match (key, target) {
        ("name", _) => Ok(RegistryField::Name),
        ("version_number", RegistryTarget::Versions) => Ok(RegistryField::Version),
        ("run_id", RegistryTarget::Versions) => Ok(RegistryField::RunId),
        ("source_path", RegistryTarget::Versions) => Ok(RegistryField::Source),
        _ => Err(InvalidSearch::new(format!(
            "Invalid attribute key '{key}' specified. Valid keys are: {}",
            match target {
                RegistryTarget::Models => "name",
                RegistryTarget::Versions => "name, version_number, run_id, source_path",
            }
        ))),
    };
    match path {
        [key] => attribute(&key.text),
        [entity, key] if is_attribute(entity) => attribute(&key.text),
        [entity, rest @ ..] if !entity.quoted && matches!(entity.text.as_str(), "tag" | "tags") => {
            // A quoted key is one segment; dots of a plain one are part of it.
            if rest.len() > 1 && rest.iter().any(|segment| segment.quoted) {
                return Err(InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}'", shown())));
            }
            Ok(RegistryField::Tag(
                rest.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join("."),
            ))
        }
        _ => Err(InvalidSearch::new(format!("Invalid entity type in '{}'", shown()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: RegistryTarget, filter: &str) -> String {
        match parse_registry_filter(target, filter) {
            Ok((clauses, prompts)) => {
                let clause = |clause: &RegistryClause| format!("{:?} {:?}", clause.field, clause.condition);
                format!(
                    "{}{}",
                    clauses.iter().map(clause).collect::<Vec<_>>().join("; "),
                    if prompts { " +prompts" } else { "" }
                )
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn filters_are_read_as_mlflow_reads_them() {
        use RegistryTarget::{Models, Versions};
        for (target, filter, expected) in [
            (Models, "", ""),
            (
                Models,
                "name = 'a' and tags.`x y` ILIKE \"B%\"",
                "Name Text(Equal, \"a\"); Tag(\"x y\") Like { pattern: \"B%\", any_case: true, negated: false }",
            ),
            (Models, "name IN ('a', 'b')", "Name In { values: [\"a\", \"b\"], negated: false }"),
            (Models, "tag.a.b != 'c'", "Tag(\"a.b\") Text(NotEqual, \"c\")"),
            (
                Versions,
                "version_number >= 2 AND version_number != '5'",
                "Version Number(GreaterOrEqual, 2.0); Version Number(NotEqual, 5.0)",
            ),
            (Versions, "run_id NOT IN ('r')", "RunId In { values: [\"r\"], negated: true }"),
            (
                Versions,
                "source_path LIKE 's3:%'",
                "Source Like { pattern: \"s3:%\", any_case: false, negated: false }",
            ),
            (
                Models,
                "tags.`mlflow.prompt.is_prompt` = 'true' AND name = 'a'",
                "Tag(\"mlflow.prompt.is_prompt\") Text(Equal, \"true\"); Name Text(Equal, \"a\") +prompts",
            ),
            (Models, "tags.`mlflow.prompt.is_prompt` != 'true' AND name = 'a'", "Name Text(Equal, \"a\")"),
            (Versions, "tags.`mlflow.prompt.is_prompt` = 'false'", ""),
        ] {
            assert_eq!(read(target, filter), expected, "{filter}");
        }
        for (target, filter) in [
            (Models, "run_id = 'a'"),
            (Models, "name > 'a'"),
            (Models, "name = a"),
            (Models, "name = 'a' OR name = 'b'"),
            (Models, "name IN ()"),
            (Models, "tags.a IN ('b')"),
            (Models, "nothing.a = 'b'"),
            (Models, "name = 'a"),
            (Models, "name = 3"),
            (Versions, "version_number = 1.5"),
            (Versions, "version_number LIKE '1'"),
            (Versions, "version_number = 'x'"),
            (Versions, "source_path IN ('a')"),
            (Versions, "name = 'a' AND"),
        ] {
            assert!(read(target, filter).starts_with("error: "), "{filter}");
        }
    }

    #[test]
    fn orders_name_a_column() {
        let read = |target, order: &str| {
            parse_registry_order(target, order).map(|order| (order.field, order.ascending)).ok()
        };
        assert_eq!(read(RegistryTarget::Models, "timestamp DESC"), Some((RegistryField::UpdatedAt, false)));
        assert_eq!(read(RegistryTarget::Versions, "version_number"), Some((RegistryField::Version, true)));
        assert_eq!(read(RegistryTarget::Models, "version_number"), None);
        assert_eq!(read(RegistryTarget::Models, "name UP"), None);
        assert_eq!(read(RegistryTarget::Models, "tags.a ASC"), None);
    }
}
