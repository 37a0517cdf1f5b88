//! How the systems write what they have in common.

use arrow::datatypes::DataType;

/// A dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL, and what speaks its protocol.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Whether names of columns that differ in their letters' case are one.
    pub(crate) fn ignores_case(self) -> bool {
        matches!(self, Self::Mysql | Self::Sqlite)
    }

    /// Whether a column that is there can get another type.
    pub(crate) fn changes_types(self) -> bool {
        matches!(self, Self::Postgres | Self::Mysql)
    }

    /// A name that is taken as it is written.
    pub(crate) fn quoted(self, name: &str) -> String {
        match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// `schema.table`, each part quoted.
    pub(crate) fn table(self, name: &str) -> String {
        name.split('.').map(|part| self.quoted(part)).collect::<Vec<_>>().join(".")
    }

    /// Another table of the same schema, quoted.
    pub(crate) fn beside(self, table: &str, name: &str) -> String {
        match table.rsplit_once('.') {
            Some((schema, _)) => format!("{}.{}", self.table(schema), self.quoted(name)),
            None => self.quoted(name),
        }
    }

    /// What follows `from`: a table, or a query in brackets.
    pub(crate) fn relation(self, text: &str) -> String {
        match text.trim() {
            query if query.starts_with('(') => format!("{query} as source"),
            table => self.table(table),
        }
    }

    /// The place of the bound value number `number`, from 1.
    pub(crate) fn placeholder(self, number: usize) -> String {
        match self {
            Self::Mysql => "?".to_owned(),
            Self::Postgres | Self::Sqlite => format!("${number}"),
        }
    }

    /// Whether two columns differ, null being equal to null.
    pub(crate) fn differ(self, left: &str, right: &str) -> String {
        match self {
            // By their text: `json` and others have no equality.
            Self::Postgres => format!("{left}::text is distinct from {right}::text"),
            Self::Mysql => format!("not ({left} <=> {right})"),
            Self::Sqlite => format!("{left} is not {right}"),
        }
    }

    /// The server's time as text that it reads again, UTC, microseconds.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || 'Z'"
            }
            Self::Mysql => "select cast(utc_timestamp(6) as char)",
            Self::Sqlite => "select strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        }
    }

    /// The type of a column that holds such values. `key`: it is part of a primary key.
    pub(crate) fn column_type(self, kind: &DataType, key: bool) -> String {
        match self {
            Self::Postgres => postgres(kind),
            Self::Mysql => mysql(kind, key),
            Self::Sqlite => sqlite(kind),
        }
    }

    /// The type of the columns in which we keep instants.
    pub(crate) fn instant(self) -> &'static str {
        match self {
            Self::Postgres => "timestamptz",
            Self::Mysql => "datetime(6)",
            Self::Sqlite => "timestamptz",
        }
    }
}

fn postgres(kind: &DataType) -> String {
    let word = match kind {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 => "numeric(20,0)",
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => return format!("numeric({p},{s})"),
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea"
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if !item.data_type().is_nested() =>
        {
            return format!("{}[]", postgres(item.data_type()));
        }
        kind if kind.is_nested() => "jsonb",
        _ => "text",
    };
    word.to_owned()
}

fn mysql(kind: &DataType, key: bool) -> String {
    let word = match kind {
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::UInt8 => "tinyint unsigned",
        DataType::UInt16 => "smallint unsigned",
        DataType::UInt32 => "int unsigned",
        DataType::UInt64 => "bigint unsigned",
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => return format!("decimal({p},{s})"),
        DataType::Float16 | DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time(6)",
        // `timestamp` ends in 2038.
        DataType::Timestamp(..) => "datetime(6)",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            if key {
                "varbinary(255)"
            } else {
                "longblob"
            }
        }
        kind if kind.is_nested() => "json",
        _ if key => "varchar(255)",
        _ => "longtext",
    };
    word.to_owned()
}

/// The names are what we read the types from again. What must be exact has `text` in its name: SQLite would turn digits into a number.
fn sqlite(kind: &DataType) -> String {
    let word = match kind {
        DataType::Boolean => "boolean",
        kind if kind.is_integer() && *kind != DataType::UInt64 => "integer",
        DataType::UInt64 => "decimal_text(20,0)",
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => return format!("decimal_text({p},{s})"),
        kind if kind.is_floating() => "real",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "blob"
        }
        _ => "text",
    };
    word.to_owned()
}
