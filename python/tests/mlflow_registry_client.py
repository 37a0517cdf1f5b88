"""Drives the model registry of a Millrace server with the unmodified MLflow client: `python mlflow_registry_client.py URL [test …]`.

Not found by `unittest discover`: it needs a server and the packages of `requirements.txt`. `cargo xtask test` runs it.
"""

import base64
import hashlib
import hmac
import http.server
import json
import logging
import os
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

URL = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].startswith("http") else os.environ.get("MILLRACE_URL", "")
# A server error must fail the test, not be tried seven times.
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
from mlflow.entities.webhook import WebhookEvent  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def ask(path, method="GET", body=None, prefix="/api/2.0/mlflow/"):
    """The status and the JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + prefix + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


class Case(unittest.TestCase):
    def setUp(self):
        mlflow.set_tracking_uri(URL)
        self.client = MlflowClient(URL)

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(MlflowException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.error_code, code, caught.exception)
        return str(caught.exception)

    def model(self, **kwargs):
        return self.client.create_registered_model(unique("model"), **kwargs).name

    def version(self, name, **kwargs):
        return self.client.create_model_version(name, kwargs.pop("source", "s3://bucket/model"), **kwargs).version

    def run_id(self):
        return self.client.create_run("0").info.run_id


class RegisteredModels(Case):
    def test_made_described_renamed_deleted(self):
        name = unique("My model ü")
        made = self.client.create_registered_model(name, tags={"team": "a"}, description="first")
        self.assertEqual((made.name, made.description, made.tags), (name, "first", {"team": "a"}))
        self.assertGreater(made.creation_timestamp, 1_600_000_000_000)
        self.version(name)
        self.client.set_registered_model_alias(name, "best", "1")
        described = self.client.update_registered_model(name, "second")
        self.assertEqual(described.description, "second")
        self.client.rename_registered_model(name, name + "-new")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_registered_model, name)
        found = self.client.get_registered_model(name + "-new")
        self.assertEqual((found.aliases, found.tags), ({"best": "1"}, {"team": "a"}))
        self.assertGreaterEqual(found.last_updated_timestamp, made.last_updated_timestamp)
        self.assertEqual([v.version for v in found.latest_versions], ["1"])
        self.client.delete_registered_model(name + "-new")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_registered_model, name + "-new")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_model_version, name + "-new", "1")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.delete_registered_model, name + "-new")
        self.client.create_registered_model(name + "-new")
        self.assertEqual(self.version(name + "-new"), "1")

    def test_names(self):
        name = self.model()
        self.assertIn(f"(name={name}) already exists", self.refused("RESOURCE_ALREADY_EXISTS", self.client.create_registered_model, name))
        other = self.model()
        self.refused("RESOURCE_ALREADY_EXISTS", self.client.rename_registered_model, name, other)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.rename_registered_model, unique("absent"), unique("new"))
        for wrong in ("a/b", "a:b", "..", ".", "  ", "x" * 257):
            self.refused("INVALID_PARAMETER_VALUE", self.client.create_registered_model, wrong)
            self.assertEqual(ask("registered-models/rename", "POST", {"name": name, "new_name": wrong})[0], 400, wrong)
        self.assertIn("Missing value for required parameter 'name'", ask("registered-models/create", "POST", {})[1]["message"])
        self.assertEqual(ask("registered-models/rename", "POST", {"name": name, "newName": name})[1]["registered_model"]["name"], name)

    def test_tags(self):
        name = self.model(tags={"a": "1"})
        self.client.set_registered_model_tag(name, "a", "2")
        self.client.set_registered_model_tag(name, "long", "x" * 100_000)
        self.assertEqual(self.client.get_registered_model(name).tags, {"a": "2", "long": "x" * 100_000})
        self.client.delete_registered_model_tag(name, "long")
        self.client.delete_registered_model_tag(name, "never there")
        self.assertEqual(self.client.get_registered_model(name).tags, {"a": "2"})
        for key, value in (("k", "x" * 100_001), ("k" * 251, "v"), ("a//b", "v"), ("../a", "v"), ('a"b', "v")):
            self.refused("INVALID_PARAMETER_VALUE", self.client.set_registered_model_tag, name, key, value)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.set_registered_model_tag, unique("absent"), "a", "b")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.delete_registered_model_tag, unique("absent"), "a")

    def test_aliases(self):
        name = self.model()
        for _ in range(3):
            self.version(name)
        for alias, version in (("best", "1"), ("new-one", "3"), ("best", "2"), ("größte", "2")):
            self.client.set_registered_model_alias(name, alias, version)
        self.assertEqual(self.client.get_registered_model(name).aliases, {"best": "2", "new-one": "3", "größte": "2"})
        self.assertEqual(sorted(self.client.get_model_version(name, "2").aliases), ["best", "größte"])
        self.assertEqual(self.client.get_model_version_by_alias(name, "best").version, "2")
        self.assertEqual(self.client.get_model_version_by_alias(name, "Latest").version, "3")
        self.client.delete_registered_model_alias(name, "best")
        self.client.delete_registered_model_alias(name, "best")
        self.assertIn("alias best not found", self.refused("INVALID_PARAMETER_VALUE", self.client.get_model_version_by_alias, name, "best"))
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_model_version_by_alias, unique("absent"), "best")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.set_registered_model_alias, name, "best", "9")
        for wrong in ("a b", "a.b", "latest", "LATEST", "v1", "V20", "x" * 256, "a/b"):
            self.refused("INVALID_PARAMETER_VALUE", self.client.set_registered_model_alias, name, wrong, "1")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_model_version_by_alias, self.model(), "latest")

    def test_search(self):
        prefix = unique("Search")
        names = [self.client.create_registered_model(f"{prefix}-{i}", tags={"i": str(i), "of": prefix}).name for i in range(5)]

        def found(text, **kwargs):
            return [m.name for m in self.client.search_registered_models(text, **kwargs)]

        for text, expected in [
            (f"name LIKE '{prefix}%'", names), (f"name LIKE '{prefix.lower()}%'", []), (f"name ILIKE '{prefix.lower()}%'", names),
            (f"name = '{prefix}-2'", names[2:3]), (f"name IN ('{prefix}-1', '{prefix}-3')", [names[1], names[3]]),
            (f"tags.of = '{prefix}' AND tags.`i` != '3'", [*names[:3], names[4]]), (f"tag.of LIKE '{prefix[:8]}%' and tags.i = '4'", names[4:]),
            (f"name != '{prefix}-0' AND name LIKE '{prefix}%'", names[1:]), (f"name NOT IN ('{prefix}-0') AND tags.of = '{prefix}'", names[1:]),
        ]:
            self.assertEqual(found(text), expected, text)
        self.assertEqual(found(f"name LIKE '{prefix}%'", order_by=["name DESC"]), names[::-1])
        self.client.update_registered_model(names[0], "changed")
        self.assertEqual(found(f"name LIKE '{prefix}%'", order_by=["last_updated_timestamp DESC"]), [names[0], *names[:0:-1]])
        pages, token = [], None
        while True:
            page = self.client.search_registered_models(f"name LIKE '{prefix}%'", max_results=2, page_token=token)
            pages += [m.name for m in page]
            token = page.token
            if not token:
                break
            if len(pages) == 2:
                # A name that comes before this page neither repeats nor hides another.
                self.client.create_registered_model(f"{prefix}-+")
        self.assertEqual(pages, names)

    def test_mistakes_in_searches_are_told(self):
        for text in ("name = a", "run_id = 'a'", "name > 'a'", "name = 'a' OR name = 'b'", "tags.a IN ('b')", "'; DROP TABLE webhook"):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_registered_models, text)
        for kwargs in ({"max_results": 1001}, {"max_results": 0}, {"page_token": "garbage"}, {"page_token": "W10"},
                       {"order_by": ["size ASC"]}, {"order_by": ["name UP"]}, {"order_by": ["name", "name DESC"]}):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_registered_models, **kwargs)
        self.assertEqual(ask("registered-models/search?max_results=1", prefix="/ajax-api/2.0/mlflow/")[0], 200)


class Versions(Case):
    def test_made_and_described(self):
        name, run = self.model(), self.run_id()
        made = self.client.create_model_version(name, "s3://bucket/m", run, tags={"a": "1"}, run_link="http://elsewhere/run", description="d")
        self.assertEqual((made.version, made.status, made.current_stage), ("1", "READY", "None"))
        found = self.client.get_model_version(name, "1")
        self.assertEqual((found.source, found.run_id, found.run_link, found.description, found.tags),
                         ("s3://bucket/m", run, "http://elsewhere/run", "d", {"a": "1"}))
        self.assertEqual(self.client.update_model_version(name, "1", "e").description, "e")
        self.assertNotIn("description", ask("model-versions/update", "PATCH", {"name": name, "version": "1"})[1]["model_version"])
        self.assertEqual(self.client.get_model_version_download_uri(name, "1"), "s3://bucket/m")
        self.client.set_model_version_tag(name, "1", "b", "x" * 100_000)
        self.client.delete_model_version_tag(name, "1", "a")
        self.client.delete_model_version_tag(name, "1", "a")
        self.assertEqual(list(self.client.get_model_version(name, "1").tags), ["b"])
        self.refused("INVALID_PARAMETER_VALUE", self.client.set_model_version_tag, name, "1", "b", "x" * 100_001)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.set_model_version_tag, name, "2", "b", "c")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.create_model_version, unique("absent"), "s3://b/m")
        self.assertEqual(ask(f"model-versions/get?name={name}&version=x")[1]["error_code"], "INVALID_PARAMETER_VALUE")
        self.assertEqual(ask(f"model-versions/get?name={name}")[1]["message"], "Missing value for required parameter 'version'.")
        self.assertEqual(ask("model-versions/create", "POST", {"name": name})[1]["message"], "Missing value for required parameter 'source'.")

    def test_numbers_are_never_given_again(self):
        name = self.model()
        self.assertEqual([self.version(name), self.version(name)], ["1", "2"])
        self.client.set_registered_model_alias(name, "best", "2")
        self.client.delete_model_version(name, "2")
        for call in (self.client.get_model_version, self.client.delete_model_version, self.client.get_model_version_download_uri):
            self.refused("RESOURCE_DOES_NOT_EXIST", call, name, "2")
        self.assertEqual(self.client.get_registered_model(name).aliases, {})
        self.assertEqual([v.version for v in self.client.search_model_versions(f"name = '{name}'")], ["1"])
        self.assertEqual(self.version(name), "3")

    def test_those_who_come_at_once_get_numbers_of_their_own(self):
        name = self.model()
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _: MlflowClient(URL).create_model_version(name, "s3://b/m").version, range(24)))
        self.assertEqual(sorted(map(int, made)), list(range(1, 25)))

        def make(name):
            try:
                return MlflowClient(URL).create_registered_model(name).name
            except MlflowException as error:
                return error.error_code

        taken = unique("race")
        with ThreadPoolExecutor(2) as threads:
            self.assertEqual(sorted(threads.map(make, [taken] * 2)), ["RESOURCE_ALREADY_EXISTS", taken])

    def test_stages(self):
        name = self.model()
        for _ in range(4):
            self.version(name)

        def move(version, stage, **kwargs):
            return self.client.transition_model_version_stage(name, version, stage, **kwargs)

        def latest(*stages):
            return {v.current_stage: v.version for v in self.client.get_latest_versions(name, list(stages) or None)}

        self.assertEqual(move("1", "production").current_stage, "Production")
        move("2", "PRODUCTION")
        move("3", "Staging")
        self.assertEqual(latest(), {"None": "4", "Staging": "3", "Production": "2"})
        self.assertEqual(latest("staging", "Archived"), {"Staging": "3"})
        self.assertEqual(len(ask(f"registered-models/get-latest-versions?name={name}&stages=Production&stages=None")[1]["model_versions"]), 2)
        move("4", "Production", archive_existing_versions=True)
        self.assertEqual(latest(), {"Archived": "2", "Staging": "3", "Production": "4"})
        self.assertEqual(self.client.get_model_version(name, "1").current_stage, "Archived")
        self.assertIn("None, Staging, Production, Archived", self.refused("INVALID_PARAMETER_VALUE", move, "1", "Live"))
        self.refused("INVALID_PARAMETER_VALUE", move, "1", "Archived", archive_existing_versions=True)
        self.refused("RESOURCE_DOES_NOT_EXIST", move, "9", "Staging")
        self.refused("INVALID_PARAMETER_VALUE", self.client.get_latest_versions, name, ["Live"])

    def test_search(self):
        name, run, other = self.model(), self.run_id(), self.run_id()
        for i in range(6):
            self.version(name, source=f"s3://bucket/{i}", run_id=run if i < 3 else other, tags={"i": str(i)})

        def found(text, **kwargs):
            return [int(v.version) for v in self.client.search_model_versions(text, **kwargs)]

        for text, expected in [
            (f"name = '{name}'", [6, 5, 4, 3, 2, 1]), (f"run_id = '{run}'", [3, 2, 1]), (f"run_id IN ('{run}', '{other}') AND name = '{name}'", [6, 5, 4, 3, 2, 1]),
            (f"name = '{name}' AND version_number > 4", [6, 5]), (f"name = '{name}' AND version_number != 4 AND version_number <= '5'", [5, 3, 2, 1]),
            (f"name = '{name}' AND source_path LIKE '%/3'", [4]), (f"name = '{name}' AND tags.i = '0'", [1]), (f"name IN ('{name}')", [6, 5, 4, 3, 2, 1]),
        ]:
            self.assertEqual(found(text), expected, text)
        self.assertEqual(found(f"name = '{name}'", order_by=["version_number ASC"]), [1, 2, 3, 4, 5, 6])
        self.client.update_model_version(name, "2", "changed")
        self.assertEqual(found(f"name = '{name}'"), [2, 6, 5, 4, 3, 1])
        pages, token = [], None
        while True:
            page = self.client.search_model_versions(f"name = '{name}'", max_results=4, order_by=["creation_timestamp DESC"], page_token=token)
            pages += [int(v.version) for v in page]
            token = page.token
            if not token:
                break
        self.assertEqual(pages, [6, 5, 4, 3, 2, 1])
        for text in ("version_number = 1.5", "version_number LIKE '1'", "stage = 'None'", "source_path IN ('a')", "name = 'a' AND"):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_model_versions, text)
        for kwargs in ({"max_results": 0}, {"max_results": 200_001}, {"page_token": "x"}, {"order_by": ["run_id"]}):
            self.refused("INVALID_PARAMETER_VALUE", self.client.search_model_versions, **kwargs)

    def test_a_version_becomes_another_models(self):
        name, run, target = self.model(), self.run_id(), unique("target")
        self.client.set_registered_model_alias(name, "best", self.version(name, run_id=run))
        copied = self.client.copy_model_version(f"models:/{name}@best", target)
        self.assertEqual((copied.name, copied.version, copied.run_id, copied.source), (target, "1", run, f"models:/{name}/1"))
        self.assertEqual(self.client.get_model_version_download_uri(target, "1"), "s3://bucket/model")
        self.refused("INVALID_PARAMETER_VALUE", self.client.create_model_version, target, f"models:/{name}/1", self.run_id())

    def test_sources_stay_inside_what_they_name(self):
        name, run, other = self.model(), self.run_id(), self.run_id()
        logged = self.client.create_logged_model("0", "logged")
        inside = self.client.get_run(run).info.artifact_uri + "/model"
        for source, kwargs in [
            (f"runs:/{run}/model", {"run_id": run}), (inside, {"run_id": run}), ("https://host/models/a", {}), ("s3://b/a", {"run_id": run}),
            (logged.artifact_location, {"model_id": logged.model_id}), (f"models:/{logged.model_id}", {"model_id": logged.model_id}),
        ]:
            self.client.create_model_version(name, source, **kwargs)
        for source, kwargs in [
            (f"runs:/{run}/model", {}), (f"runs:/{run}/model", {"run_id": other}), (inside, {}), (inside, {"run_id": other}),
            (inside, {"run_id": "0" * 32}), (f"mlflow-artifacts:/{run}x/model", {"run_id": run}), ("mlflow-artifacts:/", {"run_id": run}),
            (f"mlflow-artifacts:/{run}/../{other}/model", {"run_id": run}), (f"mlflow-artifacts:/{run}/%2e%2e/{other}", {"run_id": run}),
            (f"mlflow-artifacts:/{run}/%252e%252e/{other}", {"run_id": run}), (f"mlflow-artifacts://else/{run}/model", {"run_id": run}),
            ("/etc", {}), ("/etc", {"run_id": run}), ("file:///etc/passwd", {"run_id": run}), ("etc/passwd", {"run_id": run}), ("file://host/a", {}),
            ("s3://b/../c", {}), ("https://h/a/%2e%2e/b", {}), (f"{URL}/api/2.0/mlflow-artifacts/artifacts/{run}", {"run_id": run}),
            (f"models:/{logged.model_id}", {}), (f"models:/{logged.model_id}", {"run_id": run}), (f"models:/{logged.model_id}", {"model_id": "m-other"}),
            (logged.artifact_location, {}), (f"runs:/{run}/model", {"model_id": logged.model_id}), (f"models://h/{logged.model_id}", {"model_id": logged.model_id}),
            ("models:/a/b/c", {}), ("models:/", {}), (inside, {"model_id": logged.model_id}),
        ]:
            self.refused("INVALID_PARAMETER_VALUE", self.client.create_model_version, name, source, **kwargs)
        for source in (f"models:/{unique('absent')}/1", f"models:/{name}/99", f"models:/{name}/Staging"):
            self.refused("RESOURCE_DOES_NOT_EXIST", self.client.create_model_version, name, source)
        tags = self.client.get_logged_model(logged.model_id).tags
        self.assertEqual(json.loads(tags["mlflow.modelVersions"]), [{"name": name, "version": "5"}, {"name": name, "version": "6"}])

    def test_a_local_path_lies_in_its_runs_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            experiment = self.client.create_experiment(unique("local"), f"file://{folder}/artifacts")
            run = self.client.create_run(experiment).info
            path = run.artifact_uri.removeprefix("file://") + "/model"
            os.makedirs(path)
            os.symlink("/etc", os.path.join(os.path.dirname(path), "link"))
            name = self.model()
            self.client.create_model_version(name, path, run.run_id)
            self.client.create_model_version(name, f"file://{path}", run.run_id)
            for source in (folder, os.path.dirname(path) + "/link", os.path.dirname(path) + "/../other", path + "/%2e%2e/%2e%2e/x"):
                self.refused("INVALID_PARAMETER_VALUE", self.client.create_model_version, name, source, run.run_id)
            self.refused("INVALID_PARAMETER_VALUE", self.client.create_model_version, name, path, self.run_id())


class Models(Case):
    @classmethod
    def setUpClass(cls):
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        cls.rows, cls.target = load_iris(return_X_y=True, as_frame=True)
        cls.fitted = LogisticRegression(max_iter=500).fit(cls.rows, cls.target)

    def check(self, uri):
        self.assertEqual(list(mlflow.pyfunc.load_model(uri).predict(self.rows)), list(self.fitted.predict(self.rows)))

    def log(self, **kwargs):
        with mlflow.start_run(experiment_id="0") as run:
            info = mlflow.sklearn.log_model(self.fitted, name="model", pip_requirements=["scikit-learn"], **kwargs)
        return run.info.run_id, info

    def test_registered_while_it_is_logged(self):
        name = unique("iris")
        run, info = self.log(registered_model_name=name)
        version = self.client.get_model_version(name, "1")
        self.assertEqual((version.run_id, version.source), (run, f"models:/{info.model_id}"))
        self.assertEqual(self.client.get_model_version_download_uri(name, "1"), f"mlflow-artifacts:/{info.model_id}")
        self.assertEqual([v.version for v in self.client.search_model_versions(f"run_id = '{run}'")], ["1"])
        self.client.set_registered_model_alias(name, "champion", "1")
        self.client.transition_model_version_stage(name, "1", "Production")
        for uri in (f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}/Production", f"models:/{name}/latest"):
            self.check(uri)
        self.log(registered_model_name=name)
        self.assertEqual(self.client.get_model_version_by_alias(name, "latest").version, "2")

    def test_registered_afterwards(self):
        name = unique("iris")
        run, info = self.log()
        for uri in (info.model_uri, f"runs:/{run}/model"):
            version = mlflow.register_model(uri, name, tags={"from": "test"})
            self.assertEqual((version.name, version.run_id, version.tags), (name, run, {"from": "test"}))
            self.check(f"models:/{name}/{version.version}")
        other = unique("iris")
        self.assertEqual(mlflow.register_model(f"models:/{name}/1", other).source, f"models:/{name}/1")
        self.check(f"models:/{other}/1")

    def test_seen_by_millrace_too(self):
        name = unique("iris")
        run, _ = self.log(registered_model_name=name)
        self.client.set_registered_model_alias(name, "champion", "1")
        with urllib.request.urlopen(f"{URL}/api/models/{name}") as answer:
            view = json.loads(answer.read())["version"]
        self.assertEqual((view["version"], view["aliases"], view["tracking_run_id"]), (1, ["champion"], run))
        with urllib.request.urlopen(f"{URL}/api/artifacts?path={view['artifact_path']}") as answer:
            self.assertIn("MLmodel", [file["path"] for file in json.loads(answer.read())])
        with urllib.request.urlopen(f"{URL}/api/models") as answer:
            self.assertIn(name, [model["name"] for model in json.loads(answer.read())])

    def test_what_is_registered_here_cannot_be_changed(self):
        for method, path in (("PUT", ".registry/a/b"), ("DELETE", ".registry"), ("DELETE", ".registry/a"), ("PUT", ".registry/../x")):
            request = urllib.request.Request(f"{URL}/api/2.0/mlflow-artifacts/artifacts/{path}", b"x", method=method)
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            self.assertEqual(caught.exception.code, 400, (method, path))


class OwnModels(Case):
    """What the `register` step of a pipeline registered as `late` before this server began."""

    def setUp(self):
        super().setUp()
        if not self.client.search_registered_models("name = 'late'"):
            self.skipTest("no step registered `late` here")

    def test_found_downloaded_described(self):
        model = self.client.get_registered_model("late")
        self.assertEqual((model.aliases, [v.version for v in model.latest_versions]), ({"champion": "1"}, ["1"]))
        version = self.client.get_model_version_by_alias("late", "champion")
        self.assertEqual((version.description, version.current_stage), ("From the test.", "None"))
        self.assertEqual(self.client.get_run(version.run_id).info.run_id, version.run_id)
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts("models:/late@champion", dst_path=folder)
            self.assertIn("onnx", mlflow.models.Model.load(path).flavors)
        self.client.update_model_version("late", "1", "By the client.")
        self.client.set_model_version_tag("late", "1", "checked", "yes")
        self.client.set_registered_model_alias("late", "best", "1")
        with urllib.request.urlopen(f"{URL}/api/models/late") as answer:
            view = json.loads(answer.read())["version"]
        self.assertEqual((view["description"], view["aliases"]), ("By the client.", ["best", "champion"]))
        self.client.delete_model_version("late", self.version("late"))


class Prompts(Case):
    def test_registered_and_loaded(self):
        name = unique("prompt")
        first = mlflow.genai.register_prompt(name, "Hello {{who}}!", commit_message="first", tags={"team": "a"})
        self.assertEqual((first.version, first.template), (1, "Hello {{who}}!"))
        chat = [{"role": "user", "content": "{{question}}"}]
        second = mlflow.genai.register_prompt(name, chat, commit_message="second")
        mlflow.genai.set_prompt_alias(name, "live", 1)
        self.assertEqual(mlflow.genai.load_prompt(f"prompts:/{name}@live").format(who="you"), "Hello you!")
        self.assertEqual(mlflow.genai.load_prompt(name, version=2).template, chat)
        self.assertEqual(mlflow.genai.load_prompt(f"prompts:/{name}/1").commit_message, "first")
        self.assertEqual(second.version, 2)
        self.assertIn(name, [p.name for p in mlflow.genai.search_prompts(f"name = '{name}'")])
        self.assertEqual([p.version for p in self.client.search_prompt_versions(name)], [2, 1])
        mlflow.genai.delete_prompt_alias(name, "live")
        self.assertIsNone(mlflow.genai.load_prompt(f"prompts:/{name}@live", allow_missing=True))

    def test_hidden_among_models(self):
        name = unique("prompt")
        mlflow.genai.register_prompt(name, "text")
        prompts = "tags.`mlflow.prompt.is_prompt`"
        for extra, count in (("", 0), (f" AND {prompts} = 'true'", 1), (f" AND {prompts} != 'true'", 0), (f" AND {prompts} = 'false'", 0)):
            self.assertEqual(len(self.client.search_registered_models(f"name = '{name}'{extra}")), count, extra)
            self.assertEqual(len(self.client.search_model_versions(f"name = '{name}'{extra}")), count, extra)
        model = self.model()
        for extra, count in (("", 1), (f" AND {prompts} = 'true'", 0), (f" AND {prompts} != 'true'", 1), (f" AND {prompts} = 'false'", 1)):
            self.assertEqual(len(self.client.search_registered_models(f"name = '{model}'{extra}")), count, extra)
        with urllib.request.urlopen(f"{URL}/api/models") as answer:
            self.assertNotIn(name, [model["name"] for model in json.loads(answer.read())])

    def test_a_name_is_either(self):
        name = unique("either")
        mlflow.genai.register_prompt(name, "text")
        self.assertIn("already taken by a prompt", self.refused("RESOURCE_ALREADY_EXISTS", self.client.create_registered_model, name))
        model = self.model()
        self.refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, model, "text")
        self.refused("INVALID_PARAMETER_VALUE", self.client.create_model_version, model, f"models:/{name}/1")
        tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
        self.assertEqual(ask("model-versions/create", "POST", {"name": name, "source": "s3://b/m", "tags": tags})[0], 400)
        self.refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, name, "x" * 100_001)


class Receiver:
    """A web server that keeps what it is sent and answers with the given statuses, then 200."""

    def __init__(self, *statuses):
        self.received, self.answers, self.changed = [], list(statuses), threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.changed:
                    outer.received.append((dict(self.headers.items()), body))
                    status = outer.answers.pop(0) if outer.answers else 200
                    outer.changed.notify_all()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{URL}/health")
                self.end_headers()
                self.wfile.write(b"taken")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.received) >= count, 60):
                raise AssertionError(f"{len(self.received)} of {count} arrived")
            return list(self.received)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def verify(payload, signature, secret, delivery_id, timestamp):
    """As MLflow's documentation tells receivers to do it."""
    version, encoded = signature.split(",", 1)
    signed = f"{delivery_id}.{timestamp}.{payload}"
    expected = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
    return version == "v1" and hmac.compare_digest(encoded, expected) and abs(time.time() - int(timestamp)) < 300


