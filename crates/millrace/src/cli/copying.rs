//! Arguments of what reads whatever can be copied.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// A path or glob, `https://…`, `connection:schema.table`, or `data:name`.
    pub(crate) from: String,
    /// `data:name`, a path, `connection:schema.table`, or how it is written as well: `'{path: out/a.csv, delimiter: ";"}'`.
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Add the rows instead of replacing the table.
    #[arg(long)]
    pub(crate) append: bool,
    /// Say what would be copied: the columns, and the first rows; nothing is written.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Copies files as they are.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// A folder, a file or a glob: a path, `connection:path`, or the `https://` URL of one file.
    pub(crate) from: String,
    /// The folder that the files get into: a path or `connection:path`.
    pub(crate) to: String,
    /// Remove files that the source does not have.
    #[arg(long)]
    pub(crate) delete: bool,
    /// Only files that match: a glob of the path below the source, or of the name.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Files to leave alone, in both places.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// How files that are the same are told: time, size, digest or none.
    #[arg(long, value_name = "HOW")]
    pub(crate) compare: Option<String>,
    /// How what was written is compared with what was read: digest, read or none.
    #[arg(long, value_name = "HOW")]
    pub(crate) verify: Option<String>,
    /// Print what would be copied and removed, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Any other option of the step `sync`, as in a pipeline: `--with hierarchy=flatten`, `--with modified_since=7d`.
    #[arg(long = "with", value_name = "OPTION=YAML")]
    pub(crate) options: Vec<String>,
}

/// How a source is read.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Format of the source's files: csv, jsonl, json, parquet, avro, orc, arrow, arrow_stream, excel, xml; told by their ending if absent.
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// Type of a column: boolean, integer, number, decimal(12,2), date, datetime, timestamp, string, binary.
    #[arg(long = "column", value_name = "NAME=TYPE")]
    pub(crate) columns: Vec<String>,
    /// Text that means null, beside the empty one.
    #[arg(long = "null", value_name = "TEXT")]
    pub(crate) null_values: Vec<String>,
    /// What stands between cells: one character, or `tab`.
    #[arg(long)]
    pub(crate) delimiter: Option<String>,
    /// What becomes of the copy when a row cannot be read: fail or reject.
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_error: Option<String>,
    /// Any other option of the step `copy`, as in a pipeline: `--with encoding=latin-1`, `--with 'mapping={id: order_id}'`.
    #[arg(long = "with", value_name = "OPTION=YAML")]
    pub(crate) options: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// A path or glob, `https://…`, `connection:schema.table`, or `data:name`.
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Rows to print.
    #[arg(long, short = 'n', default_value_t = 20, value_name = "ROWS")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// A path or glob, `https://…`, `connection:schema.table`, or `data:name`.
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The table before: a path or glob, `https://…`, `connection:schema.table`, or `data:name`.
    pub(crate) before: String,
    /// The table after.
    pub(crate) after: String,
    /// Column that tells which row is which; several for a key of several. Without one, whole rows are compared.
    #[arg(long = "key", value_name = "COLUMN")]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Rows to print.
    #[arg(long, short = 'n', default_value_t = 100, value_name = "ROWS")]
    pub(crate) limit: usize,
}
