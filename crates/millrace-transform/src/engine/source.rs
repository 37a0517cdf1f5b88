//! Tables as DataFusion reads them.

use std::io::Read as _;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};
use millrace_contract::{QueryError, TableRef};

use super::failure::words;
use super::{DataFusionEngine, store};

/// The address of a table.
pub(crate) fn uri(table: &TableRef) -> &str {
    match table {
        TableRef::Delta { uri, .. }
        | TableRef::Parquet { uri }
        | TableRef::Csv { uri }
        | TableRef::Json { uri } => uri,
    }
}

/// Opens a table and prepares the session to read it.
pub(crate) async fn provider(
    engine: &DataFusionEngine,
    context: &SessionContext,
    table: &TableRef,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let uri = uri(table);
    let refused = |message: String| QueryError::Read { uri: uri.to_owned(), message };
    let url = store::parse(uri)?;
    if let TableRef::Delta { version, .. } = table {
        let opened = crate::delta::open(engine, uri, Some(*version)).await?;
        if let Some(provider) = crate::delta::plain_provider(engine, context, &opened, uri)? {
            return Ok(provider);
        }
        opened.update_datafusion_session(&context.state()).map_err(|error| refused(error.to_string()))?;
        let provider = opened.table_provider().await.map_err(|error| refused(words(&error)))?;
        return Ok(provider);
    }
    if url.scheme() == "s3" {
        let (bucket, _) = store::store_for(engine.config(), &url)?;
        context.register_object_store(&url, bucket);
    } else {
        let path = url.to_file_path().map_err(|()| refused("not a path of this machine".to_owned()))?;
        if !path.exists() {
            return Err(refused("there is no such file or folder".to_owned()));
        }
    }
    let compression = if uri.ends_with(".gz") {
        FileCompressionType::GZIP
    } else if uri.ends_with(".zst") {
        FileCompressionType::ZSTD
    } else {
        FileCompressionType::UNCOMPRESSED
    };
    // An empty ending accepts a single file whatever its name; a folder is filtered by the usual one.
    let frame = match table {
        TableRef::Parquet { .. } => {
            let ending = if uri.ends_with('/') || is_folder(&url) { ".parquet" } else { "" };
            context.read_parquet(address(&url), ParquetReadOptions::new().file_extension(ending)).await
        }
        TableRef::Csv { .. } => {
            let mut options = CsvReadOptions::new().file_extension("").file_compression_type(compression);
            options.schema_infer_max_records = INFER_ROWS;
            options.newlines_in_values = true;
            context.read_csv(address(&url), options).await
        }
        TableRef::Json { .. } => {
            let mut options =
                JsonReadOptions::default().file_extension("").file_compression_type(compression);
            options.newline_delimited = !is_document(&url);
            options.schema_infer_max_records = INFER_ROWS;
            context.read_json(address(&url), options).await
        }
        TableRef::Delta { .. } => return Err(refused("not a file".to_owned())),
    };
    Ok(frame.map_err(|error| refused(words(&error)))?.into_view())
}

/// Rows of a text file that decide its types.
const INFER_ROWS: usize = 20_000;

/// Whether a JSON file is one array, as `copy` writes those that end in `.json`, rather than an object a line.
fn is_document(url: &url::Url) -> bool {
    let begin = |path: std::path::PathBuf| -> std::io::Result<Vec<u8>> {
        let mut begin = Vec::new();
        fs_err::File::open(path)?.take(256).read_to_end(&mut begin)?;
        Ok(begin)
    };
    let begin = url.to_file_path().ok().and_then(|path| begin(path).ok()).unwrap_or_default();
    begin.trim_ascii_start().first() == Some(&b'[')
}

fn is_folder(url: &url::Url) -> bool {
    url.to_file_path().is_ok_and(|path| path.is_dir())
}

/// A folder's URL ends with `/`, or DataFusion takes it for a file.
fn address(url: &url::Url) -> String {
    let mut text = url.to_string();
    if is_folder(url) && !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// Some columns of a table, at most `limit` rows.
pub(crate) async fn frame(
    engine: &DataFusionEngine,
    table: &TableRef,
    columns: Option<&[String]>,
    limit: Option<usize>,
) -> Result<DataFrame, QueryError> {
    let context = engine.session()?;
    let refused = |error: datafusion::error::DataFusionError| QueryError::Read {
        uri: uri(table).to_owned(),
        message: words(&error),
    };
    let mut frame = context.read_table(provider(engine, &context, table).await?).map_err(refused)?;
    if let Some(columns) = columns {
        let known: Vec<&str> = frame.schema().fields().iter().map(|f| f.name().as_str()).collect();
        for column in columns {
            if !known.contains(&column.as_str()) {
                let near = millrace_spec::suggest::nearest(column, &known);
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("there is no column `{column}`{hint}");
                return Err(QueryError::Read { uri: uri(table).to_owned(), message });
            }
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        frame = frame.select_columns(&columns).map_err(refused)?;
    }
    match limit {
        Some(limit) => frame.limit(0, Some(limit)).map_err(refused),
        None => Ok(frame),
    }
}
