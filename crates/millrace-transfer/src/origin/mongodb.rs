//! MongoDB and what speaks its protocol (Azure Cosmos DB, Amazon DocumentDB), by its own driver: <https://www.mongodb.com/docs/drivers/rust/>.

mod load;
mod values;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_contract::{BatchStream, Progress};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Bson, DateTime, Document};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ConnectionString, Credential};
use mongodb::{Client, Cursor};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::settings::{Hidden, Kind, Settings};
use super::staged::Staged;
use super::{Asking, Found, Origin, Writing, check_mode};
use crate::config::{Condition, CopyConfig};
use crate::error::CopyError;
use crate::format::Format;
use crate::needless::{FORMAT, RECORDS, REQUEST, refuse};
use crate::store::{CONNECT, is_glob, masked, unless_cancelled};

/// The kind of connection `mongodb`.
pub(super) const KIND: Kind = Kind::of::<MongoDbConnection>(
    "copy: {from: \"shop:orders\", where: '{\"total\": {\"$gt\": 100}}', to: \"data:orders\"}\n",
);

/// A server that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(600);
/// Documents between two reports.
const REPORT: u64 = 1_000;
/// The years 0 to 9999, in milliseconds since 1970.
const YEARS: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;
/// The server's codes for somebody who may not: not authorised, authentication failed.
const REFUSALS: [i32; 2] = [13, 18];

/// Reads and writes collections of MongoDB.
///
/// In connections.yaml: `shop: {mongodb: {url: "mongodb+srv://cluster0.shop.example", user: reader, password: "${{ secrets.shop }}", database: shop}}`.
/// Then `shop:orders` is a collection of that database; without `database`, `shop:sales.orders` is the collection `orders` of `sales`. The step's
/// `where` is a filter as MongoDB has it, extended JSON: `where: '{"day": {"$gte": {"$date": "2026-03-01T00:00:00Z"}}}'`; values of expressions in it
/// are values and no part of the filter. `select` and `limit` are asked for there. Documents inside documents are structures and lists; an
/// ObjectId is its 24 digits, a decimal is text, so that `columns: {total: "decimal(12,2)"}` loses nothing, bytes are base64.
/// A collection is written with `write: append`, `{upsert: [keys]}`, `overwrite` or `truncate`, once for a step, which a collection `millrace_loads`
/// beside it remembers. Appended documents get an `_id` of the step and the row unless the rows have one, by which they replace others; rows that
/// become the whole collection are staged in another one, which is renamed. Decimals are `Decimal128`, dates and timestamps are dates, to the
/// millisecond in which they are.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MongoDbConnection {
    /// `mongodb://host:27017,host2` or `mongodb+srv://name`, with the driver's options behind `/?`: `tls=true`, `replicaSet=rs0`.
    url: String,
    /// Who reads; nobody if absent.
    #[serde(default)]
    user: Option<String>,
    /// The user's password.
    #[serde(default)]
    password: Option<Hidden>,
    /// The database that knows the user; `admin` if absent.
    #[serde(default)]
    auth_source: Option<String>,
    /// The database of the collections. Without it, a collection is named with its database.
    #[serde(default)]
    database: Option<String>,
}

impl Settings for MongoDbConnection {
    const WORD: &'static str = "mongodb";
    const TAKES_CONDITIONS: bool = true;
    const TAKES_ROWS: bool = true;
    const EXAMPLE: &'static str = "{url: \"mongodb://db.example/?tls=true\", user: reader, password: \"${{ secrets.shop }}\", database: shop}";

    fn open(self, _: &Path) -> Result<Box<dyn Origin>, String> {
        let behind = self.url.split_once("://").map_or("", |(_, behind)| behind);
        let hosts = behind.split(['/', '?']).next().unwrap_or_default();
        if hosts.contains('@') {
            return Err("`url` has no user in it; write `user` and `password`".to_owned());
        }
        let address = ConnectionString::parse(&self.url).map_err(|error| error.kind.to_string())?;
        if self.user.is_some() != self.password.is_some() {
            return Err("`user` and `password` go together".to_owned());
        }
        let database = self.database.clone().or(address.default_database);
        Ok(Box::new(MongoDb { settings: self, database }))
    }
}

struct MongoDb {
    settings: MongoDbConnection,
    database: Option<String>,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    database: String,
    collection: String,
}

