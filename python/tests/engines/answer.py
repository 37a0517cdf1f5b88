"""Answers queries in Spark's SQL, one a line: a job comes in as JSON, and the path of its rows or what went wrong goes out.

Started by tests as `python answer.py sail|spark FOLDER`. The server is in this process, or one that it starts and ends.
"""

import json
import sys
from pathlib import Path

import pyarrow
from pyspark.sql import SparkSession


def session(kind):
    if kind == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        _, port = server.listening_address
        return server, SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    return None, SparkSession.builder.remote("local[2]").getOrCreate()


def answer(spark, job):
    for key, value in job["options"]:
        spark.conf.set(key, value)
    for view in job["views"]:
        reader = spark.read.format(view["format"]).options(**view["options"])
        if view["schema"]:
            reader = reader.schema(view["schema"])
        reader.load(view["paths"]).createOrReplaceTempView(view["name"])
    return spark.sql(job["sql"]).toArrow()


def main():
    kind, folder = sys.argv[1], Path(sys.argv[2])
    server, spark = session(kind)
    print(json.dumps({"ready": spark.version}), flush=True)
    for number, line in enumerate(sys.stdin):
        try:
            rows = answer(spark, json.loads(line))
            path = folder / f"{number}.arrow"
            with pyarrow.ipc.new_file(path, rows.schema) as writer:
                writer.write_table(rows)
            said = {"rows": str(path)}
        except Exception as error:  # whatever it is, the test prints it
            said = {"error": str(error)[:2000]}
        print(json.dumps(said), flush=True)
    spark.stop()
    del server


main()
