//! What a table's metadata file says: its schemas, how it is divided, its snapshots.

use std::collections::HashMap;
use std::io::Read as _;

use jiff::Timestamp;
use millrace_contract::TableMoment;
use serde::Deserialize;

/// The newest format that is read.
const FORMAT: u8 = 2;
/// Bytes of a metadata file at most.
const LONGEST: u64 = 256 << 20;
/// Where a table that was made of other files says which of their columns is which field.
const NAME_MAPPING: &str = "schema.name-mapping.default";

/// A metadata file, of format 1 or 2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    /// Where the table was when it was written; it may lie elsewhere now.
    pub(super) location: String,
    #[serde(default)]
    schema: Option<Struct>,
    #[serde(default)]
    schemas: Vec<Struct>,
    #[serde(default)]
    current_schema_id: Option<i32>,
    #[serde(default)]
    partition_spec: Vec<PartitionField>,
    #[serde(default)]
    partition_specs: Vec<PartitionSpec>,
    #[serde(default)]
    properties: HashMap<String, String>,
    #[serde(default)]
    current_snapshot_id: Option<i64>,
    #[serde(default)]
    snapshots: Vec<Snapshot>,
    #[serde(default)]
    snapshot_log: Vec<LogEntry>,
}

/// The table at one time.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    pub(super) snapshot_id: i64,
    #[serde(default)]
    timestamp_ms: i64,
    /// The file that lists the manifests.
    #[serde(default)]
    pub(super) manifest_list: Option<String>,
    /// The manifests themselves, of some old tables.
    #[serde(default)]
    pub(super) manifests: Vec<String>,
    #[serde(default)]
    schema_id: Option<i32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LogEntry {
    snapshot_id: i64,
    timestamp_ms: i64,
}

/// How files are divided by the values of columns.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PartitionSpec {
    pub(super) spec_id: i32,
    pub(super) fields: Vec<PartitionField>,
}

/// One value of a partition, out of one column.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PartitionField {
    pub(super) source_id: i32,
    pub(super) transform: String,
}

/// Fields, each with an id that it keeps whatever it is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Struct {
    #[serde(default)]
    schema_id: Option<i32>,
    pub(super) fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Field {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) required: bool,
    #[serde(rename = "type")]
    pub(super) kind: Type,
}

/// A type of Iceberg.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Type {
    Plain(String),
    Nested(Nested),
}

/// A type with an inner structure.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "kebab-case")]
pub(super) enum Nested {
    Struct { fields: Vec<Field> },
    List { element_id: i32, element_required: bool, element: Box<Type> },
    Map { key_id: i32, key: Box<Type>, value_id: i32, value_required: bool, value: Box<Type> },
}

/// Names that a field has in files without ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NameMapping {
    #[serde(default)]
    pub(super) field_id: Option<i32>,
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) fields: Vec<Self>,
}

