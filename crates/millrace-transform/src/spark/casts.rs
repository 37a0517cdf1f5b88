//! Casts: where both engines read a value alike, where one has to be guarded, and where they differ.

use arrow::datatypes::DataType;

use super::types::{is_decimal, is_text, word};
use super::{Translated, Untranslated};

/// What becomes of a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// An error.
    Fails,
    /// Null.
    Null,
}

/// The numbers that both read, as a pattern: Spark also takes Java's suffixes.
const INTEGER: &str = "^ *[+-]?[0-9]+ *$";
const REAL: &str = "^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)? *$";

/// A day with or without a time and an offset, as the local engine reads it.
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$";
/// The end of a time that has an offset.
const OFFSET: &str = "[0-9][+-][0-9]{2}:?[0-9]{2}$";

/// The value as another type.
pub(super) fn cast(sql: &str, from: &DataType, to: &DataType, unfit: Unfit) -> Translated {
    let (old, new) = (word(from)?, word(to)?);
    if old == new {
        return Ok(sql.to_owned());
    }
    if from.is_null() {
        return Ok(format!("cast(null as {new})"));
    }
    let function = if unfit == Unfit::Null { "try_cast" } else { "cast" };
    let plain = format!("{function}({sql} as {new})");
    let differs = |why: &str, hint: &str| {
        Err(Untranslated::new(format!("a cast from {old} to {new} differs: {why}")).hinted(hint))
    };
    match (from, to) {
        (from, DataType::Decimal128(precision, scale)) if from.is_floating() => {
            decimal(sql, (*precision, *scale), unfit)
        }
        (from, to) if is_number(from) && is_number(to) => Ok(plain),
        (DataType::Boolean, to) if to.is_integer() || is_text(to) => Ok(plain),
        (from, DataType::Boolean) if from.is_integer() => Ok(plain),
        (from, to) if (from.is_integer() || is_decimal(from)) && is_text(to) => Ok(plain),
        (from, to) if from.is_floating() && is_text(to) => {
            differs("each writes large and small numbers in its own way", "cast it to a decimal first")
        }
        (from, to) if is_text(from) && to.is_integer() => Ok(guarded(sql, INTEGER, &plain, unfit)),
        (from, to) if is_text(from) && (to.is_floating() || is_decimal(to)) => {
            Ok(guarded(sql, REAL, &plain, unfit))
        }
        (from, DataType::Date32) if is_text(from) => Ok(date(sql, unfit)),
        (from, DataType::Timestamp(_, None)) if is_text(from) => Ok(time(sql, unfit)),
        (from, to) if is_text(from) && is_bytes(to) => Ok(plain),
        (from, to) if is_bytes(from) && is_text(to) && unfit == Unfit::Fails => {
            Ok(format!("decode({sql}, 'UTF-8')"))
        }
        (DataType::Date32, to) if is_text(to) => Ok(plain),
        (DataType::Date32, DataType::Timestamp(_, None)) => Ok(plain),
        (DataType::Timestamp(_, None), DataType::Date32) => Ok(plain),
        (DataType::Timestamp(..), to) if is_text(to) => {
            differs("fractions of a second are written in another way", "use `to_char` with a format")
        }
        (from, to) if is_text(from) && matches!(to, DataType::Boolean) => {
            differs("each knows other words for true", "compare it: `value = 'true'`")
        }
        _ => Err(Untranslated::new(format!("a cast from {old} to {new} is not known to give the same"))),
    }
}

/// Text that the local engine would not take is not taken there either.
fn guarded(sql: &str, pattern: &str, plain: &str, unfit: Unfit) -> String {
    match unfit {
        Unfit::Null => format!("case when {sql} rlike '{pattern}' then {plain} end"),
        Unfit::Fails => plain.to_owned(),
    }
}

/// The day that a text begins with; not every engine leaves out the time after it.
fn date(sql: &str, unfit: Unfit) -> String {
    match unfit {
        Unfit::Null => {
            format!("case when {sql} rlike '{TIME}' then try_cast(substr({sql}, 1, 10) as date) end")
        }
        Unfit::Fails => {
            format!("cast(case when {sql} rlike '{TIME}' then substr({sql}, 1, 10) else {sql} end as date)")
        }
    }
}

/// A time without a zone. An offset is moved to UTC here and left out by others, so it is an error there.
fn time(sql: &str, unfit: Unfit) -> String {
    let has_offset = format!("{sql} rlike '{OFFSET}' then concat({sql}, ' has an offset')");
    let plain = format!("trim(trailing 'Z' from {sql})");
    let text = match unfit {
        Unfit::Null => format!("case when {has_offset} when {sql} rlike '{TIME}' then {plain} end"),
        Unfit::Fails => format!("case when {has_offset} else {plain} end"),
    };
    format!("cast({text} as timestamp_ntz)")
}

/// A floating-point number as a decimal: the product with a power of ten, rounded. Spark goes by the digits that it would print.
fn decimal(sql: &str, (precision, scale): (u8, i8), unfit: Unfit) -> Translated {
    if !(0..=15).contains(&scale) {
        return Err(Untranslated::new(format!(
            "a cast to a decimal with {scale} digits is rounded in another way"
        )));
    }
    let product = format!("(cast({sql} as double) * cast('1e{scale}' as double))");
    let (whole, large) = (half_away(&product), is_large(&product));
    let unit = format!("{:.*}", usize::from(scale.unsigned_abs()), 10_f64.powi(-i32::from(scale)));
    let exact =
        format!("cast({whole} as decimal(20, 0)) * cast('{unit}' as decimal({}, {scale}))", scale + 1);
    let function = if unfit == Unfit::Null { "try_cast" } else { "cast" };
    let new = format!("decimal({precision}, {scale})");
    Ok(format!("(case when {large} then {function}({sql} as {new}) else {function}({exact} as {new}) end)"))
}

/// Rounded to a whole number, half away from zero; the difference to the whole number below is exact.
pub(super) fn half_away(number: &str) -> String {
    let below = format!("cast(floor(abs({number})) as double)");
    format!(
        "((case when {number} < 0 then -1D else 1D end) * ({below} + (case when abs({number}) - {below} >= 0.5D then 1D else 0D end)))"
    )
}

/// Whether a number has no fraction because it is too large for one, or is none.
pub(super) fn is_large(number: &str) -> String {
    format!("abs({number}) >= 4503599627370496D or isnan({number})")
}

fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || is_decimal(kind)
}
