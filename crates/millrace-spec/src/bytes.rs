//! Amounts of data as people write them.

/// Units with their bytes: powers of 1000, and of 1024 with an `i`.
const UNITS: [(&str, u64); 8] = [
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// Bytes of an amount such as `64MB` or `1GiB`; `None` if the text is not one.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_number_and_a_unit() {
        assert_eq!(parse_bytes("64MB"), Some(64_000_000));
        assert_eq!(parse_bytes("1 GiB"), Some(1 << 30));
        assert_eq!(parse_bytes("12B"), Some(12));
        for bad in ["", "64", "MB", "64mb", "-1MB", "1.5GB", "99999999999TB"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }
}
