//! Conditions as SQL, their values bound.

use crate::Value;

use super::query::{Compare, Condition};

/// A condition on an expression; values are appended to `args` and their placeholders used.
pub(crate) fn in_sql(
    postgres: bool,
    expression: &str,
    condition: &Condition,
    args: &mut Vec<Value<'static>>,
) -> String {
    let mut bind = |value: Value<'static>| {
        args.push(value);
        format!("${}", args.len())
    };
    let not = |negated: &bool| if *negated { "NOT " } else { "" };
    match condition {
        Condition::Number(compare, number) => {
            format!("{expression} {} {}", operator(*compare), bind((*number).into()))
        }
        Condition::Text(compare, text) => {
            format!("{expression} {} {}", operator(*compare), bind(text.clone().into()))
        }
        Condition::Like { pattern, any_case, negated } => {
            let like = match (postgres, *any_case) {
                (true, false) => format!("LIKE {} ESCAPE ''", bind(pattern.clone().into())),
                (true, true) => format!("ILIKE {} ESCAPE ''", bind(pattern.clone().into())),
                (false, false) => format!("GLOB {}", bind(glob(pattern).into())),
                // SQLite's LIKE takes ASCII letters of either case.
                (false, true) => format!("LIKE {}", bind(pattern.clone().into())),
            };
            format!("{expression} {}{like}", not(negated))
        }
        Condition::NumberIn { values, negated } => {
            let values: Vec<String> = values.iter().map(|value| bind((*value).into())).collect();
            format!("{expression} {}IN ({})", not(negated), values.join(", "))
        }
        Condition::In { values, negated } => {
            let values: Vec<String> = values.iter().map(|value| bind(value.clone().into())).collect();
            format!("{expression} {}IN ({})", not(negated), values.join(", "))
        }
        Condition::Null => format!("{expression} IS NULL"),
        Condition::NotNull => format!("{expression} IS NOT NULL"),
    }
}

/// A comparison's sign.
pub(crate) fn operator(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => "=",
        Compare::NotEqual => "<>",
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterOrEqual => ">=",
    }
}

/// SQLite's LIKE ignores case; its GLOB does not, with other signs.
fn glob(pattern: &str) -> String {
    let sign = |sign: char| match sign {
        '%' => "*".to_owned(),
        '_' => "?".to_owned(),
        '*' | '?' | '[' => format!("[{sign}]"),
        other => other.to_string(),
    };
    pattern.chars().map(sign).collect()
}
