"""Drives a Millrace server with the unmodified MLflow client: `python mlflow_client.py URL [test …]`.

Not found by `unittest discover`: it needs a server and the packages of `requirements.txt`. `cargo xtask test` runs it.
"""

import logging
import math
import os
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
import uuid

URL = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].startswith("http") else os.environ.get("MILLRACE_URL", "")
# A server error must fail the test, not be tried seven times.
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
import pandas  # noqa: E402
import requests  # noqa: E402
from mlflow.entities import Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
LARGEST = sys.float_info.max
# Only a file system minds that a folder is where a file should be.
IN_A_FOLDER = os.environ.get("MILLRACE_STORAGE", "").startswith("s3:") is False


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


class Case(unittest.TestCase):
    def setUp(self):
        mlflow.set_tracking_uri(URL)
        self.client = MlflowClient(URL)
        self.experiment = self.client.create_experiment(unique("experiment"))

    def post(self, address, body):
        answer = requests.post(f"{URL}/api/2.0/mlflow/{address}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(MlflowException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.error_code, code, caught.exception)
        return str(caught.exception)

    def run_with(self, metrics=(), params=(), tags=(), **kwargs):
        run_id = self.client.create_run(self.experiment, **kwargs).info.run_id
        self.client.log_batch(
            run_id, [Metric(k, v, 1, 0) for k, v in dict(metrics).items()],
            [Param(k, v) for k, v in dict(params).items()], [RunTag(k, v) for k, v in dict(tags).items()],
        )
        return run_id

    def found(self, filter_string="", **kwargs):
        return [run.info.run_id for run in self.client.search_runs([self.experiment], filter_string, **kwargs)]


class Experiments(Case):
    def test_the_default_experiment_is_there(self):
        self.assertEqual(self.client.get_experiment("0").name, "Default")
        self.refused("INVALID_PARAMETER_VALUE", self.client.delete_experiment, "0")

    def test_made_renamed_deleted_restored(self):
        name = unique("made")
        made = self.client.create_experiment(name, tags={"team": "a"})
        found = self.client.get_experiment_by_name(name)
        self.assertEqual((found.experiment_id, found.tags, found.lifecycle_stage), (made, {"team": "a"}, "active"))
        self.assertGreater(found.creation_time, 1_600_000_000_000)
        run = self.client.create_run(made).info.run_id
        self.client.rename_experiment(made, name + "-new")
        self.assertIsNone(self.client.get_experiment_by_name(name))
        self.client.delete_experiment(made)
        self.assertEqual(self.client.get_experiment(made).lifecycle_stage, "deleted")
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "deleted")
        self.refused("RESOURCE_ALREADY_EXISTS", self.client.create_experiment, name + "-new")
        self.refused("INVALID_PARAMETER_VALUE", self.client.create_run, made)
        self.refused("INVALID_PARAMETER_VALUE", self.client.rename_experiment, made, "other")
        self.client.restore_experiment(made)
        self.assertEqual(self.client.get_run(run).info.lifecycle_stage, "active")

    def test_tags(self):
        self.client.set_experiment_tag(self.experiment, "k", "v" * 20_000)
        self.assertEqual(len(self.client.get_experiment(self.experiment).tags["k"]), 20_000)
        self.client.delete_experiment_tag(self.experiment, "k")
        self.assertEqual(self.client.get_experiment(self.experiment).tags, {})

    def test_search(self):
        prefix = unique("search")
        made = [self.client.create_experiment(f"{prefix}-{i}", tags={"i": str(i)}) for i in range(5)]

        def ids(filter_string, **kwargs):
            return [found.experiment_id for found in self.client.search_experiments(filter_string=filter_string, **kwargs)]

        self.assertEqual(ids(f"name LIKE '{prefix}%'"), made[::-1])
        self.assertEqual(ids(f"name ILIKE '{prefix.upper()}%' AND tags.i = '3'"), [made[3]])
        self.assertEqual(ids(f"name LIKE '{prefix}%'", order_by=["name ASC"]), made)
        self.assertEqual(ids(f"name LIKE '{prefix.upper()}%'"), [])
        page = self.client.search_experiments(filter_string=f"name LIKE '{prefix}%'", max_results=3)
        rest = self.client.search_experiments(
            filter_string=f"name LIKE '{prefix}%'", max_results=3, page_token=page.token)
        self.assertEqual([e.experiment_id for e in [*page, *rest]], made[::-1])
        self.assertFalse(rest.token)
        self.client.delete_experiment(made[0])
        self.assertEqual(ids(f"name LIKE '{prefix}%'", view_type=ViewType.DELETED_ONLY), [made[0]])

    def test_mistakes_are_told(self):
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_experiment, "987654321")
        self.refused("INVALID_PARAMETER_VALUE", self.client.get_experiment, "abc")
        self.refused("INVALID_PARAMETER_VALUE", self.client.create_experiment, unique("x"), "s3://b/../c")
        self.refused("INVALID_PARAMETER_VALUE", self.client.search_experiments, filter_string="nothing = 'a'")


