//! How alike two texts are, and how they sound: for names that people typed.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};

/// `soundex(text)`: a letter and three digits for how an English name sounds; null for a text without a letter.
///
/// American Soundex as the National Archives of the United States describe it: vowels separate equal codes, `h` and `w` do not.
pub(super) fn soundex() -> ScalarUDF {
    let of = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let Some(texts) = arrays.first() else {
            return Err(DataFusionError::Internal("soundex without an argument".to_owned()));
        };
        let codes: StringArray = texts.as_string::<i32>().iter().map(|text| code(text?)).collect();
        Ok(ColumnarValue::Array(Arc::new(codes) as ArrayRef))
    };
    create_udf("soundex", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(of))
}

fn code(text: &str) -> Option<String> {
    let digit = |letter: char| match letter {
        'B' | 'F' | 'P' | 'V' => Some('1'),
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => Some('2'),
        'D' | 'T' => Some('3'),
        'L' => Some('4'),
        'M' | 'N' => Some('5'),
        'R' => Some('6'),
        _ => None,
    };
    let mut letters = text.chars().map(|letter| letter.to_ascii_uppercase()).filter(char::is_ascii_uppercase);
    let first = letters.next()?;
    let mut code = String::from(first);
    let mut last = digit(first);
    for letter in letters {
        let found = digit(letter);
        if let Some(digit) = found.filter(|_| found != last) {
            code.push(digit);
        }
        if !matches!(letter, 'H' | 'W') {
            last = found;
        }
        if code.len() == 4 {
            break;
        }
    }
    while code.len() < 4 {
        code.push('0');
    }
    Some(code)
}

/// `similarity(a, b)` and `similarity(a, b, measure)`: from 0, nothing alike, to 1, the same; null if one is null.
///
/// Measures: `jaro_winkler` (Winkler, *String Comparator Metrics and Enhanced Decision Rules*, 1990; the default), `levenshtein`, which is one
/// less the share of letters that have to be changed, and `dice`, the share of pairs of letters that both have (Sørensen, Dice).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Similarity {
    signature: Signature,
}

impl Similarity {
    pub(super) fn new() -> Self {
        Self { signature: Signature::variadic(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

/// The measure of that name.
fn measure(name: &str) -> Option<fn(&str, &str) -> f64> {
    match name {
        "jaro_winkler" => Some(strsim::jaro_winkler),
        "levenshtein" => Some(strsim::normalized_levenshtein),
        "dice" => Some(strsim::sorensen_dice),
        _ => None,
    }
}

impl ScalarUDFImpl for Similarity {
    fn name(&self) -> &str {
        "similarity"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.len() {
            2 | 3 => Ok(DataType::Float64),
            count => Err(DataFusionError::Plan(format!(
                "`similarity` takes two texts and perhaps a measure, and has {count} arguments"
            ))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = match args.args.get(2) {
            None => "jaro_winkler",
            Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(name)))) => name,
            Some(_) => {
                return Err(DataFusionError::Execution("the measure of `similarity` is a text".to_owned()));
            }
        };
        let Some(alike) = measure(name) else {
            return Err(DataFusionError::Execution(format!(
                "`similarity` has no measure `{name}`: jaro_winkler, levenshtein, dice"
            )));
        };
        let arrays = ColumnarValue::values_to_arrays(args.args.get(..2).unwrap_or_default())?;
        let [a, b] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("`similarity` takes two texts".to_owned()));
        };
        let (a, b) = (cast(a, &DataType::Utf8)?, cast(b, &DataType::Utf8)?);
        let pairs = a.as_string::<i32>().iter().zip(b.as_string::<i32>().iter());
        let scores: Float64Array = pairs.map(|(a, b)| Some(alike(a?, b?))).collect();
        Ok(ColumnarValue::Array(Arc::new(scores)))
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    /// The examples of the National Archives' page on the Soundex indexing system.
    #[test]
    fn names_get_the_codes_of_the_archives() {
        for (name, expected) in [
            ("Washington", "W252"),
            ("Lee", "L000"),
            ("Gutierrez", "G362"),
            ("Pfister", "P236"),
            ("Jackson", "J250"),
            ("Tymczak", "T522"),
            ("Ashcraft", "A261"),
            ("VanDeusen", "V532"),
        ] {
            assert_eq!(code(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(code(" 12 "), None);
    }
}
