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

/// What names mean where an expression stands: our expression for each, or nothing if there is none.
pub(super) trait Meaning {
    /// A parameter of the pipeline.
    fn parameter(&self, name: &str) -> Option<String>;
    /// What an activity left; `path` is what follows `activity('…')`.
    fn output(&self, activity: &str, path: &[String]) -> Option<String>;
    /// A variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The item of a `ForEach`.
    fn item(&self) -> Option<String>;
    /// `start` and `end` of the window.
    fn window(&self, edge: &str) -> Option<String>;
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
    let text = text.trim().trim_start_matches('@');
    bare(text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text), meaning)
}

fn bare(text: &str, meaning: &dyn Meaning) -> Result<String, String> {
    let mut reader = Reader { rest: text.trim() };
    let term = reader.term().filter(|_| reader.rest.trim().is_empty()).ok_or_else(|| text.to_owned())?;
    let made = ours(&term, meaning).ok_or_else(|| text.to_owned())?;
    Ok(without_parens(&made).to_owned())
}

/// The expression as a part of another one: a name as it is, anything else in brackets.
pub(super) fn bracketed(text: &str) -> String {
    let is_name = text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.');
    if is_name || text.starts_with('(') && without_parens(text) != text {
        text.to_owned()
    } else {
        format!("({text})")
    }
}

/// The expression without a pair of brackets around the whole of it.
pub(super) fn without_parens(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let (mut depth, mut quote) = (0_i32, None);
    let mut before = ' ';
    for letter in inner.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
        before = letter;
    }
    inner
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

