"""Logs inputs with the unmodified MLflow client and reads them with `millrace.data`: `python datasets_client.py URL FILE`.

The dataset `rows` has two versions; FILE is a Parquet file of the first one. Not found by `unittest discover`: it needs a server.
"""

import os
import sys
import unittest
import uuid

URL, FILE = sys.argv.pop(1), sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
os.environ.update(MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", GIT_PYTHON_REFRESH="quiet")

import mlflow  # noqa: E402
import pandas  # noqa: E402
import requests  # noqa: E402

import millrace  # noqa: E402


def get(address, **query):
    answer = requests.get(URL + address, params=query, timeout=60)
    answer.raise_for_status()
    return answer.json()


class Inputs(unittest.TestCase):
    def setUp(self):
        mlflow.set_experiment(f"inputs-{uuid.uuid4().hex[:8]}")

    def logged(self, *args, **kwargs):
        with mlflow.start_run() as run:
            mlflow.log_input(*args, **kwargs)
        return run.info.run_id

    def readers(self, version):
        return {read["run_id"]: read for read in get("/api/datasets/rows/reads", version=version)}

    def test_a_file_of_a_version_is_that_version(self):
        run_id = self.logged(mlflow.data.from_pandas(pandas.read_parquet(FILE), source=FILE), context="training")
        self.assertEqual(self.readers(1)[run_id]["context"], "training")
        self.assertNotIn(run_id, self.readers(2))

    def test_a_digest_of_ours_is_that_version(self):
        digest = get("/api/datasets/rows", version=2)["version"]["digest"].split(":")[1][:32]
        frame = pandas.DataFrame({"a": [1]})
        run_id = self.logged(mlflow.data.from_pandas(frame, name="rows", digest=digest))
        self.assertIn(run_id, self.readers(2))

    def test_tags_name_a_version(self):
        frame = pandas.DataFrame({"a": [1]})
        tags = {"millrace.dataset": "rows", "millrace.version": "base"}
        run_id = self.logged(mlflow.data.from_pandas(frame), tags=tags)
        self.assertIn(run_id, self.readers(1), "`base` is an alias of the first version")

    def test_what_is_not_ours_stays_what_the_client_said(self):
        run_id = self.logged(mlflow.data.from_pandas(pandas.DataFrame({"a": [1]}), source="/etc/hosts", name="rows"))
        self.assertNotIn(run_id, self.readers(1) | self.readers(2))
        self.assertEqual(mlflow.get_run(run_id).inputs.dataset_inputs[0].dataset.name, "rows")

    def test_both_names_are_one_thing_and_the_lineage_has_it_both_ways(self):
        rows = millrace.data("rows@base")
        self.assertEqual((rows.name, rows.version, rows.aliases), ("rows", 1, ["base"]))
        self.assertEqual(len(rows.to_pandas()), rows.rows)
        self.assertEqual(list(rows.to_pandas(where="distance > 900", columns=["wind"]).columns), ["wind"])
        with mlflow.start_run() as run:
            rows.log("training")
            mlflow.log_text("content", "m/model.txt")
        name = f"made-{uuid.uuid4().hex[:8]}"
        client = mlflow.MlflowClient()
        client.create_registered_model(name)
        client.create_model_version(name, f"runs:/{run.info.run_id}/m", run.info.run_id)
        logged = mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset
        self.assertEqual((logged.name, logged.source), ("rows", '{"uri": "millrace://rows/1"}'))
        up = get("/api/lineage", kind="model", name=name, version=1)
        ties = {(edge["from"]["kind"], edge["to"]["kind"], edge["tie"]) for edge in up["edges"]}
        self.assertLessEqual({("dataset", "run", "read"), ("run", "model", "made"), ("source", "dataset", "made")}, ties)
        down = get("/api/lineage", kind="dataset", name="rows", version=1)
        self.assertIn(name, [node["name"] for node in down["nodes"]])
        self.assertNotIn(name, [node["name"] for node in get("/api/lineage", kind="dataset", name="rows", version=2)["nodes"]])

    def test_the_inputs_of_steps_are_seen_by_the_client(self):
        runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.mlflow.runName = 'model'", output_format="list")
        inputs = [(entry.dataset.name, entry.tags[0].value) for entry in runs[0].inputs.dataset_inputs]
        self.assertEqual(inputs, [("rows_train", "training")])

    def test_errors_say_where(self):
        with self.assertRaisesRegex(millrace.MillraceError, "there is no dataset `rowz`.*did you mean `rows`"):
            millrace.data("rowz")
        with self.assertRaisesRegex(millrace.MillraceError, r"(?s)wnd.*line 1, column 10 of the filter"):
            millrace.data("rows").to_pandas(where="1 = 1 or wnd > 3")


if __name__ == "__main__":
    unittest.main()