impl Metadata {
    /// Reads a metadata file, which may be packed with gzip.
    ///
    /// # Errors
    /// In words; it is also told what is of a newer format than this.
    pub(super) fn read(file: impl std::io::Read) -> Result<Self, String> {
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut text = Vec::new();
            let packed = flate2::read::GzDecoder::new(bytes.as_slice());
            packed.take(LONGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
            bytes = text;
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Version {
            format_version: u8,
        }
        let strange = |error: serde_json::Error| format!("it is no metadata of an Iceberg table ({error})");
        // Asked first: what a newer format has may not be understood at all.
        let Version { format_version } = serde_json::from_slice(&bytes).map_err(strange)?;
        if !(1..=FORMAT).contains(&format_version) {
            return Err(format!(
                "the table is of the format version {format_version}; the versions 1 and 2 are read"
            ));
        }
        serde_json::from_slice(&bytes).map_err(strange)
    }

    /// The snapshot that is meant; `None` if the table has no rows yet.
    pub(super) fn snapshot(&self, moment: &TableMoment) -> Result<Option<&Snapshot>, String> {
        let of_id = |id: i64| self.snapshots.iter().find(|snapshot| snapshot.snapshot_id == id);
        let gone = |id: i64| format!("it has no snapshot {id}; {}", self.known());
        match moment {
            TableMoment::Newest => match self.current_snapshot_id.filter(|id| *id != -1) {
                Some(id) => of_id(id).map(Some).ok_or_else(|| gone(id)),
                None => Ok(None),
            },
            TableMoment::Version(id) => {
                let id = i64::try_from(*id).map_err(|_| format!("`{id}` is no id of a snapshot"))?;
                of_id(id).map(Some).ok_or_else(|| gone(id))
            }
            TableMoment::At(time) => {
                let then =
                    self.snapshot_log.iter().filter(|entry| entry.timestamp_ms <= time.as_millisecond());
                let entry = then.max_by_key(|entry| entry.timestamp_ms);
                let entry =
                    entry.ok_or_else(|| format!("it had no snapshot at that time; {}", self.known()))?;
                let expired = || format!("its snapshot of that time is gone; {}", self.known());
                of_id(entry.snapshot_id).map(Some).ok_or_else(expired)
            }
        }
    }

    fn known(&self) -> String {
        let said = |snapshot: &Snapshot| {
            let time = Timestamp::from_millisecond(snapshot.timestamp_ms);
            let time = time.map_or_else(|_| "?".to_owned(), |time| time.to_string());
            format!("{} of {time}", snapshot.snapshot_id)
        };
        let newest: Vec<String> = self.snapshots.iter().rev().take(5).map(said).collect();
        match newest.is_empty() {
            true => "it has none".to_owned(),
            false => format!("the newest are {}", newest.join(", ")),
        }
    }

    /// The fields that the rows have: those of now, or of the snapshot that was asked for.
    pub(super) fn schema(
        &self,
        moment: &TableMoment,
        snapshot: Option<&Snapshot>,
    ) -> Result<&Struct, String> {
        let then = snapshot.filter(|_| *moment != TableMoment::Newest).and_then(|then| then.schema_id);
        let id = then.or(self.current_schema_id);
        let found = self.schemas.iter().find(|schema| schema.schema_id == id);
        found.or(self.schema.as_ref()).ok_or_else(|| "its metadata name no schema".to_owned())
    }

    /// A column by its id, of any time; the newest one.
    pub(super) fn column(&self, id: i32) -> Option<&Field> {
        let schemas = self.schemas.iter().rev().chain(&self.schema);
        schemas.flat_map(|schema| &schema.fields).find(|field| field.id == id)
    }

    /// How the files of a manifest are divided.
    pub(super) fn spec(&self, id: i32) -> &[PartitionField] {
        let found = self.partition_specs.iter().find(|spec| spec.spec_id == id);
        found.map_or(self.partition_spec.as_slice(), |spec| spec.fields.as_slice())
    }

    /// Names of fields in files without ids.
    pub(super) fn name_mapping(&self) -> Result<Option<Vec<NameMapping>>, String> {
        let text = self.properties.get(NAME_MAPPING);
        let read = |text: &String| {
            serde_json::from_str(text).map_err(|error| format!("its property `{NAME_MAPPING}`: {error}"))
        };
        text.map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"format-version": 2, "location": "s3://lake/t", "current-schema-id": 1, "current-snapshot-id": 20,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": true, "type": "int"}]},
            {"type": "struct", "schema-id": 1, "fields": [{"id": 1, "name": "b", "required": true, "type": "long"},
                {"id": 2, "name": "m", "required": false, "type": {"type": "map", "key-id": 3, "key": "string", "value-id": 4,
                    "value-required": false, "value": {"type": "list", "element-id": 5, "element-required": true, "element": "date"}}}]}],
        "snapshots": [{"snapshot-id": 10, "timestamp-ms": 1000, "manifest-list": "x", "schema-id": 0},
            {"snapshot-id": 20, "timestamp-ms": 2000, "manifest-list": "y", "schema-id": 1}],
        "snapshot-log": [{"snapshot-id": 10, "timestamp-ms": 1000}, {"snapshot-id": 20, "timestamp-ms": 2000}]}"#;

    #[test]
    fn the_snapshot_and_the_schema_that_are_meant() {
        let table = Metadata::read(TABLE.as_bytes()).unwrap();
        let check = |moment: TableMoment, expected: Result<(i64, &str), &str>| {
            let found = table.snapshot(&moment).and_then(|found| {
                let schema = table.schema(&moment, found)?;
                Ok((found.unwrap().snapshot_id, schema.fields[0].name.clone()))
            });
            let found = found.as_ref().map(|(id, name)| (*id, name.as_str())).map_err(String::as_str);
            assert_eq!(found, expected, "{moment:?}");
        };
        check(TableMoment::Newest, Ok((20, "b")));
        check(TableMoment::Version(10), Ok((10, "a")));
        check(TableMoment::At("1970-01-01T00:00:01.5Z".parse().unwrap()), Ok((10, "a")));
        check(
            TableMoment::At("1970-01-01T00:00:00Z".parse().unwrap()),
            Err(
                "it had no snapshot at that time; the newest are 20 of 1970-01-01T00:00:02Z, 10 of 1970-01-01T00:00:01Z",
            ),
        );
        check(
            TableMoment::Version(11),
            Err(
                "it has no snapshot 11; the newest are 20 of 1970-01-01T00:00:02Z, 10 of 1970-01-01T00:00:01Z",
            ),
        );
    }

    #[test]
    fn formats_that_are_not_read() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Metadata::read(text.as_bytes()).unwrap_err(), expected);
        };
        check(
            r#"{"format-version": 3}"#,
            "the table is of the format version 3; the versions 1 and 2 are read",
        );
        check(
            "{}",
            "it is no metadata of an Iceberg table (missing field `format-version` at line 1 column 2)",
        );
    }
}
