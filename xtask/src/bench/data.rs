//! `cargo xtask bench data`: copies and queries beside DuckDB, Polars and ConnectorX, each a whole process on the same files in the same minute.
//!
//! CPU seconds are the honest figure on a machine that others use too; where a bar is of wall time, both sides are measured one after the
//! other.

mod folders;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::postgres::Postgres;
use super::workspace::{self, Workspace};
use super::{Figure, median, print_table};
use crate::shell::run;
use crate::tools;

/// Rounds of which the median counts; the two sides take turns.
const ROUNDS: usize = 3;
/// Rows of the dirty file, and every how many of them one is bad.
const DIRTY_ROWS: usize = 2_000_000;
const DIRTY_EVERY: usize = 113;
/// Queries of TPC-H.
const QUERIES: usize = 22;

/// What a whole process took.
#[derive(Clone, Copy)]
struct Usage {
    cpu_s: f64,
    wall_s: f64,
    peak_mb: f64,
}

/// Everything that is measured with.
struct Bench<'a> {
    root: &'a Path,
    python: PathBuf,
    program: PathBuf,
    workspace: Workspace,
    /// TPC-H at scale factor 1: `csv/lineitem.csv` and a Parquet file a table.
    data: PathBuf,
}

/// Builds the program as users get it, measures, prints a table. Fails if a bar is missed.
pub(super) fn bench(root: &Path) -> Result<()> {
    run(root, "cargo", &["build", "--release", "--package", "millrace"])?;
    let program = workspace::program(root)?;
    let python = tools::peers_python(root)?;
    let data = tpch(&python)?;
    let bench = Bench { root, python, workspace: Workspace::new(&program, &[])?, program, data };
    let mut figures = bench.csv()?;
    figures.push(bench.dirty()?);
    figures.extend(bench.postgres()?);
    figures.push(bench.filter()?);
    figures.extend(bench.queries()?);
    match bench.folders(folders::WHOLE) {
        Ok(more) => figures.extend(more),
        Err(error) => {
            // What was measured is told all the same.
            print_table(&figures);
            return Err(error.context("the figures of folders"));
        }
    }
    judged(&figures)
}

/// The figures of files as they are alone. `debug`: with little data, of the program that the tests have built, to see that it works.
pub(super) fn bench_folders(root: &Path, profile: &str) -> Result<()> {
    let scale = if profile == "release" {
        run(root, "cargo", &["build", "--release", "--package", "millrace"])?;
        folders::WHOLE
    } else {
        folders::SMALL
    };
    let program = workspace::program_of(root, profile)?;
    let python = tools::peers_python(root)?;
    let (workspace, data) = (Workspace::new(&program, &[])?, PathBuf::new());
    let bench = Bench { root, python, workspace, program, data };
    judged(&bench.folders(scale)?)
}

fn judged(figures: &[Figure]) -> Result<()> {
    print_table(figures);
    let missed: Vec<&str> =
        figures.iter().filter(|figure| figure.value > figure.bar).map(|figure| figure.what).collect();
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}

/// The tables of TPC-H at scale factor 1, made once.
fn tpch(python: &Path) -> Result<PathBuf> {
    let folder = tools::cache().join("tpch-1");
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    let generator = python.with_file_name("tpchgen-cli").to_string_lossy().into_owned();
    let here = Path::new(".");
    let (csv, all) = (folder.join("csv"), folder.to_string_lossy().into_owned());
    run(here, &generator, &["parquet", "-s", "1", &format!("--output-dir={all}")])?;
    let csv = format!("--output-dir={}", csv.display());
    run(here, &generator, &["csv", "-s", "1", "--tables=lineitem", &csv])?;
    std::fs::write(folder.join("complete"), "")?;
    Ok(folder)
}

