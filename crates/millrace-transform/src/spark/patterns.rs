//! Regular expressions that Rust's and Java's engines read alike.

use super::{Translated, Untranslated};

/// What `\w` and `\s` stand for in Rust, which is Unicode's; in Java they are ASCII's.
const WORD: &str = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}";
const BLANK: &str = "\\t\\n\\x0B\\f\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";

/// The pattern in words that mean the same in both; an error if it has others.
pub(super) fn both(pattern: &str) -> Translated {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    // Whether a quantifier has just been read.
    let mut was_quantifier = false;
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_quantifier = !in_class && matches!(letter, '+' | '*' | '?' | '}');
        if was_quantifier && letter == '+' {
            return Err(differs(pattern, "a possessive `+`"));
        }
        was_quantifier = is_quantifier;
        match letter {
            '\\' => out.push_str(&escaped(letters.next(), in_class, pattern)?),
            '[' if in_class => return Err(differs(pattern, "a class within a class")),
            '[' => {
                in_class = true;
                out.push('[');
                if letters.peek() == Some(&'^') {
                    letters.next();
                    out.push('^');
                }
                if letters.peek() == Some(&']') {
                    return Err(differs(pattern, "`]` at the beginning of a class"));
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class && letters.peek() == Some(&letter) => {
                return Err(differs(pattern, "an operation on classes"));
            }
            '(' if !in_class && letters.peek() == Some(&'?') => {
                letters.next();
                if letters.next_if_eq(&':').is_none() {
                    return Err(differs(pattern, "`(?`"));
                }
                out.push_str("(?:");
            }
            // Java's `$` also stands before a line break at the end, and its `.` leaves out more of them.
            '$' if !in_class => out.push_str("\\z"),
            '.' if !in_class => out.push_str("[^\\n]"),
            other => out.push(other),
        }
    }
    Ok(out)
}

fn escaped(letter: Option<char>, in_class: bool, pattern: &str) -> Translated {
    let class = |inside: &str| if in_class { inside.to_owned() } else { format!("[{inside}]") };
    Ok(match letter {
        Some('d') => "\\p{Nd}".to_owned(),
        Some('D') => "\\P{Nd}".to_owned(),
        Some('w') => class(WORD),
        Some('s') => class(BLANK),
        Some('W') if !in_class => format!("[^{WORD}]"),
        Some('S') if !in_class => format!("[^{BLANK}]"),
        Some(letter @ ('n' | 'r' | 't')) => format!("\\{letter}"),
        Some(letter) if letter.is_ascii_punctuation() => format!("\\{letter}"),
        Some(letter) => return Err(differs(pattern, &format!("`\\{letter}`"))),
        None => return Err(Untranslated::new(format!("the pattern `{pattern}` ends with a backslash"))),
    })
}

fn differs(pattern: &str, what: &str) -> Untranslated {
    Untranslated::new(format!("the pattern `{pattern}` has {what}, which Rust and Java do not read alike"))
        .hinted("letters, classes, groups, `|`, `*`, `+`, `?`, `{n,m}`, `^`, `$`, `\\d`, `\\w` and `\\s` can be used")
}

/// What is put in the place of a match: groups by `$1`, which both know.
pub(super) fn replacement(text: &str) -> Translated {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(digit @ '1'..='9') if !letters.peek().is_some_and(char::is_ascii_alphanumeric) => {
                    out.push('$');
                    out.push(digit);
                }
                _ => {
                    return Err(Untranslated::new(format!("the replacement `{text}` differs"))
                        .hinted("`\\\\1` to `\\\\9` stand for groups"));
                }
            },
            '$' => {
                return Err(Untranslated::new(format!("the replacement `{text}` differs"))
                    .hinted("write groups as `\\\\1`"));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: Result<&str, &str>) {
        let found = both(pattern);
        assert_eq!(found.as_deref().map_err(|error| error.message.as_str()), expected);
    }

    #[test]
    fn classes_are_those_of_unicode_and_an_end_is_the_end() {
        check("^[A-Z]{2}-\\d+$", Ok("^[A-Z]{2}-\\p{Nd}+\\z"));
        check("[\\w.]+@", Ok("[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}.]+@"));
        check("a.c", Ok("a[^\\n]c"));
        check("(?:a|b)\\.", Ok("(?:a|b)\\."));
    }

    #[test]
    fn what_only_one_of_them_knows_is_refused() {
        check("(?i)a", Err("the pattern `(?i)a` has `(?`, which Rust and Java do not read alike"));
        check("\\bword", Err("the pattern `\\bword` has `\\b`, which Rust and Java do not read alike"));
        check("a++", Err("the pattern `a++` has a possessive `+`, which Rust and Java do not read alike"));
        check(
            "[a&&b]",
            Err("the pattern `[a&&b]` has an operation on classes, which Rust and Java do not read alike"),
        );
        assert_eq!(replacement("<\\1>").unwrap(), "<$1>");
        assert!(replacement("$1").is_err());
    }
}