impl Place {
    /// `collection` of the connection's database, or `database.collection`. `side`: `from` or `to`.
    fn of(stream: &str, database: Option<&str>, side: &str) -> Result<Self, CopyError> {
        let named = match database {
            Some(database) => Some((database, stream)),
            None => stream.split_once('.'),
        };
        let named = named.filter(|(database, name)| !database.is_empty() && !name.is_empty());
        let (database, collection) = named.ok_or_else(|| {
            CopyError::config(
                format!("`{stream}` names no collection of a database"),
                format!("{side}: \"shop:database.collection\", or `database` in the connection"),
            )
        })?;
        Ok(Self { database: database.to_owned(), collection: collection.to_owned() })
    }
}

/// What is asked of a collection.
#[derive(Debug, PartialEq)]
struct Query {
    place: Place,
    filter: Document,
    projection: Option<Document>,
    limit: Option<i64>,
}

impl Query {
    fn of(stream: &str, database: Option<&str>, config: &CopyConfig) -> Result<Self, CopyError> {
        let place = Place::of(stream, database, "from")?;
        // What the step goes on to do with other fields has to be there.
        let asked_for = !config.select.is_empty()
            && config.mapping.is_empty()
            && config.incremental.is_none()
            && config.unnest.is_empty()
            && config.add.is_empty()
            && !config.select.iter().any(|name| is_glob(name) || name.contains('.'));
        let projection = asked_for.then(|| {
            let mut fields: Document =
                config.select.iter().map(|name| (name.clone(), Bson::from(1))).collect();
            // It comes unless one says that it is not to.
            if !fields.contains_key("_id") {
                fields.insert("_id", 0);
            }
            fields
        });
        Ok(Self {
            place,
            filter: config.condition.as_ref().map(filter).transpose()?.unwrap_or_default(),
            projection,
            limit: config
                .limit
                .filter(|_| config.keeps_every_row())
                .and_then(|limit| i64::try_from(limit).ok()),
        })
    }
}

/// A filter with its values in place of `$1`, `$2`, …
fn filter(condition: &Condition) -> Result<Document, CopyError> {
    let (text, values) = match condition {
        Condition::Text(text) => (text, [].as_slice()),
        Condition::Bound { text, params } => (text, params.as_slice()),
    };
    if values.iter().any(|value| value.is_array() || value.is_object()) {
        return Err(CopyError::config(
            "a value in `where` is a structure",
            "compare with a text, a number or a date",
        ));
    }
    serde_json::from_str(&filled(text, values)).map_err(|error| {
        CopyError::config(
            format!("`where` is no filter of MongoDB: {error}"),
            "where: '{\"status\": \"open\", \"total\": {\"$gt\": 100}}'",
        )
    })
}

