"""Fills a SQLite file of MLflow with runs, by SQL into tables that MLflow makes: `python mlflow_runs.py FILE RUNS [EXPERIMENTS [POINTS]]`.

Each run has ten metrics (`x0` to `x9`), half of them with so many points, ten parameters of twenty values each (`y0` to `y9`) and five
tags. By MLflow's own API a million of them take days.
"""

import random
import sqlite3
import subprocess
import sys

FILE, RUNS = sys.argv[1], int(sys.argv[2])
EXPERIMENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
POINTS = int(sys.argv[4]) if len(sys.argv) > 4 else 5
BEGIN = 1_700_000_000_000
TOGETHER = 5_000

command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{FILE}"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
database = sqlite3.connect(FILE)
database.execute("PRAGMA journal_mode = OFF")
database.execute("PRAGMA synchronous = OFF")
chance = random.Random(20_261_128)


def insert(table, rows):
    if rows:
        names = list(rows[0])
        marks = ", ".join("?" * len(names))
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
        database.executemany(sql, [tuple(row.values()) for row in rows])


def experiment(number):
    return {
        "experiment_id": number, "name": f"experiment {number}" if number else "Default", "artifact_location": f"/nowhere/{number}",
        "lifecycle_stage": "active", "creation_time": BEGIN, "last_update_time": BEGIN,
    }


def fill(numbers):
    runs, metrics, latest, params, tags = [], [], [], [], []
    for number in numbers:
        run_id = f"{chance.getrandbits(128):032x}"
        home, start = 1 + number % EXPERIMENTS, BEGIN + number * 1_000
        runs.append({
            "run_uuid": run_id, "name": f"run-{number}", "source_type": "LOCAL", "source_name": "train.py", "entry_point_name": "",
            "user_id": "ada", "status": "FINISHED" if number % 10 else "FAILED", "start_time": start, "end_time": start + 60_000,
            "source_version": "", "lifecycle_stage": "active" if number % 50 else "deleted",
            "artifact_uri": f"/nowhere/{home}/{run_id}/artifacts", "experiment_id": home,
        })
        for key in range(10):
            for step in range(POINTS if key < 5 else 1):
                point = {
                    "key": f"x{key}", "value": chance.random(), "timestamp": start + step * 100, "run_uuid": run_id, "step": step,
                    "is_nan": 0,
                }
                metrics.append(point)
            latest.append(point)
            params.append({"key": f"y{key}", "value": f"v{chance.randrange(20)}", "run_uuid": run_id})
        named = {
            "mlflow.runName": f"run-{number}", "mlflow.user": "ada", "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL",
            "team": f"team-{number % 7}",
        }
        tags += [{"key": key, "value": value, "run_uuid": run_id} for key, value in named.items()]
    for table, rows in [("runs", runs), ("metrics", metrics), ("latest_metrics", latest), ("params", params), ("tags", tags)]:
        insert(table, rows)
    database.commit()


there = {row[0] for row in database.execute("SELECT experiment_id FROM experiments")}
insert("experiments", [experiment(number) for number in range(EXPERIMENTS + 1) if number not in there])
for first in range(0, RUNS, TOGETHER):
    fill(range(first, min(RUNS, first + TOGETHER)))
