"""The jobs of `cargo xtask bench data` as other programs do them: `jobs.py PROGRAM JOB ARGUMENT…`."""

import sys


def duckdb(job, *arguments):
    import duckdb

    connection = duckdb.connect()
    if job == "csv":
        source, target = arguments
        connection.execute(f"copy (from read_csv('{source}')) to '{target}' (format parquet, compression zstd)")
    elif job == "dirty":
        source, target, columns = arguments
        read = f"read_csv('{source}', store_rejects=true, rejects_limit=0, header=true, auto_detect=false, columns={columns})"
        connection.execute(f"copy (from {read}) to '{target}' (format parquet, compression zstd)")
        # A line may have several errors.
        lines = "select count(*) from (select distinct file_id, line_byte_position from reject_errors)"
        print(connection.sql(lines).fetchall())
    elif job == "sql":
        folder, query = arguments
        for table in ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"):
            connection.execute(f"create view {table} as from '{folder}/{table}.parquet'")
        with open(query, encoding="utf-8") as file:
            print(connection.sql(file.read()).fetchall())


def polars(job, *arguments):
    import polars

    source, target = arguments
    if job == "csv":
        polars.scan_csv(source, try_parse_dates=True).sink_parquet(target, compression="zstd")
    elif job == "filter":
        wanted = (polars.col("l_quantity") > 40) & (polars.col("l_discount") > 0.03)
        polars.scan_parquet(source).filter(wanted).sink_parquet(target, compression="zstd")


def connectorx(job, *arguments):
    import connectorx
    import pyarrow.parquet

    url, query, target = arguments
    table = connectorx.read_sql(url, query, return_type="arrow")
    pyarrow.parquet.write_table(table, target, compression="zstd")


if __name__ == "__main__":
    {"duckdb": duckdb, "polars": polars, "connectorx": connectorx}[sys.argv[1]](*sys.argv[2:])