class Runs(Case):
    def test_fluent_run_with_a_nested_one(self):
        mlflow.set_experiment(experiment_id=self.experiment)
        with mlflow.start_run(run_name="outer", tags={"a": "b"}, description="text") as outer:
            mlflow.log_params({"depth": 3, "rate": 0.1})
            mlflow.log_metrics({"auc": 0.5}, step=1)
            mlflow.log_metric("auc", 0.1 + 0.2, step=2)
            with mlflow.start_run(nested=True) as inner:
                mlflow.log_metric("x", 1)
        run = mlflow.get_run(outer.info.run_id)
        self.assertEqual(run.data.params, {"depth": "3", "rate": "0.1"})
        self.assertEqual(run.data.metrics, {"auc": 0.1 + 0.2})
        self.assertEqual((run.info.run_name, run.info.status), ("outer", "FINISHED"))
        self.assertEqual((run.data.tags["a"], run.data.tags["mlflow.runName"]), ("b", "outer"))
        self.assertGreaterEqual(run.info.end_time, run.info.start_time)
        child = mlflow.get_run(inner.info.run_id)
        self.assertEqual(child.data.tags["mlflow.parentRunId"], outer.info.run_id)
        self.assertTrue(child.info.run_name)
        self.assertEqual(self.found(f"tags.mlflow.parentRunId = '{outer.info.run_id}'"), [inner.info.run_id])
        frame = mlflow.search_runs([self.experiment], "metrics.auc > 0.2")
        self.assertEqual(list(frame["params.depth"]), ["3"])
        with self.assertRaises(ZeroDivisionError), mlflow.start_run() as failed:
            1 / 0
        self.assertEqual(mlflow.get_run(failed.info.run_id).info.status, "FAILED")

    def test_names_and_tags(self):
        run = self.run_with(run_name="first")
        self.client.set_tag(run, "mlflow.runName", "second")
        self.assertEqual(self.client.get_run(run).info.run_name, "second")
        self.client.update_run(run, name="third", status="KILLED")
        self.assertEqual(self.client.get_run(run).data.tags["mlflow.runName"], "third")
        self.assertEqual(self.client.get_run(run).info.status, "KILLED")
        self.client.set_tag(run, "k", "v" * 9000)
        self.assertEqual(len(self.client.get_run(run).data.tags["k"]), 8000)
        self.client.delete_tag(run, "k")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.delete_tag, run, "k")
        self.refused("INVALID_PARAMETER_VALUE", self.client.create_run, self.experiment, run_name="a",
                     tags={"mlflow.runName": "b"})
        self.assertEqual(self.client.create_run(self.experiment, start_time=1).info.start_time, 1)

    def test_deleted_and_restored(self):
        run = self.run_with({"a": 1})
        self.client.delete_run(run)
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(run_view_type=ViewType.DELETED_ONLY), [run])
        for call in (lambda: self.client.log_metric(run, "a", 2), lambda: self.client.set_tag(run, "a", "b"),
                     lambda: self.client.log_param(run, "a", "b")):
            self.refused("INVALID_PARAMETER_VALUE", call)
        self.client.restore_run(run)
        self.assertEqual(self.found(), [run])
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_run, "0" * 32)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.delete_run, "0" * 32)

    def test_params_stay(self):
        run = self.run_with(params={"a": "1"})
        self.client.log_param(run, "a", "1")
        self.assertIn("Changing param values", self.refused("INVALID_PARAMETER_VALUE", self.client.log_param, run, "a", "2"))
        self.client.log_param(run, "long", "x" * 7000)
        self.assertEqual(len(self.client.get_run(run).data.params["long"]), 6000)

    def test_a_batch_is_atomic(self):
        run = self.run_with(params={"a": "1"})
        self.refused("INVALID_PARAMETER_VALUE", self.client.log_batch, run, [Metric("m", 1, 1, 0)],
                     [Param("b", "2"), Param("a", "changed")], [RunTag("t", "x")])
        data = self.client.get_run(run).data
        self.assertEqual((data.metrics, data.params, "t" in data.tags), ({}, {"a": "1"}, False))
        self.client.log_batch(run, [Metric(f"m{i}", i, 1, 0) for i in range(1500)], [Param(f"p{i}", "x") for i in range(150)])
        data = self.client.get_run(run).data
        self.assertEqual((len(data.metrics), len(data.params), data.metrics["m1499"]), (1500, 151, 1499.0))
        for wrong in ("a//b", "../a", "/a", "a\"b", "", "a" * 251):
            with self.assertRaises(MlflowException):
                self.client.log_metric(run, wrong, 1)


