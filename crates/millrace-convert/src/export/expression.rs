//! Our expressions in Data Factory's words: `inputs.x == 'a'` is `equals(pipeline().parameters.x, 'a')`.

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Text(String),
    /// A number, `true`, `false`, `none`.
    Word(String),
    /// `inputs.x`, `item['a b']`: the parts.
    Name(Vec<String>),
    List(Vec<Term>),
    /// `failed()`, `range(1, 3)`.
    Call(String, Vec<Term>),
    /// `x | filter(a)`.
    Filter(Box<Term>, String, Vec<Term>),
    Not(Box<Term>),
    /// Operator and both sides; `not in` and `is startingwith` among them.
    Both(String, Box<Term>, Box<Term>),
    /// `a if b else c`.
    Choice(Box<Term>, Box<Term>, Box<Term>),
}

/// Reads an expression; nothing if it has what is not known here.
pub(super) fn read(text: &str) -> Option<Term> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0 };
    let term = reader.choice()?;
    (reader.at == reader.tokens.len()).then_some(term)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 20] =
    ["==", "!=", ">=", "<=", "//", "(", ")", "[", "]", ",", ".", "|", "~", "+", "-", "*", "/", "%", ">", "<"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let mut made = String::new();
            let mut letters = rest.char_indices().skip(1);
            let end = loop {
                match letters.next()? {
                    (_, '\\') => made.push(letters.next()?.1),
                    (at, letter) if letter == first => break at + 1,
                    (_, letter) => made.push(letter),
                }
            };
            tokens.push(Token::Text(made));
            rest = rest.get(end..)?;
        } else if first.is_ascii_alphanumeric() || first == '_' {
            let is_number = first.is_ascii_digit();
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || is_number && c == '.'))
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..)?;
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(known)) if *known == sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(known)) if known == word);
        self.at += usize::from(found);
        found
    }

    fn any_word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.tokens.get(self.at) else { return None };
        self.at += 1;
        Some(word.clone())
    }

    fn choice(&mut self) -> Option<Term> {
        let value = self.either()?;
        if !self.word("if") {
            return Some(value);
        }
        let condition = self.either()?;
        if !self.word("else") {
            return None;
        }
        Some(Term::Choice(Box::new(value), Box::new(condition), Box::new(self.choice()?)))
    }

    fn either(&mut self) -> Option<Term> {
        let mut left = self.all()?;
        while self.word("or") {
            left = Term::Both("or".to_owned(), Box::new(left), Box::new(self.all()?));
        }
        Some(left)
    }

    fn all(&mut self) -> Option<Term> {
        let mut left = self.negated()?;
        while self.word("and") {
            left = Term::Both("and".to_owned(), Box::new(left), Box::new(self.negated()?));
        }
        Some(left)
    }

    fn negated(&mut self) -> Option<Term> {
        if self.word("not") {
            return Some(Term::Not(Box::new(self.negated()?)));
        }
        let left = self.sum()?;
        for sign in ["==", "!=", ">=", "<=", ">", "<"] {
            if self.sign(sign) {
                return Some(Term::Both(sign.to_owned(), Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.word("in") {
            return Some(Term::Both("in".to_owned(), Box::new(left), Box::new(self.sum()?)));
        }
        if self.word("is") {
            let test = self.any_word()?;
            return Some(Term::Both(format!("is {test}"), Box::new(left), Box::new(self.sum()?)));
        }
        if self.word("not") {
            let found = self.word("in").then(|| self.sum())??;
            return Some(Term::Both("not in".to_owned(), Box::new(left), Box::new(found)));
        }
        Some(left)
    }

    fn sum(&mut self) -> Option<Term> {
        let mut left = self.product()?;
        while let Some(sign) = ["~", "+", "-"].into_iter().find(|sign| self.sign(sign)) {
            left = Term::Both(sign.to_owned(), Box::new(left), Box::new(self.product()?));
        }
        Some(left)
    }

    fn product(&mut self) -> Option<Term> {
        let mut left = self.filtered()?;
        while let Some(sign) = ["*", "//", "/", "%"].into_iter().find(|sign| self.sign(sign)) {
            left = Term::Both(sign.to_owned(), Box::new(left), Box::new(self.filtered()?));
        }
        Some(left)
    }

    fn filtered(&mut self) -> Option<Term> {
        let mut value = self.single()?;
        while self.sign("|") {
            let filter = self.any_word()?;
            let arguments = if self.sign("(") { self.list(")")? } else { Vec::new() };
            value = Term::Filter(Box::new(value), filter, arguments);
        }
        Some(value)
    }

    fn single(&mut self) -> Option<Term> {
        if self.sign("(") {
            let inner = self.choice()?;
            return self.sign(")").then_some(inner);
        }
        if self.sign("[") {
            return self.list("]").map(Term::List);
        }
        if self.sign("-") {
            return Some(Term::Word(format!("-{}", self.any_word()?)));
        }
        if let Some(Token::Text(text)) = self.tokens.get(self.at) {
            let text = text.clone();
            self.at += 1;
            return Some(Term::Text(text));
        }
        let word = self.any_word()?;
        if word.starts_with(|first: char| first.is_ascii_digit())
            || matches!(word.as_str(), "true" | "false" | "none")
        {
            return Some(Term::Word(word));
        }
        if self.sign("(") {
            return self.list(")").map(|arguments| Term::Call(word, arguments));
        }
        let mut path = vec![word];
        loop {
            if self.sign(".") {
                path.push(self.any_word()?);
            } else if self.sign("[") {
                let key = match self.tokens.get(self.at)? {
                    Token::Text(text) | Token::Word(text) => text.clone(),
                    Token::Sign(_) => return None,
                };
                self.at += 1;
                path.push(key);
                if !self.sign("]") {
                    return None;
                }
            } else {
                return Some(Term::Name(path));
            }
        }
    }

    fn list(&mut self, end: &str) -> Option<Vec<Term>> {
        let mut items = Vec::new();
        while !self.sign(end) {
            items.push(self.choice()?);
            if !self.sign(",") && !matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == end)
            {
                return None;
            }
        }
        Some(items)
    }
}

/// The expression of Data Factory, without `@`. `name` says what a dotted name is there.
pub(super) fn theirs(term: &Term, name: &dyn Fn(&[String]) -> Option<String>) -> Option<String> {
    let of = |term: &Term| theirs(term, name);
    let call = |function: &str, arguments: &[&Term]| {
        let arguments: Option<Vec<String>> = arguments.iter().map(|term| of(term)).collect();
        Some(format!("{function}({})", arguments?.join(", ")))
    };
    match term {
        Term::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
        Term::Word(word) => Some(if word == "none" { "null".to_owned() } else { word.clone() }),
        Term::Name(path) => name(path),
        Term::List(items) => call("createArray", &items.iter().collect::<Vec<_>>()),
        Term::Not(inner) => call("not", &[inner]),
        Term::Choice(value, condition, other) => call("if", &[condition, value, other]),
        Term::Call(..) => None,
        Term::Filter(value, filter, arguments) => filtered(value, filter, arguments, &call),
        Term::Both(operator, left, right) => {
            let (function, swapped, negated) = match operator.as_str() {
                "==" => match (left.as_ref(), right.as_ref()) {
                    (Term::Filter(value, filter, _), Term::Word(zero))
                        if filter == "length" && zero == "0" =>
                    {
                        return call("empty", &[value]);
                    }
                    _ => ("equals", false, false),
                },
                "!=" => ("equals", false, true),
                ">" => ("greater", false, false),
                ">=" => ("greaterOrEquals", false, false),
                "<" => ("less", false, false),
                "<=" => ("lessOrEquals", false, false),
                "and" => ("and", false, false),
                "or" => ("or", false, false),
                "in" => ("contains", true, false),
                "not in" => ("contains", true, true),
                "is startingwith" => ("startsWith", false, false),
                "is endingwith" => ("endsWith", false, false),
                "~" => {
                    let mut parts = Vec::new();
                    joined(term, &mut parts);
                    return call("concat", &parts);
                }
                "+" => ("add", false, false),
                "-" => ("sub", false, false),
                "*" => ("mul", false, false),
                "//" => ("div", false, false),
                "%" => ("mod", false, false),
                _ => return None,
            };
            let sides = if swapped { [right.as_ref(), left] } else { [left.as_ref(), right] };
            let made = call(function, &sides)?;
            Some(if negated { format!("not({made})") } else { made })
        }
    }
}

/// The parts of `a ~ b ~ c`.
fn joined<'t>(term: &'t Term, parts: &mut Vec<&'t Term>) {
    match term {
        Term::Both(operator, left, right) if operator == "~" => {
            joined(left, parts);
            parts.push(right);
        }
        other => parts.push(other),
    }
}

fn filtered(
    value: &Term,
    filter: &str,
    arguments: &[Term],
    call: &dyn Fn(&str, &[&Term]) -> Option<String>,
) -> Option<String> {
    let function = match (filter, arguments.len()) {
        ("string", 0) => "string",
        ("int", 0) => "int",
        ("float", 0) => "float",
        ("bool", 0) => "bool",
        ("lower", 0) => "toLower",
        ("upper", 0) => "toUpper",
        ("trim", 0) => "trim",
        ("length", 0) => "length",
        ("first", 0) => "first",
        ("last", 0) => "last",
        ("split", 1) => "split",
        ("join", 1) => "join",
        ("replace", 2) => "replace",
        ("list", 0) => {
            let Term::Call(name, bounds) = value else { return None };
            let ([Term::Word(from), Term::Word(to)], "range") = (bounds.as_slice(), name.as_str()) else {
                return None;
            };
            let count = to.parse::<i64>().ok()? - from.parse::<i64>().ok()?;
            return Some(format!("range({from}, {count})"));
        }
        ("strftime", 1) => {
            let Some(Term::Text(form)) = arguments.first() else { return None };
            return call("formatDateTime", &[value, &Term::Text(time_form(form)?)]);
        }
        _ => return None,
    };
    let all: Vec<&Term> = std::iter::once(value).chain(arguments).collect();
    call(function, &all)
}

/// A form of strftime as a custom one of .NET.
fn time_form(form: &str) -> Option<String> {
    let mut made = String::new();
    let mut letters = form.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => made.push_str(match letters.next()? {
                'Y' => "yyyy",
                'y' => "yy",
                'm' => "MM",
                'd' => "dd",
                'H' => "HH",
                'I' => "hh",
                'M' => "mm",
                'S' => "ss",
                'p' => "tt",
                'A' => "dddd",
                _ => return None,
            }),
            plain => made.push(plain),
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_in_their_words() {
        let name = |path: &[String]| match path {
            [root, rest @ ..] if root == "inputs" => {
                Some(format!("pipeline().parameters.{}", rest.join(".")))
            }
            _ => None,
        };
        for (ours, expected) in [
            (
                "inputs.x == 'it\\'s' and not inputs.y",
                Some("and(equals(pipeline().parameters.x, 'it''s'), not(pipeline().parameters.y))"),
            ),
            ("'a' ~ inputs.x ~ 2", Some("concat('a', pipeline().parameters.x, 2)")),
            (
                "'many' if (inputs.n > 10) else 'few'",
                Some("if(greater(pipeline().parameters.n, 10), 'many', 'few')"),
            ),
            (
                "inputs.x not in ['a', \"b\"]",
                Some("not(contains(createArray('a', 'b'), pipeline().parameters.x))"),
            ),
            (
                "(inputs.x | lower) is startingwith 'a'",
                Some("startsWith(toLower(pipeline().parameters.x), 'a')"),
            ),
            ("inputs.at | strftime('%Y/%m')", Some("formatDateTime(pipeline().parameters.at, 'yyyy/MM')")),
            ("range(1, 4) | list", Some("range(1, 3)")),
            ("(inputs.a | length) == 0", Some("empty(pipeline().parameters.a)")),
            ("-1 + inputs.n * 2", Some("add(-1, mul(pipeline().parameters.n, 2))")),
            ("inputs.x | sum", None),
            ("run.state", None),
            ("inputs.x ==", None),
            ("{'a': 1}", None),
        ] {
            let made = read(ours).and_then(|term| theirs(&term, &name));
            assert_eq!(made.as_deref(), expected, "{ours}");
        }
    }
}
