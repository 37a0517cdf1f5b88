//! Data Factory's expressions, `@concat('a', pipeline().parameters.x)`, in our words.

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    Text(String),
    Number(String),
    /// A call and what follows it: `pipeline().parameters.x`, `concat(a, b)`.
    Call {
        name: String,
        arguments: Vec<Term>,
        path: Vec<String>,
    },
    /// A bare word: `true`, `null`.
    Word(String),
}

/// What names mean where an expression stands.
pub(super) trait Meaning {
    /// The step that an activity became, with the name of one of its outputs in our words.
    fn output(&self, activity: &str, path: &[String]) -> Option<String>;
    /// The expression for a variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A value in our words: text with `${{ … }}`. The error is what has no counterpart.
pub(super) fn value(text: &str, meaning: &dyn Meaning) -> Result<String, String> {
    if let Some(rest) = text.strip_prefix("@@") {
        return Ok(format!("@{rest}"));
    }
    if let Some(whole) = text.strip_prefix('@').filter(|rest| !rest.starts_with('{')) {
        return Ok(format!("${{{{ {} }}}}", bare(whole, meaning)?));
    }
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let end = closing(after).ok_or_else(|| text.to_owned())?;
        let (inner, tail) = after.split_at(end);
        made.push_str(before);
        made.push_str(&format!("${{{{ {} }}}}", bare(inner, meaning)?));
        rest = tail.get(1..).unwrap_or_default();
    }
    made.push_str(rest);
    Ok(made)
}

/// A condition, without `${{ }}`.
pub(super) fn condition(text: &str, meaning: &dyn Meaning) -> Result<String, String> {
    bare(text.trim_start_matches('@'), meaning)
}

fn bare(text: &str, meaning: &dyn Meaning) -> Result<String, String> {
    let mut reader = Reader { rest: text.trim() };
    let term = reader.term().filter(|_| reader.rest.trim().is_empty()).ok_or_else(|| text.to_owned())?;
    ours(&term, meaning).ok_or_else(|| text.to_owned())
}

/// Where the brace that was opened before ends; braces in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted && depth == 0 => return Some(at),
            '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, letter: char) -> bool {
        let after = self.rest.trim_start().strip_prefix(letter);
        after.map(|after| self.rest = after).is_some()
    }

    fn word(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let (part, rest) = self.rest.split_once('\'')?;
            text.push_str(part);
            self.rest = rest;
            match rest.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    self.rest = after;
                }
                None => return Some(text),
            }
        }
    }

    fn term(&mut self) -> Option<Term> {
        if self.skip('\'') {
            return self.text().map(Term::Text);
        }
        let word = self.word()?;
        if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
            let mut number = word;
            if self.rest.starts_with('.') && self.skip('.') {
                number = format!("{number}.{}", self.word()?);
            }
            return number.parse::<f64>().ok().map(|_| Term::Number(number));
        }
        if !self.skip('(') {
            return Some(Term::Word(word));
        }
        let mut arguments = Vec::new();
        while !self.skip(')') {
            arguments.push(self.term()?);
            self.skip(',');
            if self.rest.trim().is_empty() {
                return None;
            }
        }
        let mut path = Vec::new();
        loop {
            // `?.` gives null where there is nothing, which an expression here would refuse.
            if self.rest.starts_with('.') && self.skip('.') {
                path.push(self.word()?);
            } else if self.rest.starts_with('[') && self.skip('[') {
                let key = if self.skip('\'') { self.text()? } else { self.word()? };
                path.push(key);
                if !self.skip(']') {
                    return None;
                }
            } else {
                return Some(Term::Call { name: word.to_ascii_lowercase(), arguments, path });
            }
        }
    }
}

