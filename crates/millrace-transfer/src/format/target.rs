//! The long form of `to`: a file, and how it is written.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Format;
use crate::error::CopyError;
use crate::origin::WebTarget;

/// A file and how it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTarget {
    /// A path, `connection:key` or `s3://bucket/key`.
    pub path: String,
    /// Format of the file; told by its ending if absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// What stands between the cells: one ASCII character, or `tab`. CSV only.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// What stands around cells that hold delimiters or lines; `"` if absent. CSV only.
    #[serde(default)]
    pub quote: Option<String>,
    /// Whether the first row names the columns. CSV and Excel only.
    #[serde(default)]
    pub header: Option<bool>,
    /// What is written for null; nothing if absent. CSV only.
    #[serde(default)]
    pub null_value: Option<String>,
    /// How blocks within the file are compressed. Parquet, Avro, ORC and Arrow only; what a name such as `rows.csv.gz` ends in packs any file.
    #[serde(default)]
    pub compression: Option<Compression>,
    /// How hard it is compressed: 1 to 22 for zstd, 1 to 9 for gzip and bzip2. For `.gz`, `.zst` and `.bz2` files and Parquet only.
    #[serde(default)]
    pub level: Option<u32>,
    /// Rows of a row group; 1,048,576 if absent. Parquet only.
    #[serde(default)]
    pub row_group_rows: Option<NonZeroUsize>,
    /// Name of the sheet; `Sheet1` if absent. Excel only.
    #[serde(default)]
    pub sheet: Option<String>,
    /// The elements around the records and that of each, `/orders/order`; `/rows/row` if absent. XML only.
    #[serde(default)]
    pub records: Option<String>,
    /// What stands before the names of columns that become attributes; none do if absent. XML only.
    #[serde(default)]
    pub attributes: Option<String>,
}

/// How blocks of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// They are not.
    None,
    /// Parquet, Avro, ORC, Arrow.
    Zstd,
    /// Parquet, Avro, ORC.
    Snappy,
    /// Parquet; Avro and ORC as `deflate` and `zlib`.
    Gzip,
    /// Parquet, ORC, Arrow.
    Lz4,
}

/// What may stand after `to:`, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Target {
    /// `data:name`, a path, `connection:schema.table`, `connection:key` or `s3://bucket/key`.
    Place(String),
    /// A file and how it is written.
    File(Box<FileTarget>),
    /// A resource of a web API and how rows are sent to it.
    Web(Box<WebTarget>),
}

impl FileTarget {
    /// What `to` says beside the place.
    pub(crate) fn of(to: &Value) -> Result<Self, CopyError> {
        if to.get("path").is_none() {
            return Ok(Self::default());
        }
        let target: Self = serde_json::from_value(to.clone()).map_err(|error| {
            CopyError::config(format!("`to`: {error}"), "to: {path: out/rows.csv, delimiter: \";\"}")
        })?;
        target.check()?;
        Ok(target)
    }

    /// The format, told by the ending of `name` if it is not said.
    pub(crate) fn format_of(&self, name: &str) -> Result<Format, CopyError> {
        self.format.or_else(|| super::of_name(name)).ok_or_else(|| super::unknown(name))
    }

    /// Options that the format does not have.
    fn check(&self) -> Result<(), CopyError> {
        let format = self.format_of(&self.path)?;
        let is = |formats: &[Format]| formats.contains(&format);
        let packed = super::Packing::of_name(&self.path.to_lowercase()).0.levels();
        let misplaced = [
            ("delimiter", self.delimiter.is_some() && !is(&[Format::Csv])),
            ("quote", self.quote.is_some() && !is(&[Format::Csv])),
            ("null_value", self.null_value.is_some() && !is(&[Format::Csv])),
            ("header", self.header.is_some() && !is(&[Format::Csv, Format::Excel])),
            ("records", self.records.is_some() && !is(&[Format::Xml])),
            ("attributes", self.attributes.is_some() && !is(&[Format::Xml])),
            ("sheet", self.sheet.is_some() && !is(&[Format::Excel])),
            ("row_group_rows", self.row_group_rows.is_some() && !is(&[Format::Parquet])),
            (
                "compression",
                self.compression.is_some()
                    && !is(&[Format::Parquet, Format::Avro, Format::Orc, Format::Arrow, Format::ArrowStream]),
            ),
            ("level", self.level.is_some() && !is(&[Format::Parquet]) && packed.is_none()),
        ];
        if let Some((field, _)) = misplaced.into_iter().find(|(_, misplaced)| *misplaced) {
            let message = format!("`{field}` is not for files such as `{}`", self.path);
            return Err(CopyError::config(message, format!("leave `{field}` out")));
        }
        let levels = packed.unwrap_or(match self.compression {
            Some(Compression::Gzip) => 1..=9,
            _ => 1..=22,
        });
        match self.level {
            Some(level) if !levels.contains(&level) => Err(CopyError::config(
                format!("`level` is {} to {}, not {level}", levels.start(), levels.end()),
                format!("level: {}", levels.end()),
            )),
            _ => Ok(()),
        }
    }

    /// The level of a file that is packed as a whole, and the usual one of its kind.
    pub(crate) fn level_or(&self, usual: u32) -> i32 {
        i32::try_from(self.level.unwrap_or(usual)).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(to: &Value) -> String {
        FileTarget::of(to).map(|_| "fine".to_owned()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn options_are_of_formats() {
        assert_eq!(message(&json!("out.csv")), "fine");
        assert_eq!(message(&json!({"path": "out.csv", "delimiter": ";", "header": false})), "fine");
        assert_eq!(message(&json!({"path": "out.csv.zst", "level": 19})), "fine");
        assert_eq!(message(&json!({"path": "out.csv.gz", "level": 19})), "`level` is 1 to 9, not 19");
        assert_eq!(
            message(&json!({"path": "out.csv", "level": 1})),
            "`level` is not for files such as `out.csv`"
        );
        assert_eq!(
            message(&json!({"path": "a.jsonl", "delimiter": ";"})),
            "`delimiter` is not for files such as `a.jsonl`"
        );
        assert_eq!(
            message(&json!({"path": "a.parquet", "compression": "gzip", "level": 10})),
            "`level` is 1 to 9, not 10"
        );
        assert!(message(&json!({"path": "a.csv", "comma": ";"})).contains("unknown field `comma`"));
    }
}