class Metrics(Case):
    def test_not_numbers_and_infinities(self):
        run = self.run_with({"nan": math.nan, "inf": math.inf, "ninf": -math.inf, "small": 5e-324, "third": 1 / 3})
        metrics = self.client.get_run(run).data.metrics
        self.assertTrue(math.isnan(metrics["nan"]))
        self.assertEqual((metrics["inf"], metrics["ninf"]), (LARGEST, -LARGEST))
        self.assertEqual((metrics["small"], metrics["third"]), (5e-324, 1 / 3))

    def test_latest_is_the_greatest_step(self):
        run = self.run_with()
        for step, timestamp, value in [(2, 10, 1.0), (1, 20, 9.0), (2, 10, 3.0), (2, 10, 2.0), (-1, 99, 7.0)]:
            self.client.log_metric(run, "m", value, timestamp, step)
        self.assertEqual(self.client.get_run(run).data.metrics, {"m": 3.0})
        history = [(m.timestamp, m.step, m.value) for m in self.client.get_metric_history(run, "m")]
        self.assertEqual(history, [(10, 2, 1.0), (10, 2, 2.0), (10, 2, 3.0), (20, 1, 9.0), (99, -1, 7.0)])

    def test_repeats_are_dropped(self):
        run = self.run_with()
        for _ in range(3):
            self.client.log_batch(run, [Metric("m", 1.5, 5, 0), Metric("m", 1.5, 5, 0), Metric("m", math.nan, 5, 0)])
        self.assertEqual(len(self.client.get_metric_history(run, "m")), 2)

    def test_a_long_history(self):
        run = self.run_with()
        for start in range(0, 3000, 1000):
            self.client.log_batch(run, [Metric("m", i / 7, i, i) for i in range(start, start + 1000)])
        self.assertEqual([m.value for m in self.client.get_metric_history(run, "m")], [i / 7 for i in range(3000)])
        other = self.run_with({"m": 5.0})

        def asked(address, **query):
            answer = requests.get(f"{URL}/ajax-api/2.0/mlflow/metrics/{address}", params={"metric_key": "m", **query}, timeout=60)
            return answer.status_code, answer.json().get("metrics")

        _, bulk = asked("get-history-bulk", run_id=[run, other])
        self.assertEqual(len(bulk), 3001)
        self.assertEqual([m["run_id"] for m in bulk], sorted(m["run_id"] for m in bulk))
        self.assertEqual(len(asked("get-history-bulk", run_id=[run, other], max_results=7)[1]), 7)
        _, thin = asked("get-history-bulk-interval", run_ids=[run, other], max_results=11, start_step=0, end_step=2000)
        self.assertEqual([m["step"] for m in thin if m["run_id"] == run], list(range(0, 2001, 200)))
        self.assertEqual([m["value"] for m in thin if m["run_id"] == other], [5.0])
        for address, wrong in [
            ("get-history-bulk", {}), ("get-history-bulk", {"run_id": [run] * 101}), ("get-history-bulk-interval", {"run_ids": [run], "start_step": 1}),
            ("get-history-bulk-interval", {"run_ids": [run], "max_results": 0}),
            ("get-history-bulk-interval", {"run_ids": [run], "start_step": 2, "end_step": 1}),
        ]:
            self.assertEqual(asked(address, **wrong)[0], 400, (address, wrong))