impl Bench<'_> {
    fn path(&self, name: &str) -> String {
        self.data.join(name).to_string_lossy().into_owned()
    }

    fn out(&self, name: &str) -> String {
        self.workspace.path(name).to_string_lossy().into_owned()
    }

    /// Runs a process to its end.
    fn measured(&self, program: &Path, arguments: &[&str]) -> Result<Usage> {
        let said = self.out("said.txt");
        let mut measure = Command::new(&self.python);
        measure.arg(self.root.join("xtask/peers/measure.py")).arg(&said).arg(program).args(arguments);
        let told = measure.current_dir(self.workspace.path("")).output()?;
        let usage: Value = serde_json::from_slice(&told.stdout)
            .with_context(|| format!("measuring failed: {}", String::from_utf8_lossy(&told.stderr)))?;
        if usage["status"] != 0 {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            bail!("`{} {}` failed: {said}", program.display(), arguments.join(" "));
        }
        let number = |name: &str| usage[name].as_f64().with_context(|| format!("no {name}"));
        Ok(Usage { cpu_s: number("cpu_s")?, wall_s: number("wall_s")?, peak_mb: number("peak_mb")? })
    }

    fn millrace(&self, arguments: &[&str]) -> Result<Usage> {
        self.measured(&self.program, arguments)
    }

    fn peer(&self, arguments: &[&str]) -> Result<Usage> {
        let script = self.root.join("xtask/peers/jobs.py").to_string_lossy().into_owned();
        let mut all = vec![script.as_str()];
        all.extend(arguments);
        self.measured(&self.python, &all)
    }

    /// Takes turns; the medians of ours and of each peer.
    fn paired(&self, ours: &[&str], peers: &[&[&str]]) -> Result<(Usage, Vec<Usage>)> {
        let mut mine = Vec::new();
        let mut theirs: Vec<Vec<Usage>> = vec![Vec::new(); peers.len()];
        for _ in 0..ROUNDS {
            mine.push(self.millrace(ours)?);
            for (arguments, usages) in peers.iter().zip(&mut theirs) {
                usages.push(self.peer(arguments)?);
            }
        }
        Ok((middle(&mine), theirs.iter().map(|usages| middle(usages)).collect()))
    }

    fn csv(&self) -> Result<Vec<Figure>> {
        let source = self.path("csv/lineitem.csv");
        let (duckdb, polars) = (self.out("duckdb.parquet"), self.out("polars.parquet"));
        let peers: [&[&str]; 2] =
            [&["duckdb", "csv", &source, &duckdb], &["polars", "csv", &source, &polars]];
        let (ours, peers) = self.paired(&["copy", &source, "ours.parquet"], &peers)?;
        let best = peers.iter().map(|usage| usage.cpu_s).fold(f64::INFINITY, f64::min);
        let figure = |what, value, unit, bar, floor| Figure { what, value, unit, bar, floor };
        let floor = Some((best, "the better of DuckDB and Polars"));
        Ok(vec![
            figure("CSV to Parquet, 6 M rows, CPU", ours.cpu_s, "s", best, floor),
            figure("CSV to Parquet, 6 M rows, peak memory", ours.peak_mb, "MB", 300.0, None),
        ])
    }

    /// A row in eight of a wide table, as another table.
    fn filter(&self) -> Result<Figure> {
        let source = self.path("lineitem.parquet");
        let target = self.out("filtered-polars.parquet");
        let condition = "where=l_quantity > 40 and l_discount > 0.03";
        let ours = ["copy", &source, "filtered.parquet", "--with", condition];
        let (ours, peers) = self.paired(&ours, &[&["polars", "filter", &source, &target]])?;
        let theirs = peers.first().context("no peer")?.cpu_s;
        let floor = Some((theirs, "Polars"));
        let what = "Parquet to Parquet, full width, filtered, CPU";
        Ok(Figure { what, value: ours.cpu_s, unit: "s", bar: 1.3 * theirs, floor })
    }

    /// The queries of TPC-H, each a process, against those of DuckDB over the same files.
    fn queries(&self) -> Result<Vec<Figure>> {
        let folder = self.data.to_string_lossy().into_owned();
        for table in ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"] {
            self.millrace(&["copy", &self.path(&format!("{table}.parquet")), &format!("data:{table}")])?;
        }
        let (mut ours, mut theirs, mut group) = (0.0, 0.0, None);
        for query in 1..=QUERIES {
            let file = self.root.join(format!("xtask/peers/tpch/{query:02}.sql"));
            let sql = std::fs::read_to_string(&file)?;
            let file = file.to_string_lossy().into_owned();
            let (mine, peers) =
                self.paired(&["sql", "-n", "1000000", &sql], &[&["duckdb", "sql", &folder, &file]])?;
            let peer = peers.first().context("no peer")?;
            println!("TPC-H {query}: {:.2} s, DuckDB {:.2} s", mine.wall_s, peer.wall_s);
            ours += mine.wall_s;
            theirs += peer.wall_s;
            // The first one filters little and aggregates everything.
            if query == 1 {
                group = Some((mine.cpu_s, peer.cpu_s));
            }
        }
        let figure = |what, value, theirs: f64| Figure {
            what,
            value,
            unit: "s",
            bar: 1.3 * theirs,
            floor: Some((theirs, "DuckDB")),
        };
        let (mine, peer) = group.context("no query")?;
        Ok(vec![
            figure("filter and aggregate (TPC-H 1), CPU", mine, peer),
            figure("the 22 queries of TPC-H, scale factor 1", ours, theirs),
        ])
    }

    /// A file with bad rows, of which both sides have to find each.
    fn dirty(&self) -> Result<Figure> {
        let (file, bad) = self.dirty_file()?;
        let target = self.out("dirty-duckdb.parquet");
        let types = COLUMNS.map(|(name, _, theirs)| format!("'{name}': '{theirs}'")).join(", ");
        let types = format!("{{{types}}}");
        let columns: Vec<String> = COLUMNS.iter().map(|(name, ours, _)| format!("{name}={ours}")).collect();
        let mut arguments = vec!["copy", &file, "dirty.parquet", "--on-error", "reject"];
        arguments.extend(columns.iter().flat_map(|column| ["--column", column]));
        let (ours, peers) = self.paired(&arguments, &[&["duckdb", "dirty", &file, &target, &types]])?;
        let said: Value =
            serde_json::from_slice(&self.workspace.call(&[arguments.as_slice(), &["--json"]].concat())?)?;
        if said["rejected"] != bad {
            bail!("{} rows were rejected of {bad} bad ones", said["rejected"]);
        }
        let theirs = peers.first().context("no peer")?.cpu_s;
        let floor = Some((theirs, "DuckDB, store_rejects"));
        let what = "CSV with 17,700 bad rows among 2 M, CPU";
        Ok(Figure { what, value: ours.cpu_s, unit: "s", bar: 1.5 * theirs, floor })
    }

    fn dirty_file(&self) -> Result<(String, usize)> {
        let plain = std::fs::read_to_string(self.data.join("csv/lineitem.csv"))?;
        let mut dirty = String::with_capacity(plain.len() / 3);
        let mut bad = 0;
        for (index, line) in plain.lines().take(DIRTY_ROWS + 1).enumerate() {
            match (index % DIRTY_EVERY, bad % 2) {
                (1, 0) => writeln!(dirty, "{line},one too many")?,
                (1, _) => writeln!(dirty, "x{line}")?,
                _ => writeln!(dirty, "{line}")?,
            }
            bad += usize::from(index % DIRTY_EVERY == 1);
        }
        let file = self.out("dirty.csv");
        std::fs::write(&file, dirty)?;
        Ok((file, bad))
    }
}