MODEL_EVENTS = ["registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
                "model_version_alias.created", "model_version_alias.deleted"]
PROMPT_EVENTS = ["prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted", "prompt_version_tag.set",
                 "prompt_version_tag.deleted", "prompt_alias.created", "prompt_alias.deleted"]


class Webhooks(Case):
    def hook(self, url, events, **kwargs):
        made = self.client.create_webhook(unique("hook"), url, [WebhookEvent.from_str(e) for e in events], **kwargs)
        self.addCleanup(lambda: ask(f"webhooks/{made.webhook_id}", "DELETE"))
        return made

    def test_made_changed_deleted(self):
        made = self.hook("https://hooks.example/a", MODEL_EVENTS[:2], description="d", secret="s3cret", status="DISABLED")
        self.assertEqual((made.status, made.description, sorted(map(str, made.events))), ("DISABLED", "d", sorted(MODEL_EVENTS[:2])))
        answer = ask(f"webhooks/{made.webhook_id}")[1]
        self.assertNotIn("s3cret", json.dumps(answer))
        self.assertNotIn("secret", answer["webhook"])
        changed = self.client.update_webhook(made.webhook_id, name="other", url="http://hooks.example/b", status="ACTIVE",
                                             events=[WebhookEvent.from_str("prompt.created")])
        self.assertEqual((changed.name, changed.url, changed.description, changed.status, list(map(str, changed.events))),
                         ("other", "http://hooks.example/b", "d", "ACTIVE", ["prompt.created"]))
        self.assertIn(made.webhook_id, [w.webhook_id for w in self.client.list_webhooks()])
        others = [self.hook("https://hooks.example/a", ["prompt.created"]).webhook_id for _ in range(3)]
        pages, token = [], None
        while True:
            page = self.client.list_webhooks(max_results=2, page_token=token)
            pages += [w.webhook_id for w in page]
            token = page.token
            if not token:
                break
        self.assertEqual(pages[:4], [*others[::-1], made.webhook_id])
        self.client.delete_webhook(made.webhook_id)
        for call in (self.client.get_webhook, self.client.delete_webhook, self.client.test_webhook):
            self.refused("RESOURCE_DOES_NOT_EXIST", call, made.webhook_id)

    def test_mistakes_are_told(self):
        for body in (
            {"name": "a b", "url": "https://h/", "events": [{"entity": "PROMPT", "action": "CREATED"}]},
            {"name": "a", "url": "ftp://h/", "events": [{"entity": "PROMPT", "action": "CREATED"}]},
            {"name": "a", "url": "nothing", "events": [{"entity": "PROMPT", "action": "CREATED"}]},
            {"name": "a", "url": "https://h/", "events": []}, {"name": "a", "url": "https://h/"}, {"name": "a", "events": []}, {},
            {"name": "a", "url": "https://h/", "events": [{"entity": "PROMPT", "action": "SET"}]},
            {"name": "a", "url": "https://h/", "events": [{"entity": "NOTHING", "action": "CREATED"}]},
            {"name": "a", "url": "https://h/", "events": ["PROMPT"]},
            {"name": "a", "url": "https://h/", "status": "HALF", "events": [{"entity": "PROMPT", "action": "CREATED"}]},
        ):
            status, answer = ask("webhooks", "POST", body)
            self.assertEqual((status, answer["error_code"]), (400, "INVALID_PARAMETER_VALUE"), body)
        for query in ("max_results=1001", "max_results=-1", "page_token=x", "page_token=W10"):
            self.assertEqual(ask(f"webhooks?{query}")[0], 400, query)

    def test_told_of_models_and_signed(self):
        with Receiver() as receiver:
            self.hook(receiver.url, MODEL_EVENTS, secret="top secret")
            name, run = unique("told"), self.run_id()
            self.client.create_registered_model(name, tags={"a": "b"}, description="d")
            self.client.create_model_version(name, "s3://b/m", run, tags={"c": "d"})
            self.client.set_model_version_tag(name, "1", "k", "v")
            self.client.delete_model_version_tag(name, "1", "k")
            self.client.set_registered_model_alias(name, "best", "1")
            self.client.delete_registered_model_alias(name, "best")
            of_model = {}
            for _ in range(60):
                of_model = {}
                for headers, body in list(receiver.received):
                    told = json.loads(body)
                    if told["data"]["name"] == name:
                        of_model[f"{told['entity']}.{told['action']}"] = (headers, body.decode(), told["data"])
                if len(of_model) == len(MODEL_EVENTS):
                    break
                receiver.wait(len(receiver.received) + 1)
            self.assertEqual(list(of_model), MODEL_EVENTS)
            for headers, body, _ in of_model.values():
                headers = {key.lower(): value for key, value in headers.items()}
                self.assertEqual(headers["content-type"], "application/json")
                self.assertTrue(verify(body, headers["x-mlflow-signature"], "top secret", headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"]))
            self.assertEqual([data for _, _, data in of_model.values()], [
                {"name": name, "tags": {"a": "b"}, "description": "d"},
                {"name": name, "version": "1", "tags": {"c": "d"}, "description": None, "source": "s3://b/m", "run_id": run},
                {"name": name, "version": "1", "key": "k", "value": "v"}, {"name": name, "version": "1", "key": "k"},
                {"name": name, "alias": "best", "version": "1"}, {"name": name, "alias": "best"},
            ])

    def test_told_of_prompts(self):
        with Receiver() as receiver:
            # The client also sets a tag of the experiment, of which only those that asked for it are told.
            self.hook(receiver.url, [event for event in PROMPT_EVENTS if event != "prompt_tag.set"])
            name = unique("told")
            mlflow.genai.register_prompt(name, "Hi {{who}}", commit_message="c", tags={"a": "b"})
            mlflow.genai.set_prompt_alias(name, "live", 1)
            received = [(headers, json.loads(body)) for headers, body in receiver.wait(3)]
            told = [(t["entity"], t["action"], t["data"]) for _, t in received if t["data"]["name"] == name]
            self.assertEqual(told[:3], [
                ("prompt", "created", {"name": name, "tags": {"a": "b"}, "description": "c"}),
                ("prompt_version", "created", {"name": name, "version": "1", "tags": {"a": "b"}, "description": "c", "template": "Hi {{who}}"}),
                ("prompt_alias", "created", {"name": name, "alias": "live", "version": "1"}),
            ])
            self.assertNotIn("x-mlflow-signature", {key.lower() for key in received[0][0]})

    def test_tried_again_with_the_same_id_and_no_redirect_followed(self):
        with Receiver(500, 302) as receiver:
            self.hook(receiver.url, ["registered_model.created"], secret="s")
            self.model()
            ids = [headers.get("x-mlflow-delivery-id") for headers, _ in receiver.wait(3)[:3]]
            self.assertEqual(len(set(ids)), 1)

    def test_a_disabled_one_is_not_told(self):
        with Receiver() as receiver:
            made = self.hook(receiver.url, ["registered_model.created"], status="DISABLED")
            self.model()
            self.client.update_webhook(made.webhook_id, status="ACTIVE")
            name = self.model()
            self.assertEqual(json.loads(receiver.wait(1)[0][1])["data"]["name"], name)

    def test_test_calls(self):
        with Receiver(200, 418) as receiver:
            made = self.hook(receiver.url, MODEL_EVENTS[:2], secret="s", status="DISABLED")
            result = self.client.test_webhook(made.webhook_id, WebhookEvent.from_str("prompt.created"))
            self.assertEqual((result.success, result.response_status, result.response_body), (True, 200, "taken"))
            self.assertFalse(self.client.test_webhook(made.webhook_id).success)
            told = [json.loads(body) for _, body in receiver.wait(2)]
            self.assertEqual([f"{t['entity']}.{t['action']}" for t in told], ["prompt.created", "model_version.created"])
        result = self.client.test_webhook(made.webhook_id)
        self.assertFalse(result.success)
        self.assertIn("Failed to test webhook", result.error_message)


if __name__ == "__main__":
    unittest.main(verbosity=2)