class Search(Case):
    def setUp(self):
        super().setUp()
        self.runs = [
            self.run_with({"m": i / 10, "only": 1} if i == 3 else {"m": i / 10}, {"p": f"v{i % 2}", "a b": "x"},
                          {"t": f"Tag{i}"}, run_name=f"run-{i}", start_time=1000 + i)
            for i in range(6)
        ]
        self.missing = self.run_with(run_name="bare", start_time=500)
        self.nan = self.run_with({"m": math.nan}, start_time=400)

    def pick(self, *numbers):
        return [self.runs[number] for number in numbers]

    def test_filters(self):
        for text, expected in [
            ("metrics.m > 0.35", (5, 4)), ("metrics.m>=0.4 and params.p = 'v1'", (5,)), ("metric.m = 0.3", (3,)),
            ("metrics.only = 1", (3,)), ("params.p != 'v0'", (5, 3, 1)), ("params.`a b` = 'x' AND metrics.m < 0.1", (0,)),
            ("tags.t LIKE 'Tag%' AND metrics.m <= 0.1", (1, 0)), ("tags.t LIKE 'tag%'", ()), ("tags.t ILIKE 'tAG_'", (5, 4, 3, 2, 1, 0)),
            ("attributes.run_name = 'run-2'", (2,)), ("run_name LIKE '%-4'", (4,)), ("start_time > 1003", (5, 4)),
            (f"run_id IN ('{self.runs[1]}', '{self.runs[2]}')", (2, 1)), ("status = 'FINISHED'", ()),
            ("tags.`mlflow.runName` = 'run-2'", (2,)), ("params.p IS NOT NULL AND metrics.m > 0.3", (5, 4)),
        ]:
            self.assertEqual(self.found(text), self.pick(*expected), text)
        self.assertEqual(self.found("params.p IS NULL"), [self.missing, self.nan])
        self.assertEqual(self.found("metrics.m != 0.1"), [*self.pick(5, 4, 3, 2, 0), self.nan])
        self.assertEqual(self.found("metrics.m < 100 AND metrics.m >= 0.5"), self.pick(5))

    def test_what_goes_beyond_mlflow(self):
        for text, expected in [
            ("metrics.m > 0.4 OR metrics.m < 0.1", (5, 0)), ("(metrics.m = 0.1 or metrics.m = 0.2) and params.p = 'v0'", (2,)),
            ("metrics.m BETWEEN 0.2 AND 0.3", (3, 2)), ("metrics.m IN (0.1, 0.5)", (5, 1)), ("params.p NOT IN ('v0')", (5, 3, 1)),
            ("metrics.only IS NOT NULL", (3,)), ("run_name NOT LIKE 'run-%' AND params.p = 'v0'", ()),
            ("start_time LIKE '1970-01-01 00:00:01.00_' AND metrics.m >= 0.5", (5,)),
        ]:
            self.assertEqual(self.found(text), self.pick(*expected), text)
        for step, value in enumerate([3.0, 1.0, 2.0]):
            self.client.log_metric(self.missing, "curve", value, step=step)
        for text in ("metrics.curve.min = 1", "metrics.curve.max = 3", "metrics.curve.first = 3", "metrics.curve.last = 2",
                     "metrics.curve.mean = 2"):
            self.assertEqual(self.found(text), [self.missing], text)

    def test_count_columns_and_all_experiments(self):
        body = {"experiment_ids": ["*"], "filter": f"run_id = '{self.runs[3]}'", "count": True, "columns": ["metrics.m", "params.p"]}
        answer = self.post("runs/search", body)
        self.assertEqual(answer["total_count"], 1)
        data = answer["runs"][0]["data"]
        self.assertEqual([metric["key"] for metric in data["metrics"]], ["m"])
        self.assertEqual(data["params"], [{"key": "p", "value": "v1"}])

    def test_orders_put_missing_last(self):
        tail = [self.nan, self.missing]
        self.assertEqual(self.found(order_by=["metrics.m DESC"]), [*self.pick(5, 4, 3, 2, 1, 0), *tail])
        self.assertEqual(self.found(order_by=["metrics.m ASC"]), [*self.pick(0, 1, 2, 3, 4, 5), *tail])
        self.assertEqual(self.found("metrics.m >= 0", order_by=["params.p ASC", "metrics.m DESC"]), self.pick(4, 2, 0, 5, 3, 1))
        self.assertEqual(self.found("metrics.m >= 0", order_by=["start_time ASC"]), self.pick(0, 1, 2, 3, 4, 5))

    def test_pages_join(self):
        for order in (None, ["metrics.m DESC"], ["params.p ASC", "metrics.m ASC"], ["tags.t DESC"], ["end_time ASC"]):
            whole, pages, token = self.found(order_by=order), [], None
            while True:
                page = self.client.search_runs([self.experiment], order_by=order, max_results=3, page_token=token)
                pages += [run.info.run_id for run in page]
                token = page.token
                if not token:
                    break
            self.assertEqual(pages, whole, order)

    def test_mistakes_are_told(self):
        for text in ("metrics.m > 'a'", "params.p > 'a'", "a = b", "metrics.m > 1 OR", "(metrics.m > 1", "nothing.m = 'a'",
                     "params.p = 'x", "'; DROP TABLE experiment"):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_runs, [self.experiment], text)
        for kwargs in ({"page_token": "garbage"}, {"page_token": "W10"}, {"order_by": ["metrics.m UP"]}, {"max_results": 0}):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_runs, [self.experiment], **kwargs)
        self.assertEqual(list(self.client.search_runs([])), [])


