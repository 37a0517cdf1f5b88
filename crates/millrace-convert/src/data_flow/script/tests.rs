use super::*;
use proptest::prelude::*;

fn message(text: &str) -> String {
    let error = parse(text).unwrap_err();
    format!("{}: {}", text.get(error.span.from..error.span.to).unwrap_or_default(), error.message)
}

#[test]
fn a_script_is_read() {
    let text = r#"
parameters{
    least as integer (10), // a comment
    day as date
}
/* two
   lines */
source(output(
        id as integer,
        {a name} as decimal(12,2),
        lines as (sku as string, n as short)[],
        day as date 'yyyy-MM-dd'
    ),
    allowSchemaDrift: true) ~> rows
rows split(id > $least && !isNull({a name}), startsWith(rows@day, "x{id + 1}\n'"),
    disjoint: false) ~> parts@(big, {no name}, rest)
parts@big, rows join(rows@id === parts@id, joinType:'left')~> both
"#;
    let script = parse(text).unwrap();
    assert_eq!(script.parameters.len(), 2);
    let kinds: Vec<_> =
        script.transformations.iter().map(|one| (one.kind.as_str(), one.inputs.len())).collect();
    assert_eq!(kinds, [("source", 0), ("split", 1), ("join", 2)]);
    assert_eq!(script.transformations[1].parts, ["big", "no name", "rest"]);
    assert_eq!(script.transformations[2].inputs[0], ("parts".to_owned(), Some("big".to_owned())));
    let Kind::Binary("&&", left, _) = &script.transformations[1].arguments[0].kind else {
        panic!("{script:?}")
    };
    assert!(
        matches!(&left.kind, Kind::Binary(">", _, right) if right.kind == Kind::Parameter("least".to_owned()))
    );
}

#[test]
fn operators_bind_as_they_should() {
    let shape = |text: &str| {
        fn shown(one: &Expr) -> String {
            match &one.kind {
                Kind::Binary(operator, left, right) => {
                    format!("({} {operator} {})", shown(left), shown(right))
                }
                Kind::Unary(operator, inner) => format!("{operator}{}", shown(inner)),
                Kind::Name { name, .. } => name.clone(),
                Kind::Typed(inner, _) => format!("{}?", shown(inner)),
                Kind::Index(list, index) => format!("{}[{}]", shown(list), shown(index)),
                other => format!("{other:?}"),
            }
        }
        shown(&parse_expression(text).unwrap())
    };
    assert_eq!(shape("a || b && c == d + e * f"), "(a || (b && (c == (d + (e * f)))))");
    assert_eq!(shape("a - b - c"), "((a - b) - c)");
    assert_eq!(shape("!(a || b) && -c < d"), "(!(a || b) && (-c < d))");
    assert_eq!(shape("a[b + c][d]"), "a[(b + c)][d]");
}

#[test]
fn mistakes_have_their_place() {
    for (text, expected) in [
        ("rows filter(a ==) ~> x", "): a value is expected here, not `)`"),
        ("rows filter(a == 'b) ~> x", "'b) ~> x: the text has no end: add `'`"),
        ("rows filter(a) -> x", "->: `~>` is expected here, not `->`"),
        ("source(output(a as strnig)) ~> x", "strnig: a type is expected here, not `strnig`"),
        ("/* never", "/* never: the comment has no end: add `*/`"),
        ("rows derive(a = \"{b +}\") ~> x", ": a value is expected here, not the end"),
        ("rows filter(a ; b) ~> x", ";: `)` is expected here, not `;`"),
        ("rows filter(€) ~> x", "€: `€` is no part of the language"),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
    let deep = format!("a filter({}1) ~> b", "(".repeat(10_000));
    assert!(message(&deep).contains("nested deeper"), "{}", message(&deep));
    let deep = format!("a filter({}1) ~> b", "!".repeat(10_000));
    assert!(message(&deep).contains("nested deeper"), "{}", message(&deep));
}

const WORDS: [&str; 40] = [
    "source",
    "(",
    ")",
    "output",
    "a",
    " as ",
    "string",
    "[",
    "]",
    ",",
    "~>",
    "x",
    "@",
    "derive",
    "=",
    "'t'",
    "\"{",
    "}\"",
    "{",
    "}",
    "$p",
    "$$",
    "#item",
    "1L",
    "0x",
    "1e",
    ":",
    "&&",
    "!",
    "-",
    "->",
    "?",
    "/*",
    "*/",
    "//",
    "\n",
    "parameters",
    "each",
    "`",
    "\\",
];

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(words in proptest::collection::vec(0..WORDS.len(), 0..80)) {
        let text: String = words.into_iter().map(|word| WORDS[word]).collect();
        if let Err(error) = parse(&text) {
            prop_assert!(error.span.from <= error.span.to && error.span.to <= text.len());
            prop_assert!(text.is_char_boundary(error.span.from) && text.is_char_boundary(error.span.to));
        }
    }
}
