//! Java's patterns for dates and numbers in our words.

/// A pattern of Java's `SimpleDateFormat` as one of `strftime`; nothing if it has a letter that has no counterpart.
pub(super) fn date(pattern: &str) -> Option<String> {
    let letters: Vec<char> = pattern.chars().collect();
    let mut made = String::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        if *letter == '\'' {
            at = quoted(&letters, at, &mut made)?;
            continue;
        }
        let count = letters.iter().skip(at).take_while(|next| *next == letter).count();
        let field = match (letter, count) {
            ('y' | 'u', 4) => "%Y",
            ('y', 2) => "%y",
            ('M' | 'L', 2) => "%m",
            ('M', 3) => "%b",
            ('M', 4) => "%B",
            ('d', 2) => "%d",
            ('D', 3) => "%j",
            ('H', 2) => "%H",
            ('h', 2) => "%I",
            ('m', 2) => "%M",
            ('s', 2) => "%S",
            ('S', 3) => "%3f",
            ('S', 6) => "%6f",
            ('S', 7 | 9) => "%9f",
            ('a', 1) => "%p",
            ('E', 1..=3) => "%a",
            ('E', 4) => "%A",
            ('X', 3) => "%:z",
            ('Z' | 'X', 1) => "%z",
            (letter, _) if letter.is_alphabetic() || "[]{}#".contains(*letter) => return None,
            ('%', _) => "%%",
            (other, _) => {
                made.extend(std::iter::repeat_n(*other, count));
                at += count;
                continue;
            }
        };
        made.push_str(field);
        at += count;
    }
    Some(made)
}

/// Literal text; two quotes are one. Gives the place behind it.
fn quoted(letters: &[char], from: usize, made: &mut String) -> Option<usize> {
    let mut at = from + 1;
    if letters.get(at) == Some(&'\'') {
        made.push('\'');
        return Some(at + 1);
    }
    loop {
        match letters.get(at)? {
            '\'' if letters.get(at + 1) == Some(&'\'') => {
                made.push('\'');
                at += 2;
            }
            '\'' => return Some(at + 1),
            '%' => {
                made.push_str("%%");
                at += 1;
            }
            other => {
                made.push(*other);
                at += 1;
            }
        }
    }
}

/// Whether a pattern is how dates or times are written in ISO 8601, which is read without one.
pub(super) fn is_iso(pattern: &str) -> bool {
    let pattern = pattern.replace("'T'", "T").replace('T', " ");
    ["yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss.SSS", "yyyy-MM-dd HH:mm:ss.SSSSSS"]
        .contains(&pattern.as_str())
}

/// How many digits a whole number has at least under a pattern of Java's `DecimalFormat` that is made of `0` and `#` alone.
pub(super) fn least_digits(pattern: &str) -> Option<usize> {
    let zeros = pattern.trim_start_matches('#');
    (!pattern.is_empty() && zeros.chars().all(|letter| letter == '0')).then_some(zeros.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_java_are_strftimes() {
        for (theirs, ours) in [
            ("yyyy-MM-dd", Some("%Y-%m-%d")),
            ("dd.MM.yyyy HH:mm:ss.SSS", Some("%d.%m.%Y %H:%M:%S.%3f")),
            ("yyyy-MM-dd'T'HH:mm:ss", Some("%Y-%m-%dT%H:%M:%S")),
            ("h 'o''clock' 100%", None),
            ("hh 'o''clock 1%' a", Some("%I o'clock 1%% %p")),
            ("MMM dd, yy", Some("%b %d, %y")),
            ("w", None),
            ("'open", None),
        ] {
            assert_eq!(date(theirs).as_deref(), ours, "{theirs}");
        }
        assert_eq!(
            [least_digits("000"), least_digits("##0"), least_digits("###"), least_digits("0.0")],
            [Some(3), Some(1), Some(0), None]
        );
    }
}
