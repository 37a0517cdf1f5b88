//! Globs over paths: `*` and `?` within a folder, `**` over folders, `[a-z]`, `{csv,json}`.

use regex::Regex;

/// A compiled glob.
#[derive(Debug, Clone)]
pub struct Glob(Regex);

impl Glob {
    /// Compiles it; `None` if a bracket or a brace is not closed.
    pub fn new(glob: &str) -> Option<Self> {
        Some(Self(Regex::new(&pattern(glob)?).ok()?))
    }

    /// Whether the whole path fits.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// What comes before the first folder with a wildcard, without a slash at its end: where the files of a glob are.
pub fn base(glob: &str) -> &str {
    match glob.find(['*', '?', '[', '{']) {
        Some(wildcard) => glob
            .get(..wildcard)
            .and_then(|before| before.rfind('/'))
            .and_then(|slash| glob.get(..slash))
            .unwrap_or_default(),
        None => glob.rfind('/').and_then(|slash| glob.get(..slash)).unwrap_or_default(),
    }
}

fn pattern(glob: &str) -> Option<String> {
    let mut pattern = String::from("(?s)^");
    let mut signs = glob.chars().peekable();
    let mut in_braces = false;
    while let Some(sign) = signs.next() {
        match sign {
            '*' if signs.peek() == Some(&'*') => {
                signs.next();
                if signs.peek() == Some(&'/') {
                    signs.next();
                    pattern.push_str("(?:.*/)?");
                } else {
                    pattern.push_str(".*");
                }
            }
            '*' => pattern.push_str("[^/]*"),
            '?' => pattern.push_str("[^/]"),
            '[' => pattern.push_str(&class(&mut signs)?),
            '{' if !in_braces => {
                in_braces = true;
                pattern.push_str("(?:");
            }
            '}' if in_braces => {
                in_braces = false;
                pattern.push(')');
            }
            ',' if in_braces => pattern.push('|'),
            plain => pattern.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    (!in_braces).then_some(pattern)
}

/// What stands in brackets, as a class of the pattern.
fn class(signs: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut class = String::from("[");
    let mut negated = false;
    for (place, sign) in signs.enumerate() {
        match sign {
            // Neither kind takes the end of a folder.
            ']' if place > 0 && negated => return Some(class + "/]"),
            ']' if place > 0 => return Some(class + "&&[^/]]"),
            '!' if place == 0 => {
                negated = true;
                class.push('^');
            }
            '-' => class.push('-'),
            plain => class.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4]))),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let fits = |glob: &str, path: &str| Glob::new(glob).unwrap().matches(path);
        for (glob, path) in [
            ("*.csv", "a.csv"),
            ("in/**/*.csv", "in/a.csv"),
            ("in/**/*.csv", "in/x/y/a.csv"),
            ("in/**", "in/x/y"),
            ("day=?/[a-c]*.{csv,json}", "day=1/b1.json"),
            ("[!a]x", "bx"),
            ("a+b", "a+b"),
        ] {
            assert!(fits(glob, path), "{glob} {path}");
        }
        for (glob, path) in [
            ("*.csv", "x/a.csv"),
            ("in/**/*.csv", "in2/a.csv"),
            ("in/*", "in/x/y"),
            ("[!a]x", "/x"),
            ("a.c", "abc"),
            ("x{a,b}", "x"),
        ] {
            assert!(!fits(glob, path), "{glob} {path}");
        }
        assert!(Glob::new("[a").is_none() && Glob::new("{a").is_none());
        assert_eq!(
            [base("in/x/*.csv"), base("in/day=?/a"), base("*.csv"), base("in/a.csv")],
            ["in/x", "in", "", "in"]
        );
    }
}
