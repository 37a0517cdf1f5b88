"""Logs in to a Millrace server that asks for it: `python mlflow_accounts_client.py URL TOKEN [test …]`.

By the unmodified client of MLflow's authentication, and as users by the unmodified tracking client.
"""

import contextlib
import io
import logging
import os
import sys
import unittest
import uuid

URL, TOKEN = sys.argv.pop(1), sys.argv.pop(1)
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet", MLFLOW_TRACE_BUFFER_TTL_SECONDS="1",
)

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow.entities import Metric  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.server.auth.client import AuthServiceClient  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
PASSWORD = "a long enough password"
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def logged_in(name=None, password=PASSWORD, token=None):
    """As the clients are told who they are: by their environment."""
    before = {key: os.environ.pop(key, None) for key in CREDENTIALS}
    os.environ.update({"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password} if name else {})
    os.environ.update({"MLFLOW_TRACKING_TOKEN": token} if token else {})
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def admin():
    return logged_in("admin", TOKEN)


class Case(unittest.TestCase):
    def setUp(self):
        self.client, self.auth = MlflowClient(URL), AuthServiceClient(URL)

    def user(self):
        name = unique("user")
        with admin():
            self.auth.create_user(name, PASSWORD)
        return name

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(MlflowException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.error_code, code, caught.exception)

    def denied(self, call, *args, **kwargs):
        self.refused("PERMISSION_DENIED", call, *args, **kwargs)


class Users(Case):
    def test_made_found_changed_deleted(self):
        name = unique("user")
        with admin():
            made = self.auth.create_user(name, PASSWORD)
            self.assertEqual((made.username, made.is_admin), (name, False))
            self.refused("RESOURCE_ALREADY_EXISTS", self.auth.create_user, name, PASSWORD)
            for bad in (("", PASSWORD), (unique("user"), "short"), ("a:b", PASSWORD), ("admin", PASSWORD)):
                with self.assertRaises(MlflowException, msg=bad):
                    self.auth.create_user(*bad)
            self.auth.update_user_admin(name, True)
            self.assertTrue(self.auth.get_user(name).is_admin)
            listed = requests.get(f"{URL}/api/2.0/mlflow/users/list", auth=("admin", TOKEN), timeout=60).json()
            self.assertIn(name, [user["username"] for user in listed["users"]])
            self.assertNotIn("argon2", str(listed))
        with logged_in(name):
            self.assertEqual(self.client.get_experiment("0").name, "Default")
            with self.assertRaises(MlflowException):
                self.auth.delete_user(name)
        with admin():
            self.auth.update_user_password(name, PASSWORD + "!")
        with logged_in(name), self.assertRaises(MlflowException):
            self.client.get_experiment("0")
        with admin():
            self.auth.delete_user(name)
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.get_user, name)
        with logged_in(name, PASSWORD + "!"), self.assertRaises(MlflowException):
            self.client.get_experiment("0")

    def test_users_are_for_administrators(self):
        one, other = self.user(), self.user()
        with logged_in(one):
            self.assertEqual(self.auth.get_user(one).username, one)
            self.denied(self.auth.get_user, other)
            self.denied(self.auth.create_user, unique("user"), PASSWORD)
            self.denied(self.auth.update_user_admin, one, True)
            self.denied(self.auth.update_user_password, other, PASSWORD + "!")
            self.denied(self.auth.delete_user, other)
            self.refused("INVALID_PARAMETER_VALUE", self.auth.update_user_password, one, PASSWORD + "!")
            self.auth.update_user_password(one, PASSWORD + "!", current_password=PASSWORD)
        with logged_in(one, PASSWORD + "!"):
            current = requests.get(f"{URL}/ajax-api/2.0/mlflow/users/current", auth=(one, PASSWORD + "!"), timeout=60)
            self.assertEqual((current.json()["user"]["username"], current.json()["is_basic_auth"]), (one, True))

    def test_nobody_is_let_in_without(self):
        for credentials in (None, ("nobody", PASSWORD), (self.user(), "wrong"), ("a\0b", "c"), ("", "")):
            for path in ("/api/2.0/mlflow/experiments/get?experiment_id=0", "/", "/api/workspace", "/mlflow/", "/graphql"):
                answer = requests.get(URL + path, auth=credentials, timeout=60)
                self.assertEqual(answer.status_code, 401, (credentials, path))
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Basic"))
        self.assertEqual(requests.get(f"{URL}/health", timeout=60).text, "OK")

    def test_tokens(self):
        name = self.user()

        def ask(method, path="", auth=(name, PASSWORD), **kwargs):
            return requests.request(method, f"{URL}/api/2.0/mlflow/users/tokens{path}", auth=auth, timeout=60, **kwargs)

        made = ask("POST", json={"name": "laptop"}).json()
        self.assertEqual([t["name"] for t in ask("GET").json()["tokens"]], ["laptop"])
        self.assertNotIn("token", ask("GET").json()["tokens"][0])
        with logged_in(token=made["token"]):
            self.assertEqual(self.client.get_experiment("0").name, "Default")
            self.denied(self.auth.create_user, unique("user"), PASSWORD)
        with logged_in(name, made["token"]):
            self.assertEqual(self.client.get_experiment("0").name, "Default")
        with logged_in(self.user(), made["token"]), self.assertRaises(MlflowException):
            self.client.get_experiment("0")
        other = self.user()
        self.assertEqual(ask("DELETE", f"/{made['id']}", auth=(other, PASSWORD)).status_code, 404)
        self.assertEqual(ask("DELETE", f"/{made['id']}").status_code, 200)
        with logged_in(token=made["token"]), self.assertRaises(MlflowException):
            self.client.get_experiment("0")


class Permissions(Case):
    def setUp(self):
        super().setUp()
        self.name, self.other = self.user(), self.user()

    def made(self):
        """An experiment of one user, with a run, a logged model, a file and a trace."""
        with logged_in(self.name):
            experiment = self.client.create_experiment(unique("experiment"))
            run = self.client.create_run(experiment).info.run_id
            self.client.log_batch(run, [Metric("m", 1, 1, 0)])
            self.client.log_text(run, "text", "a/b.txt")
            model = self.client.create_logged_model(experiment, source_run_id=run).model_id
            mlflow.set_experiment(experiment_id=experiment)
            with mlflow.start_span("span") as span:
                pass
            mlflow.flush_trace_async_logging()
        return experiment, run, model, span.trace_id

    def grant(self, kind, what, permission, by=None):
        with logged_in(by) if by else admin():
            self.auth.grant_user_permission(self.other, kind, what, permission)

    def reads(self, experiment, run, model, trace):
        return [
            (self.client.get_experiment, experiment), (self.client.get_run, run), (self.client.get_metric_history, run, "m"),
            (self.client.list_artifacts, run), (mlflow.artifacts.load_text, f"runs:/{run}/a/b.txt"),
            (self.client.search_runs, [experiment]), (self.client.search_logged_models, [experiment]),
            (self.client.get_logged_model, model), (self.client.get_trace, trace),
        ]

    def writes(self, experiment, run, model, trace):
        return [
            (self.client.create_run, experiment), (self.client.log_metric, run, "n", 1), (self.client.log_param, run, "p", 1),
            (self.client.set_tag, run, "k", "v"), (self.client.log_text, run, "text", "c.txt"),
            (self.client.set_experiment_tag, experiment, "k", "v"), (self.client.create_logged_model, experiment),
            (self.client.set_logged_model_tags, model, {"k": "v"}), (self.client.set_trace_tag, trace, "k", "v"),
        ]

    def test_what_each_permission_allows(self):
        made = experiment, run, model, trace = self.made()
        everything = self.reads(*made), self.writes(*made), [(self.client.delete_run, run), (self.client.restore_run, run)]
        # Nobody granted anything: everybody may read, as MLflow has it.
        for permission, allowed in ((None, 1), ("DENY", 0), ("READ", 1), ("USE", 1), ("EDIT", 2), ("MANAGE", 3)):
            if permission:
                self.grant("experiment", experiment, permission, by=self.name)
            with logged_in(self.other):
                found = self.auth.get_user_permission(self.other, "experiment", experiment)
                self.assertEqual(found.permission, {None: "READ", "DENY": "NO_PERMISSIONS"}.get(permission, permission))
                for level, calls in enumerate(everything, 1):
                    for call, *arguments in calls:
                        with self.subTest(permission=permission, call=call.__name__):
                            if level <= allowed:
                                call(*arguments)
                            else:
                                with self.assertRaises((MlflowException, requests.HTTPError)) as caught:
                                    call(*arguments)
                                self.assertRegex(str(caught.exception), "PERMISSION_DENIED|403|may not have access")
                ids = [e.experiment_id for e in self.client.search_experiments()]
                self.assertEqual(experiment in ids, allowed > 0)

    def test_what_is_denied_is_nowhere(self):
        experiment, run, model, trace = self.made()
        self.grant("experiment", experiment, "DENY")
        asked = [
            ("GET", f"/get-artifact?run_id={run}&path=a/b.txt", None),
            ("GET", f"/api/2.0/mlflow-artifacts/artifacts/{run}/a/b.txt", None),
            ("GET", f"/api/2.0/mlflow-artifacts/artifacts/%2561/{run}/a/b.txt", None),
            ("GET", f"/api/2.0/mlflow-artifacts/artifacts?path={run}", None),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts", None),
            ("GET", f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/directories", None),
            ("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&metric_key=m", None),
            ("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?runIds={run}&metricKey=m", None),
            ("GET", f"/api/2.0/mlflow/experiments/get?experimentId=%2B{experiment}", None),
            ("GET", f"/api/3.0/mlflow/traces/get?trace_id={trace}", None),
            ("GET", f"/api/experiments/{experiment}/runs", None),
            ("GET", f"/api/tracked-runs/{run}", None),
            ("GET", f"/api/metrics?runs={run}&keys=m", None),
            ("GET", "/api/experiments", None),
            ("POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": ["*"]}),
            ("POST", "/api/2.0/mlflow/runs/search", {"experimentIds": ["0", experiment]}),
            ("POST", "/api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [experiment]}),
            ("POST", "/api/3.0/mlflow/traces/search", {"locations": [{"mlflow_experiment": {"experiment_id": experiment}}]}),
            ("POST", "/api/3.0/mlflow/datasets/search", {}),
            ("POST", "/api/2.0/mlflow/webhooks", {"name": "w"}),
        ]
        for method, path, body in asked:
            with self.subTest(path=path, body=body):
                answer = requests.request(method, URL + path, json=body, auth=(self.other, PASSWORD), timeout=60)
                self.assertEqual(answer.status_code, 403, answer.text)
                answer = requests.request(method, URL + path, json=body, auth=(self.name, PASSWORD), timeout=60)
                self.assertNotEqual(answer.status_code if "webhooks" not in path else 0, 403 if "?path" in path else 1)
        query = f'{{ mlflowGetRun(input: {{runId: "{run}"}}) {{ run {{ info {{ runId }} }} }} }}'
        answer = requests.post(f"{URL}/graphql", json={"query": query}, auth=(self.other, PASSWORD), timeout=60).json()
        self.assertEqual(answer, {"data": {"mlflowGetRun": None}, "errors": ["Permission denied"]})
        spans = requests.post(
            f"{URL}/v1/traces", data=b"", auth=(self.other, PASSWORD), timeout=60,
            headers={"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment})
        self.assertEqual(spans.status_code, 403)

    def test_files_of_traces_are_as_open_as_their_experiment(self):
        experiment, _, _, trace = self.made()
        file = f"{URL}/api/2.0/mlflow-artifacts/artifacts/traces/{trace}/artifacts/attachments/{uuid.uuid4()}"
        page = f"{URL}/ajax-api/3.0/mlflow/get-trace-artifact?request_id={trace}&path={file.rsplit('/', 1)[1]}"

        def ask(method, path, who):
            return requests.request(method, path, data=b"x", auth=(who, PASSWORD), timeout=60).status_code

        self.assertEqual(ask("PUT", file, self.name), 200)
        for permission, read, written in ((None, 200, 403), ("EDIT", 200, 200), ("DENY", 403, 403)):
            if permission:
                self.grant("experiment", experiment, permission)
            with self.subTest(permission=permission):
                self.assertEqual([ask("GET", path, self.other) for path in (file, page)], [read, read])
                self.assertEqual(ask("PUT", file, self.other), written)
        self.assertEqual(ask("PUT", file.replace(trace, f"tr-{uuid.uuid4().hex}"), self.name), 403)

    def test_models_and_prompts(self):
        name = unique("model")
        with logged_in(self.name):
            self.client.create_registered_model(name)
            experiment = self.client.create_experiment(unique("experiment"))
            run = self.client.create_run(experiment).info.run_id
            self.client.create_model_version(name, f"runs:/{run}/m", run)
            self.client.rename_registered_model(name, name + "-new")
            name += "-new"
            self.client.set_registered_model_alias(name, "best", "1")
        with logged_in(self.other):
            self.assertEqual(self.client.get_model_version_by_alias(name, "best").version, "1")
            self.denied(self.client.set_registered_model_alias, name, "best", "1")
            self.denied(self.client.delete_registered_model, name)
            self.denied(self.auth.grant_user_permission, self.other, "registered_model", name, "EDIT")
            self.client.create_registered_model(mine := unique("model"))
        self.grant("registered_model", name, "EDIT", by=self.name)
        with logged_in(self.other):
            self.client.set_registered_model_alias(name, "other", "1")
            self.denied(self.client.delete_model_version, name, "1")
        self.grant("registered_model", name, "NO_PERMISSIONS")
        with logged_in(self.other):
            self.denied(self.client.get_registered_model, name)
            self.denied(self.client.create_model_version, mine, f"models:/{name}/1")
            self.assertNotIn(name, [m.name for m in self.client.search_registered_models()])
            self.assertNotIn(name, [v.name for v in self.client.search_model_versions()])
            self.assertIn(mine, [m.name for m in self.client.search_registered_models()])
        with logged_in(self.name):
            self.client.delete_registered_model(name)
            self.client.create_registered_model(name)
        with logged_in(self.other):
            # What was said of the old one does not hold for the new one.
            self.assertEqual(self.client.get_registered_model(name).name, name)
        with admin():
            self.auth.grant_user_permission(self.other, "prompt", "*", "DENY")
            mlflow.genai.register_prompt(prompt := unique("prompt"), "Hi {{who}}")
        with logged_in(self.other):
            self.denied(self.client.get_registered_model, prompt)
            self.assertEqual(self.client.get_registered_model(name).name, name)
        with admin():
            self.auth.revoke_user_permission(self.other, "prompt", "*")
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.revoke_user_permission, self.other, "prompt", "*")
        listed = requests.get(
            f"{URL}/api/3.0/mlflow/users/current/permissions", auth=(self.other, PASSWORD), timeout=60).json()
        self.assertEqual([p["resource_pattern"] for p in listed["permissions"]], [mine])

    def test_roles(self):
        with logged_in(self.name):
            experiment = self.client.create_experiment(unique("experiment"))
        with admin():
            readers = self.auth.create_role("default", unique("readers"), "who may look")
            self.refused("RESOURCE_ALREADY_EXISTS", self.auth.create_role, "default", readers.name)
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.create_role, "elsewhere", unique("role"))
            self.refused("INVALID_PARAMETER_VALUE", self.auth.create_role, "default", "__user_1__")
            self.refused("INVALID_PARAMETER_VALUE", self.auth.add_role_permission, readers.id, "cellar", "*", "READ")
            self.refused(
                "INVALID_PARAMETER_VALUE", self.auth.add_role_permission, readers.id, "workspace", "*", "READ")
            given = self.auth.add_role_permission(readers.id, "experiment", experiment, "EDIT")
            self.refused(
                "RESOURCE_ALREADY_EXISTS", self.auth.add_role_permission, readers.id, "experiment", experiment, "READ")
            assigned = self.auth.assign_role(self.other, readers.id)
            self.refused("RESOURCE_ALREADY_EXISTS", self.auth.assign_role, self.other, readers.id)
            self.assertEqual([a.to_json() for a in self.auth.list_role_users(readers.id)], [assigned.to_json()])
            self.assertEqual([r.name for r in self.auth.list_user_roles(self.other)], [readers.name])
            found = self.auth.get_role(readers.id)
            self.assertEqual((found.workspace, found.description), ("default", "who may look"))
            self.assertEqual([p.to_json() for p in found.permissions], [given.to_json()])
            self.assertIn(readers.name, [r.name for r in self.auth.list_roles("default")])
            self.assertIn(readers.name, [r.name for r in self.auth.list_all_roles()])
            self.assertEqual(self.auth.list_roles("elsewhere"), [])
        with logged_in(self.other):
            self.client.set_experiment_tag(experiment, "a", "1")
            self.assertEqual(self.auth.get_role(readers.id).name, readers.name)
            self.denied(self.auth.create_role, "default", unique("mine"))
            self.denied(self.auth.list_user_roles, self.name)
            self.denied(self.auth.assign_role, self.name, readers.id)
        with admin():
            self.assertEqual(self.auth.update_role_permission(given.id, "DENY").permission, "DENY")
            self.auth.grant_user_permission(self.other, "experiment", experiment, "MANAGE")
        with logged_in(self.other):
            # One denial is stronger than whatever else was granted.
            self.denied(self.client.get_experiment, experiment)
        with admin():
            self.auth.remove_role_permission(given.id)
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.remove_role_permission, given.id)
            self.assertEqual(self.auth.update_role(readers.id, description="nobody").description, "nobody")
            self.auth.add_role_permission(readers.id, "workspace", "*", "MANAGE")
        with logged_in(self.other):
            # Whoever manages the workspace administers roles, and is nobody's administrator.
            mine = self.auth.create_role("default", unique("mine"))
            self.auth.assign_role(self.name, mine.id)
            self.denied(self.auth.update_user_admin, self.other, True)
            self.auth.unassign_role(self.name, mine.id)
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.unassign_role, self.name, mine.id)
            self.auth.delete_role(mine.id)
        with admin():
            self.auth.delete_role(readers.id)
            self.refused("RESOURCE_DOES_NOT_EXIST", self.auth.get_role, readers.id)
            self.assertEqual(self.auth.list_user_roles(self.other), [])
        with logged_in(self.name):
            self.denied(self.auth.list_all_roles)

    def test_changes_of_our_own_are_for_administrators(self):
        for method, path in (("DELETE", "/api/datasets/a"), ("POST", "/api/anything"), ("PUT", "/api/saved-views/a")):
            answer = requests.request(method, URL + path, json={}, auth=(self.name, PASSWORD), timeout=60)
            self.assertEqual(answer.status_code, 403, path)
        self.assertEqual(requests.get(f"{URL}/api/workspace", auth=(self.name, PASSWORD), timeout=60).status_code, 200)


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        unittest.main(verbosity=2)