/// A name with what follows it: `.x` where that can be said, else `['x y']`.
fn with_path(name: String, path: &[String]) -> String {
    path.iter().fold(name, |name, part| {
        let is_word = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match (is_word, part.parse::<u32>()) {
            (true, _) => format!("{name}.{part}"),
            (false, Ok(index)) => format!("{name}[{index}]"),
            (false, Err(_)) => format!("{name}[{}]", quoted(part)),
        }
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn ours(term: &Term, meaning: &dyn Meaning) -> Option<String> {
    let (name, arguments, path) = match term {
        Term::Text(text) => return Some(quoted(text)),
        Term::Number(number) => return Some(number.clone()),
        Term::Word(word) => {
            return match word.as_str() {
                "true" | "false" => Some(word.clone()),
                "null" => Some("none".to_owned()),
                _ => None,
            };
        }
        Term::Call { name, arguments, path } => (name.as_str(), arguments, path),
    };
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let literal = |index: usize| match arguments.get(index) {
        Some(Term::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    match (name, parts.as_slice()) {
        ("pipeline", ["parameters", parameter, ..]) => {
            return Some(with_path(meaning.parameter(parameter)?, path.get(2..).unwrap_or_default()));
        }
        ("pipeline", ["RunId"]) => return Some("run.id".to_owned()),
        ("pipeline", ["Pipeline"]) => return Some("run.pipeline".to_owned()),
        ("trigger", ["outputs", "windowStartTime"]) => return meaning.window("start"),
        ("trigger", ["outputs", "windowEndTime"]) => return meaning.window("end"),
        ("activity", _) => return meaning.output(literal(0)?, path),
        ("item", _) => return Some(with_path(meaning.item()?, path)),
        ("variables", _) => return Some(with_path(meaning.variable(literal(0)?)?, path)),
        _ => {}
    }
    let made: Vec<String> =
        arguments.iter().map(|argument| ours(argument, meaning)).collect::<Option<_>>()?;
    let time_form = literal(1);
    Some(with_path(function(name, &made, time_form)?, path))
}

/// A function of Data Factory, its arguments in our words.
fn function(name: &str, made: &[String], time_form: Option<&str>) -> Option<String> {
    let both = |operator: &str| Some(format!("({} {operator} {})", made.first()?, made.get(1)?));
    let filter = |filter: &str| Some(format!("({} | {filter})", made.first()?));
    match (name, made.len()) {
        ("concat", 1..) => Some(format!("({})", made.join(" ~ "))),
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
        ("div", 2) => both("//"),
        ("mod", 2) => both("%"),
        ("startswith", 2) => Some(format!("({} is startingwith {})", made.first()?, made.get(1)?)),
        ("endswith", 2) => Some(format!("({} is endingwith {})", made.first()?, made.get(1)?)),
        ("contains", 2) => Some(format!("({} in {})", made.get(1)?, made.first()?)),
        ("not", 1) => Some(format!("(not {})", made.first()?)),
        ("empty", 1) => Some(format!("(({} | length) == 0)", made.first()?)),
        ("createarray", _) => Some(format!("[{}]", made.join(", "))),
        ("range", 2) => {
            let (from, count) = (made.first()?.parse::<i64>().ok()?, made.get(1)?.parse::<i64>().ok()?);
            Some(format!("(range({from}, {}) | list)", from + count))
        }
        ("string", 1) => filter("string"),
        ("int", 1) => filter("int"),
        ("float", 1) => filter("float"),
        ("bool", 1) => filter("bool"),
        ("tolower", 1) => filter("lower"),
        ("toupper", 1) => filter("upper"),
        ("trim", 1) => filter("trim"),
        ("length", 1) => filter("length"),
        ("first", 1) => filter("first"),
        ("last", 1) => filter("last"),
        ("split", 2) => filter(&format!("split({})", made.get(1)?)),
        ("join", 2) => filter(&format!("join({})", made.get(1)?)),
        ("coalesce", 2) => Some(format!("({0} if {0} is not none else {1})", made.first()?, made.get(1)?)),
        ("replace", 3) => filter(&format!("replace({}, {})", made.get(1)?, made.get(2)?)),
        ("if", 3) => Some(format!("({} if {} else {})", made.get(1)?, made.first()?, made.get(2)?)),
        ("formatdatetime", 2) => filter(&format!("strftime({})", quoted(&strftime(time_form?)?))),
        _ => None,
    }
}

/// A custom form of .NET, `yyyy-MM-dd`, as one of strftime.
fn strftime(form: &str) -> Option<String> {
    let mut made = String::new();
    let mut rest = form;
    const CODES: [(&str, &str); 10] = [
        ("yyyy", "%Y"),
        ("yy", "%y"),
        ("MM", "%m"),
        ("dd", "%d"),
        ("HH", "%H"),
        ("hh", "%I"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("tt", "%p"),
        ("dddd", "%A"),
    ];
    while let Some(first) = rest.chars().next() {
        let run: String = rest.chars().take_while(|letter| *letter == first).collect();
        if first.is_ascii_alphabetic() && first != 'T' && first != 'Z' {
            made.push_str(CODES.iter().find(|(theirs, _)| *theirs == run).map(|(_, ours)| *ours)?);
        } else if first == '%' || first == '\\' || first == '\'' {
            return None;
        } else {
            made.push_str(&run);
        }
        rest = rest.get(run.len()..)?;
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Meaning for Known {
        fn parameter(&self, name: &str) -> Option<String> {
            Some(format!("inputs.{}", crate::names::name_of(name)))
        }
        fn output(&self, activity: &str, path: &[String]) -> Option<String> {
            (activity == "Copy data" && path == ["output", "rowsCopied"])
                .then(|| "steps.copy_data.rows".to_owned())
        }
        fn variable(&self, name: &str) -> Option<String> {
            (name == "day").then(|| "steps.day.value".to_owned())
        }
        fn item(&self) -> Option<String> {
            Some("item".to_owned())
        }
        fn window(&self, edge: &str) -> Option<String> {
            (edge == "start").then(|| "window.start".to_owned())
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
                Ok("${{ 'many' if (steps.copy_data.rows > 10) else 'few' }}"),
            ),
            (
                "@not(contains(toLower(pipeline().parameters.x), 'a'))",
                Ok("${{ not ('a' in (inputs.x | lower)) }}"),
            ),
            ("@or(equals(item().kind, 'a'), item()['b c'])", Ok("${{ (item.kind == 'a') or item['b c'] }}")),
            ("@trigger().outputs.windowStartTime", Ok("${{ window.start }}")),
            (
                "@{formatDateTime(trigger().outputs.windowStartTime, 'yyyy/MM/dd')}",
                Ok("${{ window.start | strftime('%Y/%m/%d') }}"),
            ),
            ("@createArray('a', 2)", Ok("${{ ['a', 2] }}")),
            ("@range(1, 3)", Ok("${{ range(1, 4) | list }}")),
            ("@trigger().outputs.windowEndTime", Err("trigger().outputs.windowEndTime")),
            ("@formatDateTime(item(), 'fff')", Err("formatDateTime(item(), 'fff')")),
            ("@utcnow()", Err("utcnow()")),
            ("@concat('a'", Err("concat('a'")),
            ("a@{b", Err("a@{b")),
        ] {
            let made = value(theirs, &Known);
            assert_eq!(made.as_deref().map_err(String::as_str), expected, "{theirs}");
        }
    }

    #[test]
    fn what_is_made_can_be_computed() {
        use millrace_spec::expression::render;
        let context =
            serde_json::json!({"inputs": {"x": "North", "at": "2026-03-01T06:00:00+01:00"}, "steps": {}});
        for (theirs, expected) in [
            ("@startsWith(pipeline().parameters.x, 'No')", serde_json::json!(true)),
            ("@toUpper(concat(pipeline().parameters.x, '-', 'e'))", "NORTH-E".into()),
            ("@range(1, 3)", serde_json::json!([1, 2, 3])),
            ("@last(split('a/b/c', '/'))", "c".into()),
            ("@coalesce(null, 'b')", "b".into()),
            ("@div(7, 2)", 3.into()),
            ("day=@{formatDateTime(pipeline().parameters.at, 'yyyyMMdd_HH')}", "day=20260301_06".into()),
        ] {
            let made = value(theirs, &Known).unwrap();
            assert_eq!(render(&made.clone().into(), &context), Ok(expected), "{made}");
        }
    }
}
