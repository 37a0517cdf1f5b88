"""Drives a Millrace server with the unmodified MLflow client where that is heavy: `python mlflow_areas_client.py URL SERVER_PID [test …]`.

Boosted trees by autolog, files of gigabytes, many processes at once, and what MLflow's own pages ask for.
"""

import logging
import multiprocessing
import os
import sys
import tempfile
import unittest
import uuid

URL, SERVER_PID = sys.argv.pop(1), sys.argv.pop(1)
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
import numpy  # noqa: E402
import pandas  # noqa: E402
import requests  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
GIGABYTE = 1 << 30


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


class Case(unittest.TestCase):
    def setUp(self):
        self.client = MlflowClient(URL)
        self.experiment = self.client.create_experiment(unique("experiment"))
        mlflow.set_experiment(experiment_id=self.experiment)

    def run_id(self, **kwargs):
        return self.client.create_run(self.experiment, **kwargs).info.run_id


class BoostedTrees(Case):
    def data(self):
        rows = pandas.DataFrame({"a": numpy.arange(200.0), "b": numpy.arange(200.0)[::-1] % 7})
        return rows, (rows["a"] > 120).astype(int)

    def check(self, flavor, train, rate, metric):
        """Trains with autolog on, then loads what was logged by the alias of its version."""
        rows, target = self.data()
        flavor.autolog(log_input_examples=True, log_model_signatures=True)
        try:
            with mlflow.start_run() as active:
                trained = train(rows, target)
        finally:
            flavor.autolog(disable=True)
        run = self.client.get_run(active.info.run_id)
        self.assertEqual(run.data.params[rate], "0.3")
        history = self.client.get_metric_history(run.info.run_id, metric)
        self.assertEqual([point.step for point in history], list(range(8)))
        self.assertLess(history[-1].value, history[0].value)
        self.assertEqual(run.data.metrics[metric], history[-1].value)
        self.assertIn("dataset", [entry.dataset.name for entry in run.inputs.dataset_inputs])
        files = [file.path for file in self.client.list_artifacts(run.info.run_id)]
        self.assertTrue([path for path in files if path.startswith("feature_importance")], files)
        (output,) = run.outputs.model_outputs
        name = unique("trees")
        version = mlflow.register_model(f"models:/{output.model_id}", name)
        self.client.set_registered_model_alias(name, "champion", version.version)
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        self.assertEqual(sorted(loaded.metadata.signature.inputs.input_names()), ["a", "b"])
        numpy.testing.assert_allclose(loaded.predict(rows), trained(rows), rtol=1e-6)

    def test_autolog_with_lightgbm(self):
        import lightgbm

        def train(rows, target):
            data = lightgbm.Dataset(rows, label=target)
            settings = {"objective": "binary", "learning_rate": 0.3, "verbosity": -1, "num_threads": 1}
            return lightgbm.train(settings, data, num_boost_round=8, valid_sets=[data], valid_names=["train"]).predict

        self.check(mlflow.lightgbm, train, "learning_rate", "train-binary_logloss")

    def test_autolog_with_xgboost(self):
        import xgboost

        def train(rows, target):
            data = xgboost.DMatrix(rows, label=target)
            settings = {"objective": "binary:logistic", "eta": 0.3, "nthread": 1}
            booster = xgboost.train(settings, data, num_boost_round=8, evals=[(data, "train")], verbose_eval=False)
            return lambda rows: booster.predict(xgboost.DMatrix(rows))

        self.check(mlflow.xgboost, train, "eta", "train-logloss")