class Artifacts(Case):
    def test_up_and_down(self):
        run = self.run_with()
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "sub", "deep"))
            for path, content in [("a.txt", b"alpha"), ("sub/b ü.bin", bytes(range(256))), ("sub/deep/empty", b"")]:
                with open(os.path.join(folder, path), "wb") as file:
                    file.write(content)
            self.client.log_artifacts(run, folder, "tree")
            self.client.log_artifact(run, os.path.join(folder, "a.txt"))
        self.client.log_text(run, "text", "notes/n.txt")
        self.client.log_dict(run, {"a": 1}, "d.json")
        listed = [(f.path, f.is_dir, f.file_size) for f in self.client.list_artifacts(run)]
        self.assertEqual([path for path, _, _ in listed], ["a.txt", "d.json", "notes", "tree"])
        self.assertEqual((listed[0], listed[3][1]), (("a.txt", False, 5), True))
        self.assertEqual([f.path for f in self.client.list_artifacts(run, "tree/sub")], ["tree/sub/b ü.bin", "tree/sub/deep"])
        self.assertEqual(self.client.list_artifacts(run, "absent"), [])
        with tempfile.TemporaryDirectory() as folder:
            self.client.download_artifacts(run, "", folder)
            self.assertEqual(content_of(os.path.join(folder, "tree/sub/b ü.bin")), bytes(range(256)))
            self.assertEqual(content_of(os.path.join(folder, "tree/sub/deep/empty")), b"")
        self.assertEqual(mlflow.artifacts.load_text(f"runs:/{run}/notes/n.txt"), "text")
        with self.assertRaisesRegex(requests.HTTPError, "Invalid path"):
            self.client.list_artifacts(run, "../other")

    def test_larger_than_any_json_body(self):
        run = self.run_with()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "large.bin")
            block = os.urandom(1 << 20)
            with open(path, "wb") as file:
                for _ in range(40):
                    file.write(block)
            self.client.log_artifact(run, path)
            os.makedirs(os.path.join(folder, "down"))
            back = self.client.download_artifacts(run, "large.bin", os.path.join(folder, "down"))
            self.assertEqual(content_of(back), content_of(path))

    def test_ranges_and_attacks(self):
        run = self.run_with()
        self.client.log_text(run, "0123456789", "digits.txt")
        base = f"{URL}/api/2.0/mlflow-artifacts/artifacts"

        def ask(path, method="GET", **headers):
            request = urllib.request.Request(f"{base}/{path}", b"x" if method == "PUT" else None, headers, method=method)
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read(), answer.headers
            except urllib.error.HTTPError as error:
                return error.code, error.read(), error.headers

        status, body, headers = ask(f"{run}/digits.txt", Range="bytes=2-4")
        self.assertEqual((status, body, headers["Content-Range"]), (206, b"234", "bytes 2-4/10"))
        status, body, headers = ask(f"{run}/digits.txt")
        self.assertEqual((status, body, headers["X-Content-Type-Options"]), (200, b"0123456789", "nosniff"))
        self.assertIn("attachment", headers["Content-Disposition"])
        for path in ("..%2f..%2fmillrace.yaml", "%2e%2e/x", "a/%252e%252e/b", "%2Fetc/passwd", f"{run}"):
            for method in ("GET", "PUT"):
                if (path, method) != (run, "PUT"):
                    self.assertEqual(ask(path, method)[0], 400, (path, method))
        if IN_A_FOLDER:
            self.assertEqual(ask(run, "PUT")[0], 400)
        self.assertEqual(ask(f"{run}/absent")[0], 404)
        self.assertEqual(ask(f"{run}/digits.txt", "DELETE")[0], 200)
        self.assertEqual(ask(f"{run}/digits.txt")[0], 404)