impl Bench<'_> {
    /// Out of a table of a million rows, and into one.
    fn postgres(&self) -> Result<Vec<Figure>> {
        let server = Postgres::start(&self.workspace.path("postgres"))?;
        let columns = COLUMNS.map(|(name, _, _)| name).join(", ");
        let definition = COLUMNS.map(|(name, _, kind)| format!("{name} {}", sql_type(kind))).join(", ");
        let rows = self.out("million.csv");
        let plain = std::fs::read_to_string(self.data.join("csv/lineitem.csv"))?;
        let million: Vec<&str> = plain.lines().take(1_000_001).collect();
        std::fs::write(&rows, million.join("\n"))?;
        drop(million);
        let raw = format!("\\copy raw from '{rows}' csv header");
        for table in ["million", "raw", "ours"] {
            server.sql(&[&format!("create table {table} ({definition})")])?;
        }
        server.sql(&[&raw, "insert into million select * from raw", "analyze million"])?;
        self.workspace
            .write("connections.yaml", &format!("db: {{postgres: {{url: '{}'}}}}\n", server.url()))?;

        let target = self.out("connectorx.parquet");
        let query = format!("select {columns} from million");
        let peer: &[&str] = &["connectorx", "sql", &server.url(), &query, &target];
        let (ours, peers) = self.paired(&["copy", "db:million", "million.parquet"], &[peer])?;
        let theirs = peers.first().context("no peer")?.cpu_s;
        let out = Figure {
            what: "PostgreSQL to Parquet, 1 M rows x 16, CPU",
            value: ours.cpu_s,
            unit: "s",
            bar: 0.5 * theirs,
            floor: Some((theirs, "ConnectorX")),
        };

        let (mut ours, mut raws) = (Vec::new(), Vec::new());
        let psql = server.program("psql");
        for _ in 0..ROUNDS {
            server.sql(&["truncate raw", "truncate ours", "checkpoint"])?;
            ours.push(self.millrace(&["copy", "million.parquet", "db:ours", "--append"])?.wall_s);
            server.sql(&["checkpoint"])?;
            raws.push(self.measured(&psql, &["-X", "-q", "-d", &server.url(), "-c", &raw])?.wall_s);
        }
        let raw = median(raws);
        let into = Figure {
            what: "Parquet to PostgreSQL, 1 M rows x 16",
            value: median(ours),
            unit: "s",
            bar: 1.3 * raw,
            floor: Some((raw, "\\copy of the same rows as CSV")),
        };
        Ok(vec![out, into])
    }
}

fn sql_type(kind: &str) -> &str {
    match kind {
        "double" => "double precision",
        "varchar" => "text",
        other => other,
    }
}

/// Columns of lineitem, their types in our words and in DuckDB's.
const COLUMNS: [(&str, &str, &str); 16] = [
    ("l_orderkey", "integer", "bigint"),
    ("l_partkey", "integer", "bigint"),
    ("l_suppkey", "integer", "bigint"),
    ("l_linenumber", "integer", "bigint"),
    ("l_quantity", "integer", "bigint"),
    ("l_extendedprice", "number", "double"),
    ("l_discount", "number", "double"),
    ("l_tax", "number", "double"),
    ("l_returnflag", "string", "varchar"),
    ("l_linestatus", "string", "varchar"),
    ("l_shipdate", "date", "date"),
    ("l_commitdate", "date", "date"),
    ("l_receiptdate", "date", "date"),
    ("l_shipinstruct", "string", "varchar"),
    ("l_shipmode", "string", "varchar"),
    ("l_comment", "string", "varchar"),
];

fn middle(usages: &[Usage]) -> Usage {
    let of = |field: fn(&Usage) -> f64| median(usages.iter().map(field).collect());
    Usage {
        cpu_s: of(|usage| usage.cpu_s),
        wall_s: of(|usage| usage.wall_s),
        peak_mb: of(|usage| usage.peak_mb),
    }
}