class ManyProcesses(Case):
    PROCESSES, POINTS, BATCHES = 8, 40, 3

    @classmethod
    def log(cls, shared, own, number):
        client = MlflowClient(URL)
        for step in range(cls.POINTS):
            client.log_metric(shared, "one", number, timestamp=1_700_000_000_000 + step, step=step)
        for batch in range(cls.BATCHES):
            metrics = [Metric("many", i, 1_700_000_000_000 + number, batch * 1000 + i) for i in range(1000)]
            client.log_batch(shared, metrics)
        client.log_batch(own, metrics, [Param(f"p{i}", str(number)) for i in range(100)][: 1000 - len(metrics)])
        client.log_param(shared, f"of-{number}", str(number))
        client.set_tag(shared, f"of-{number}", str(number))

    def test_no_point_is_lost(self):
        shared, own = self.run_id(), [self.run_id() for _ in range(self.PROCESSES)]
        forked = multiprocessing.get_context("fork")
        processes = [forked.Process(target=self.log, args=(shared, own[n], n)) for n in range(self.PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        self.assertEqual([process.exitcode for process in processes], [0] * self.PROCESSES)
        numbers = range(self.PROCESSES)
        one = [(point.step, point.value) for point in self.client.get_metric_history(shared, "one")]
        self.assertEqual(sorted(one), [(step, float(n)) for step in range(self.POINTS) for n in numbers])
        many = [(p.step, p.timestamp - 1_700_000_000_000) for p in self.client.get_metric_history(shared, "many")]
        steps = [batch * 1000 + i for batch in range(self.BATCHES) for i in range(1000)]
        self.assertEqual(sorted(many), [(step, n) for step in steps for n in numbers])
        run = self.client.get_run(shared)
        # The latest: the greatest step, then time, then value.
        self.assertEqual(run.data.metrics, {"one": self.PROCESSES - 1, "many": 999.0})
        self.assertEqual(run.data.params, {f"of-{n}": str(n) for n in numbers})
        self.assertEqual({k: v for k, v in run.data.tags.items() if k.startswith("of-")}, run.data.params)
        for run_id in own:
            self.assertEqual(len(self.client.get_metric_history(run_id, "many")), 1000)


class LargeFiles(Case):
    def peak(self):
        """Most memory that the server ever had, bytes."""
        with open(f"/proc/{SERVER_PID}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

    def test_two_gigabytes_at_flat_memory(self):
        run, marks = self.run_id(), {0: b"first", GIGABYTE + 3: b"middle", 2 * GIGABYTE - 4: b"last"}
        self.client.log_text(run, "small", "small.txt")
        before = self.peak()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "large.bin")
            with open(path, "wb") as file:
                # Only the marks take room on the disk.
                file.truncate(2 * GIGABYTE)
                for place, mark in marks.items():
                    file.seek(place)
                    file.write(mark)
            self.client.log_artifact(run, path)
        try:
            (listed,) = [file for file in self.client.list_artifacts(run) if file.path == "large.bin"]
            self.assertEqual(listed.file_size, 2 * GIGABYTE)
            address = f"{URL}/get-artifact?run_id={run}&path=large.bin"
            found, place, nothing = {}, 0, bytes(1 << 22)
            with requests.get(address, stream=True, timeout=60) as answer:
                answer.raise_for_status()
                while part := answer.raw.read(1 << 22):
                    if part != nothing[: len(part)]:
                        found.update((at, mark) for at, mark in marks.items() if part[at - place :][: len(mark)] == mark)
                    place += len(part)
            self.assertEqual((place, found), (2 * GIGABYTE, marks))
            part = requests.get(address, headers={"Range": f"bytes={GIGABYTE + 3}-{GIGABYTE + 8}"}, timeout=60)
            self.assertEqual((part.status_code, part.content), (206, b"middle"))
            self.assertLess(self.peak() - before, 64 << 20, "the server's memory grew with the file")
        finally:
            root = self.client.get_run(run).info.artifact_uri.removeprefix("mlflow-artifacts:/")
            address = f"{URL}/api/2.0/mlflow-artifacts/artifacts/{root}/large.bin"
            requests.delete(address, timeout=60).raise_for_status()


GET_RUN = """
  query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
    mlflowGetRun(input: $data) {
      apiError { helpUrl code message }
      run {
        info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId }
        experiment { experimentId name tags { key value } artifactLocation lifecycleStage lastUpdateTime }
        modelVersions { status version name source }
        data { metrics { key value step timestamp } params { key value } tags { key value } }
        inputs { datasetInputs { dataset { digest name } tags { key value } } modelInputs { modelId } }
        outputs { modelOutputs { modelId step } }
      }
    }
  }
"""


class OwnPages(Case):
    def ask(self, query, status=200, **variables):
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{URL}/graphql", json=body, timeout=60)
        self.assertEqual(answer.status_code, status, answer.text)
        return answer.json()

    def test_a_run_as_their_run_page_asks(self):
        run = self.run_id(run_name="named", start_time=7)
        self.client.log_metric(run, "loss", float("nan"), timestamp=1, step=2**40)
        self.client.log_param(run, "p", "1")
        name = unique("model")
        self.client.create_registered_model(name)
        self.client.create_model_version(name, f"runs:/{run}/m", run)
        answer = self.ask(GET_RUN, data={"runId": run})
        found = answer["data"]["mlflowGetRun"]
        self.assertEqual((answer["errors"], found["apiError"]), (None, None))
        info, data = found["run"]["info"], found["run"]["data"]
        self.assertEqual((info["runUuid"], info["startTime"], info["endTime"]), (run, "7", None))
        self.assertEqual(data["metrics"], [{"key": "loss", "value": None, "step": str(2**40), "timestamp": "1"}])
        self.assertEqual(data["params"], [{"key": "p", "value": "1"}])
        self.assertEqual(found["run"]["experiment"]["experimentId"], self.experiment)
        self.assertEqual([v["name"] for v in found["run"]["modelVersions"]], [name])
        self.assertEqual(found["run"]["outputs"], {"modelOutputs": []})

    def test_what_is_not_there_is_an_error_beside_the_data(self):
        answer = self.ask(GET_RUN, data={"runId": "0" * 32})
        self.assertEqual(answer["data"], {"mlflowGetRun": None})
        self.assertIn("not found", answer["errors"][0])

    def test_searches_intervals_fragments_and_types(self):
        runs = [self.run_id() for _ in range(2)]
        for step in range(10):
            self.client.log_metric(runs[0], "m", step, timestamp=step, step=step)
        answer = self.ask(
            """query All($ids: [String], $runs: [String!]) {
              mlflowSearchRuns(input: {experimentIds: $ids, runViewType: ACTIVE_ONLY, orderBy: ["start_time ASC"]}) { runs { ...R } }
              points: mlflowGetMetricHistoryBulkInterval(input: {runIds: $runs, metricKey: "m", maxResults: 3}) {
                __typename metrics { runId step value }
              }
            }
            fragment R on MlflowRunExtension { info { runId } experiment { name } data @skip(if: true) { params { key } } }""",
            ids=[self.experiment], runs=runs,
        )["data"]
        self.assertEqual([run["info"]["runId"] for run in answer["mlflowSearchRuns"]["runs"]], runs)
        self.assertEqual(list(answer["mlflowSearchRuns"]["runs"][0]), ["info", "experiment"])
        self.assertEqual(answer["points"]["__typename"], "MlflowGetMetricHistoryBulkIntervalResponse")
        self.assertEqual([(p["step"], p["value"]) for p in answer["points"]["metrics"]], [("0", 0.0), ("4", 4.0), ("9", 9.0)])

    def test_documents_that_cannot_be(self):
        for query in (
            "{", "{ nothing }", "{ mlflowGetRun }", "{ mlflowGetRun { run { info { secret } } } }",
            "{ mlflowGetRun { run { info } } }", "{ mlflowGetRun { ...F } } fragment F on MlflowGetRunResponse { ...F }",
            "{ mlflowGetRun { ...Absent } }", "query A { __typename } query B { __typename }",
            "{" + " ".join(f"a{i}: mlflowGetRun {{ apiError {{ code }} }}" for i in range(11)) + "}",
        ):
            self.assertTrue(self.ask(query, 400)["errors"], query)

    def test_single_files_by_what_they_belong_to(self):
        run = self.run_id()
        self.client.log_text(run, "of the run", "a b/ü.txt")
        name = unique("model")
        self.client.create_registered_model(name)
        self.client.create_model_version(name, f"runs:/{run}/a b", run)
        for path, parameters in (
            ("get-artifact", {"run_uuid": run, "path": "a b/ü.txt"}),
            ("model-versions/get-artifact", {"name": name, "version": "1", "path": "ü.txt"}),
        ):
            answer = requests.get(f"{URL}/{path}", params=parameters, timeout=60)
            self.assertEqual((answer.status_code, answer.text), (200, "of the run"), path)
            self.assertEqual(answer.headers["Content-Security-Policy"], "sandbox")
            for bad, status in (("../x", 400), ("%2e%2e/x", 400), ("absent", 404), ("", 400)):
                answer = requests.get(f"{URL}/{path}", params={**parameters, "path": bad}, timeout=60)
                self.assertEqual(answer.status_code, status, (path, bad, answer.text))
        model = self.client.create_logged_model(self.experiment)
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "MLmodel"), "w", encoding="utf-8") as file:
                file.write("flavors: {}")
            self.client.log_model_artifacts(model.model_id, folder)
        address = f"{URL}/ajax-api/2.0/mlflow/logged-models/{model.model_id}/artifacts/files"
        answer = requests.get(address, params={"artifact_file_path": "MLmodel"}, timeout=60)
        self.assertEqual((answer.status_code, answer.text), (200, "flavors: {}"))
        self.assertEqual(requests.get(address, params={"artifact_file_path": "../x"}, timeout=60).status_code, 400)

    def test_telemetry_goes_nowhere(self):
        address = f"{URL}/ajax-api/3.0/mlflow/ui-telemetry"
        self.assertTrue(requests.get(address, timeout=60).json()["disable_ui_telemetry"])
        self.assertEqual(requests.post(address, json={"records": [{"a": 1}]}, timeout=60).json(), {"status": "disabled"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