class Models(Case):
    def data(self):
        from sklearn.datasets import load_iris
        return load_iris(return_X_y=True, as_frame=True)

    def test_data_sets(self):
        rows, _ = self.data()
        dataset = mlflow.data.from_pandas(rows, name="iris")
        mlflow.set_experiment(experiment_id=self.experiment)
        with mlflow.start_run() as run:
            mlflow.log_input(dataset, context="training")
            mlflow.log_input(dataset, context="training")
        inputs = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
        self.assertEqual([(i.dataset.name, i.dataset.digest, i.tags[0].value) for i in inputs],
                         [("iris", dataset.digest, "training")])
        self.assertEqual(self.found("dataset.name = 'iris' AND datasets.context = 'training'"), [run.info.run_id])
        summaries = self.post("experiments/search-datasets", {"experiment_ids": [self.experiment]})["dataset_summaries"]
        self.assertEqual(summaries, [
            {"experiment_id": self.experiment, "name": "iris", "digest": dataset.digest, "context": "training"}
        ])

    def test_logged_models(self):
        model = self.client.create_logged_model(self.experiment, "first", tags={"a": "b"}, params={"p": "1"}, model_type="tree")
        self.assertEqual(model.status, "PENDING")
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.set_logged_model_tags(model.model_id, {"c": "d"})
        self.client.delete_logged_model_tag(model.model_id, "a")
        run = self.run_with()
        self.client.log_metric(run, "auc", 0.9, model_id=model.model_id)
        found = self.client.get_logged_model(model.model_id)
        self.assertEqual((found.status, found.tags, found.params), ("READY", {"c": "d"}, {"p": "1"}))
        self.assertEqual([(m.key, m.value, m.run_id) for m in found.metrics], [("auc", 0.9, run)])
        other = self.client.create_logged_model(self.experiment, "second")

        def ids(*args, **kwargs):
            return [m.model_id for m in self.client.search_logged_models([self.experiment], *args, **kwargs)]

        self.assertEqual(ids(), [other.model_id, model.model_id])
        self.assertEqual(ids("metrics.auc > 0.5 AND params.p = '1' AND status = 'READY'"), [model.model_id])
        # A metric counts as measured on the datasets that are named, and as what was logged last.
        one, two = unique("one"), unique("two")
        with mlflow.start_run(experiment_id=self.experiment) as run:
            for number, (which, name, digest, value) in enumerate(
                [(model, one, "d1", 0.9), (other, one, "d2", 0.5), (model, two, "d3", 0.1), (other, two, "d4", 0.7)]
            ):
                metric = Metric("f1", value, 1_000 + number, 0, which.model_id, name, digest, run.info.run_id)
                self.client.log_batch(run.info.run_id, [metric])

        def sorted_by(**order):
            return ids("metrics.f1 IS NOT NULL", order_by=[{"field_name": "metrics.f1", "ascending": False, **order}])

        self.assertEqual(sorted_by(), [other.model_id, model.model_id])
        self.assertEqual(sorted_by(dataset_name=one), [model.model_id, other.model_id])
        self.assertEqual(sorted_by(dataset_name=two, dataset_digest="d3"), [model.model_id, other.model_id])
        for datasets, expected in (
            ([{"dataset_name": one}], [model.model_id]), ([{"dataset_name": two}], [other.model_id]),
            ([{"dataset_name": one, "dataset_digest": "d2"}], []),
            ([{"dataset_name": one}, {"dataset_name": two}], [other.model_id, model.model_id]),
        ):
            self.assertEqual(ids("metrics.f1 > 0.6", datasets=datasets), expected, datasets)
        self.assertEqual(ids(datasets=[{"dataset_name": one, "dataset_digest": "d1"}]), [model.model_id])
        self.assertEqual(ids(datasets=[{"dataset_name": unique("none")}]), [])
        body = {"experiment_ids": [self.experiment], "datasets": [{"dataset_digest": "d1"}]}
        answer = requests.post(f"{URL}/api/2.0/mlflow/logged-models/search", json=body, timeout=60)
        self.assertEqual((answer.status_code, answer.json()["error_code"]), (400, "INVALID_PARAMETER_VALUE"))
        self.assertEqual(ids(order_by=[{"field_name": "metrics.auc", "ascending": False}]), [model.model_id, other.model_id])
        self.client.delete_logged_model(other.model_id)
        self.assertEqual(ids(), [model.model_id])

    def test_autolog_with_scikit_learn(self):
        from sklearn.ensemble import RandomForestClassifier
        rows, target = self.data()
        mlflow.set_experiment(experiment_id=self.experiment)
        mlflow.sklearn.autolog()
        try:
            with mlflow.start_run() as active:
                forest = RandomForestClassifier(n_estimators=5, random_state=1).fit(rows, target)
                forest.score(rows, target)
        finally:
            mlflow.sklearn.autolog(disable=True)
        run = self.client.get_run(active.info.run_id)
        self.assertEqual(run.data.params["n_estimators"], "5")
        self.assertGreater(run.data.metrics["training_accuracy_score"], 0.9)
        self.assertEqual(run.data.tags["estimator_name"], "RandomForestClassifier")
        self.assertTrue(run.inputs.dataset_inputs)
        (output,) = run.outputs.model_outputs
        model = self.client.get_logged_model(output.model_id)
        self.assertEqual((model.status, model.source_run_id), ("READY", run.info.run_id))
        self.assertIn("MLmodel", [f.path for f in self.client.list_logged_model_artifacts(model.model_id)])
        for uri in (f"models:/{model.model_id}", f"runs:/{run.info.run_id}/model"):
            loaded = mlflow.sklearn.load_model(uri)
            pandas.testing.assert_series_equal(pandas.Series(loaded.predict(rows)), pandas.Series(forest.predict(rows)))
        self.assertIn("estimator.html", [f.path for f in self.client.list_artifacts(run.info.run_id)])

    def test_a_model_is_logged_by_hand(self):
        from sklearn.linear_model import LogisticRegression
        rows, target = self.data()
        mlflow.set_experiment(experiment_id=self.experiment)
        with mlflow.start_run():
            info = mlflow.sklearn.log_model(LogisticRegression(max_iter=500).fit(rows, target), name="logistic",
                                            input_example=rows.head(2), pip_requirements=["scikit-learn"])
        self.assertEqual(len(mlflow.pyfunc.load_model(info.model_uri).predict(rows)), len(rows))