/// JSON in which a value stands where its number did: as text between quotes, and otherwise as what it is. A value cannot end the quotes.
fn filled(text: &str, values: &[Value]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut letters) = (false, text.char_indices().peekable());
    while let Some((at, letter)) = letters.next() {
        let rest = text.get(at + 1..).unwrap_or_default();
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let number = rest.get(..digits).and_then(|digits| digits.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?)).filter(|_| letter == '$');
        match (letter, value) {
            (_, Some(value)) => {
                for _ in 0..digits {
                    letters.next();
                }
                match (quoted, value) {
                    (true, Value::String(value)) => {
                        let written = Value::from(value.as_str()).to_string();
                        out.push_str(
                            written
                                .strip_prefix('"')
                                .and_then(|text| text.strip_suffix('"'))
                                .unwrap_or_default(),
                        );
                    }
                    (_, value) => out.push_str(&value.to_string()),
                }
                continue;
            }
            ('"', None) => quoted = !quoted,
            ('\\', None) if quoted => {
                out.push(letter);
                if let Some((_, escaped)) = letters.next() {
                    out.push(escaped);
                }
                continue;
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// A value as plain JSON.
fn plain(value: Bson) -> Value {
    match value {
        Bson::Double(number) => {
            Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text.into(),
        Bson::Array(items) => items.into_iter().map(plain).collect(),
        Bson::Document(fields) => object(fields),
        Bson::Boolean(value) => value.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::ObjectId(id) => id.to_hex().into(),
        Bson::Decimal128(number) => number.to_string().into(),
        Bson::DateTime(at) => moment(at.timestamp_millis()),
        Bson::Timestamp(at) => moment(i64::from(at.time) * 1_000),
        Bson::Binary(binary) => match (binary.subtype, uuid::Uuid::from_slice(&binary.bytes)) {
            (BinarySubtype::Uuid, Ok(id)) => id.hyphenated().to_string().into(),
            _ => STANDARD.encode(binary.bytes).into(),
        },
        Bson::RegularExpression(regex) => {
            format!("/{}/{}", regex.pattern.as_str(), regex.options.as_str()).into()
        }
        Bson::JavaScriptCodeWithScope(code) => code.code.into(),
        Bson::Null | Bson::Undefined | Bson::MinKey | Bson::MaxKey | Bson::DbPointer(_) => Value::Null,
    }
}

/// A time as RFC 3339 has it; one beyond its years as the milliseconds since 1970, since the driver would give the last instant that it has.
fn moment(millis: i64) -> Value {
    let text = DateTime::from_millis(millis).try_to_rfc3339_string();
    let text = text.ok().filter(|_| YEARS.contains(&millis));
    text.unwrap_or_else(|| millis.to_string()).into()
}

fn object(fields: Document) -> Value {
    fields.into_iter().map(|(name, value)| (name, plain(value))).collect::<Map<_, _>>().into()
}

impl MongoDb {
    async fn client(&self) -> Result<Client, Error> {
        let mut options = ClientOptions::parse(&self.settings.url).await?;
        options.app_name.get_or_insert_with(|| "millrace".to_owned());
        options.connect_timeout.get_or_insert(CONNECT);
        options.server_selection_timeout.get_or_insert(CONNECT);
        if let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) {
            let mut credential = options.credential.take().unwrap_or_else(|| Credential::builder().build());
            credential.username = Some(user.clone());
            credential.password = Some(password.0.clone());
            credential.source = self.settings.auth_source.clone().or(credential.source);
            options.credential = Some(credential);
        }
        Client::with_options(options)
    }

    async fn find(&self, query: Query) -> Result<Cursor<Document>, Error> {
        let client = self.client().await?;
        let collection =
            client.database(&query.place.database).collection::<Document>(&query.place.collection);
        let mut find = collection.find(query.filter);
        if let Some(fields) = query.projection {
            find = find.projection(fields);
        }
        if let Some(limit) = query.limit {
            find = find.limit(limit);
        }
        find.await
    }

    /// Writes the documents into a file, a line each.
    async fn stage(&self, query: Query, asking: &Asking<'_>) -> Result<Staged, CopyError> {
        let mut staged = Staged::new(asking).await?;
        let path = staged.place(asking.label.clone());
        let kept = |error: std::io::Error| CopyError::write("the attempt's folder", &error);
        let mut file = BufWriter::new(tokio::fs::File::create(&path).await.map_err(kept)?);
        let mut documents = self.answered(asking, self.find(query)).await?;
        while self.answered(asking, documents.advance()).await? {
            let document = documents.deserialize_current().map_err(|error| self.failed(asking, &error))?;
            let mut line = object(document).to_string();
            line.push('\n');
            file.write_all(line.as_bytes()).await.map_err(kept)?;
            staged.bytes += line.len() as u64;
            staged.rows += 1;
            if staged.rows.is_multiple_of(REPORT) {
                let (rows, bytes) = (Some(staged.rows), Some(staged.bytes));
                asking.context.progress.report(Progress { fraction: None, rows, bytes, message: None });
            }
        }
        file.flush().await.map_err(kept)?;
        Ok(staged)
    }

    /// What the server answers, if it does.
    async fn answered<T>(
        &self,
        asking: &Asking<'_>,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, CopyError> {
        match tokio::time::timeout(SILENCE, question).await {
            Ok(answer) => answer.map_err(|error| self.failed(asking, &error)),
            Err(_) => {
                Err(asking.failed(format!("the server says nothing for {} s", SILENCE.as_secs()), true))
            }
        }
    }

    fn failed(&self, asking: &Asking<'_>, error: &Error) -> CopyError {
        let (message, passes) = self.said(error);
        asking.failed(message, passes)
    }

    /// What is wrong, and whether it may pass.
    fn said(&self, error: &Error) -> (String, bool) {
        let refused = match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => true,
            ErrorKind::Command(command) => REFUSALS.contains(&command.code),
            _ => false,
        };
        let hint = if refused { "; look at `user` and `password`" } else { "" };
        let passes = matches!(
            error.kind.as_ref(),
            ErrorKind::Io(_)
                | ErrorKind::DnsResolve { .. }
                | ErrorKind::ServerSelection { .. }
                | ErrorKind::ConnectionPoolCleared { .. }
        );
        (self.masked(&format!("{}{hint}", error.kind)), passes)
    }

    fn masked(&self, message: &str) -> String {
        let secrets: Vec<String> = self.settings.password.iter().map(|word| word.0.clone()).collect();
        masked(message, &secrets)
    }
}

#[async_trait]
impl Origin for MongoDb {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        refuse(config, &[REQUEST, RECORDS, FORMAT], "MongoDB", "leave it out")?;
        Query::of(stream, self.database.as_deref(), config).map(drop)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = Query::of(asking.stream, self.database.as_deref(), &asking.config)?;
        let staged = unless_cancelled(asking.context, self.stage(query, &asking)).await?;
        staged.read(asking, Format::Jsonl, None).await
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let listing = async {
            let client = self.client().await?;
            match &self.database {
                Some(database) => client.database(database).list_collection_names().await,
                None => {
                    let names = client.list_database_names().await?;
                    Ok(names.into_iter().map(|name| format!("{name}.…")).collect())
                }
            }
        };
        let names = unless_cancelled(asking.context, self.answered(&asking, listing)).await?;
        Ok(("MongoDB answers".to_owned(), names))
    }

    fn check_write(&self, collection: &str, config: &CopyConfig) -> Result<(), CopyError> {
        Place::of(collection, self.database.as_deref(), "to")?;
        if !config.pre_sql.is_empty() || !config.post_sql.is_empty() {
            return Err(CopyError::config("MongoDB has no SQL", "leave `pre_sql` and `post_sql` out"));
        }
        check_mode("MongoDB", true, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        let place = Place::of(writing.table, self.database.as_deref(), "to")?;
        // The driver's futures are of many kilobytes.
        Box::pin(async { load::Load::new(self, &writing, place).await?.run(rows).await }).await
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{Binary, Decimal128, Regex, Timestamp, doc};
    use serde_json::json;

    use super::*;

    fn config(value: Value) -> CopyConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_step_is_one_query_whose_values_are_no_part_of_the_filter() {
        let step = config(json!({
            "from": "shop:orders", "to": "data:o", "select": ["id", "customer"], "limit": 7,
            "where": {
                "text": "{\"status\": $1, \"name\": \"^$1!\", \"n\": {\"$gt\": $2}, \"$3\": \"\\\"$2\", \"at\": {\"$gte\": {\"$date\": \"$4\"}}}",
                "params": ["a\", \"$where\": \"1", 12, null, "2026-03-01T00:00:00Z"],
            },
        }));
        let query = Query::of("order.items", Some("shop"), &step).unwrap();
        assert_eq!((query.place.database.as_str(), query.place.collection.as_str()), ("shop", "order.items"));
        let at = DateTime::parse_rfc3339_str("2026-03-01T00:00:00Z").unwrap();
        let wanted = doc! {
            "status": "a\", \"$where\": \"1", "name": "^a\", \"$where\": \"1!", "n": {"$gt": 12}, "null": "\"12",
            "at": {"$gte": at},
        };
        assert_eq!(query.filter, wanted);
        assert_eq!(query.projection, Some(doc! {"id": 1, "customer": 1, "_id": 0}));
        assert_eq!(query.limit, Some(7));
        let plain = config(json!({"from": "shop:orders", "to": "data:o"}));
        let whole = Query::of("shop.order.items", None, &plain).unwrap();
        assert_eq!((whole.place.database.as_str(), whole.place.collection.as_str()), ("shop", "order.items"));
        assert_eq!((whole.filter, whole.projection, whole.limit), (Document::new(), None, None));
        assert!(Query::of("orders", None, &plain).is_err() && Query::of("", Some("shop"), &plain).is_err());
        for wrong in
            [json!("{\"a\": }"), json!("total > 5"), json!({"text": "{\"a\": $1}", "params": [{"$gt": 0}]})]
        {
            let step = config(json!({"from": "shop:orders", "to": "data:o", "where": wrong}));
            assert!(Query::of("orders", Some("shop"), &step).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_type_has_its_plain_json() {
        let at = DateTime::from_millis(1_772_323_200_123);
        let fields = doc! {
            "id": ObjectId::from_str("65f000000000000000000001").unwrap(),
            "i": 7, "l": i64::MAX, "d": 1.5, "nan": f64::NAN, "b": true, "none": Bson::Null, "at": at,
            "money": Decimal128::from_str("12.30").unwrap(),
            "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] },
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "stamp": Timestamp { time: 1_772_323_200, increment: 3 },
            "regex": Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() },
            "far": DateTime::MAX, "min": Bson::MinKey,
            "list": [1, "a", {"deep": Bson::Undefined}],
        };
        let wanted = json!({
            "id": "65f000000000000000000001",
            "i": 7, "l": i64::MAX, "d": 1.5, "nan": "NaN", "b": true, "none": null, "at": "2026-03-01T00:00:00.123Z",
            "money": "12.30", "uuid": "01010101-0101-0101-0101-010101010101", "bytes": "AQID",
            "stamp": "2026-03-01T00:00:00Z", "regex": "/^a/i", "far": i64::MAX.to_string(), "min": null,
            "list": [1, "a", {"deep": null}],
        });
        assert_eq!(object(fields), wanted);
    }
}