fn ours(term: &Term, meaning: &dyn Meaning) -> Option<String> {
    let (name, arguments, path) = match term {
        Term::Text(text) => return Some(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))),
        Term::Number(number) => return Some(number.clone()),
        Term::Word(word) => return matches!(word.as_str(), "true" | "false").then(|| word.clone()),
        Term::Call { name, arguments, path } => (name.as_str(), arguments, path),
    };
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let literal = |index: usize| match arguments.get(index) {
        Some(Term::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    match (name, parts.as_slice()) {
        ("pipeline", ["parameters", parameter]) => {
            return Some(format!("inputs.{}", crate::names::name_of(parameter)));
        }
        ("pipeline", ["RunId"]) => return Some("run.id".to_owned()),
        ("pipeline", ["Pipeline"]) => return Some("run.pipeline".to_owned()),
        ("trigger", ["outputs", "windowStartTime"]) => return Some("window.start".to_owned()),
        ("trigger", ["outputs", "windowEndTime"]) => return Some("window.end".to_owned()),
        ("activity", _) => return meaning.output(literal(0)?, path),
        ("variables", []) => return meaning.variable(literal(0)?),
        (_, []) => {}
        _ => return None,
    }
    let made: Vec<String> =
        arguments.iter().map(|argument| ours(argument, meaning)).collect::<Option<_>>()?;
    let both = |operator: &str| Some(format!("({} {operator} {})", made.first()?, made.get(1)?));
    let filter = |filter: &str| Some(format!("{} | {filter}", made.first()?));
    match (name, made.len()) {
        ("concat", 1..) => Some(made.join(" ~ ")),
        ("equals", 2) => both("=="),
        ("greater", 2) => both(">"),
        ("greaterorequals", 2) => both(">="),
        ("less", 2) => both("<"),
        ("lessorequals", 2) => both("<="),
        ("and", 2) => both("and"),
        ("or", 2) => both("or"),
        ("add", 2) => both("+"),
        ("sub", 2) => both("-"),
        ("mul", 2) => both("*"),
        ("contains", 2) => Some(format!("({} in {})", made.get(1)?, made.first()?)),
        ("not", 1) => Some(format!("(not {})", made.first()?)),
        ("string", 1) => filter("string"),
        ("int", 1) => filter("int"),
        ("float", 1) => filter("float"),
        ("tolower", 1) => filter("lower"),
        ("toupper", 1) => filter("upper"),
        ("trim", 1) => filter("trim"),
        ("length", 1) => filter("length"),
        ("replace", 3) => Some(format!("{} | replace({}, {})", made.first()?, made.get(1)?, made.get(2)?)),
        ("if", 3) => Some(format!("({} if {} else {})", made.get(1)?, made.first()?, made.get(2)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Meaning for Known {
        fn output(&self, activity: &str, path: &[String]) -> Option<String> {
            (activity == "Copy data" && path == ["output", "rowsCopied"])
                .then(|| "steps.copy_data.rows".to_owned())
        }
        fn variable(&self, name: &str) -> Option<String> {
            (name == "day").then(|| "steps.day.value".to_owned())
        }
    }

    #[test]
    fn expressions_in_our_words() {
        for (theirs, expected) in [
            ("plain", Ok("plain")),
            ("@@home", Ok("@home")),
            ("@pipeline().parameters.sourceDay", Ok("${{ inputs.source_day }}")),
            (
                "raw/@{pipeline().parameters.day}/@{pipeline().RunId}.csv",
                Ok("raw/${{ inputs.day }}/${{ run.id }}.csv"),
            ),
            ("@concat('it''s ', variables('day'))", Ok("${{ 'it\\'s ' ~ steps.day.value }}")),
            ("@activity('Copy data').output.rowsCopied", Ok("${{ steps.copy_data.rows }}")),
            (
                "@if(greater(activity('Copy data').output['rowsCopied'], 10), 'many', 'few')",
                Ok("${{ ('many' if (steps.copy_data.rows > 10) else 'few') }}"),
            ),
            (
                "@not(contains(toLower(pipeline().parameters.x), 'a'))",
                Ok("${{ (not ('a' in inputs.x | lower)) }}"),
            ),
            ("@trigger().outputs.windowStartTime", Ok("${{ window.start }}")),
            ("@utcnow()", Err("utcnow()")),
            ("@item().name", Err("item().name")),
            ("@concat('a'", Err("concat('a'")),
            ("a@{b", Err("a@{b")),
        ] {
            let made = value(theirs, &Known);
            assert_eq!(made.as_deref().map_err(String::as_str), expected, "{theirs}");
        }
    }
}