class Server(Case):
    def test_version_and_unknown_addresses(self):
        def ask(path, body=None, kind="application/json"):
            request = urllib.request.Request(URL + path, body, {"Content-Type": kind})
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        self.assertEqual(ask("/version"), (200, b"3.18.0"))
        self.assertEqual(ask("/api/3.0/mlflow/server-info")[0], 200)
        self.assertEqual(ask("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0")[0], 200)
        status, body = ask("/api/2.0/mlflow/nothing/search")
        self.assertEqual((status, b"ENDPOINT_NOT_FOUND" in body), (404, True))
        self.assertEqual(ask("/api/2.0/mlflow/runs/create", b"{}", "text/plain")[0], 400)
        for body in (b"", b"{", b"[]", b"3", b'{"experiment_id": 0}', b'{"experimentId": "0", "experiment_id": "0"}'):
            self.assertEqual(ask("/api/2.0/mlflow/experiments/delete", body)[0], 400, body)
        run = self.run_with()
        lax = b'{"runUuid": "%s", "key": "m", "value": "Infinity", "timestamp": "7", "step": "5"}' % run.encode()
        self.assertEqual(ask("/api/2.0/mlflow/runs/log-metric", lax)[0], 200)
        point = self.client.get_metric_history(run, "m")[0]
        self.assertEqual((point.value, point.timestamp, point.step), (LARGEST, 7, 5))


if __name__ == "__main__":
    unittest.main(verbosity=2)
