"""What the unmodified MLflow client sees of purged runs and experiments: `python mlflow_purge_client.py URL [test …]`.

Not found by `unittest discover`: it needs a server and the packages of `requirements.txt`. `cargo xtask test` runs it.
"""

import logging
import os
import sys
import tempfile
import unittest
import uuid

URL = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].startswith("http") else os.environ.get("MILLRACE_URL", "")
# A server error must fail the test, not be tried seven times.
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow.entities import Metric, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)


class Purged(unittest.TestCase):
    def setUp(self):
        self.client = MlflowClient()
        self.name = f"purged-{uuid.uuid4().hex[:8]}"
        self.experiment = self.client.create_experiment(self.name)

    def purge(self, address, **body):
        answer = requests.post(f"{URL}/api/{address}", json=body, timeout=60)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(MlflowException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.error_code, code, caught.exception)

    def test_a_purged_run_is_unknown_to_every_call(self):
        run = self.client.create_run(self.experiment).info.run_id
        self.client.log_metric(run, "loss", 0.5)
        self.client.delete_run(run)
        self.assertEqual(self.purge("tracked-runs/purge", ids=[run])["runs"], 1)
        absent = "RESOURCE_DOES_NOT_EXIST"
        self.refused(absent, self.client.get_run, run)
        self.refused(absent, self.client.log_metric, run, "loss", 0.4)
        self.refused(absent, self.client.log_batch, run, metrics=[Metric("loss", 0.3, 1, 1)])
        self.refused(absent, self.client.log_param, run, "a", "b")
        self.refused(absent, self.client.set_tag, run, "a", "b")
        self.refused(absent, self.client.set_terminated, run)
        self.refused(absent, self.client.restore_run, run)
        self.refused(absent, self.client.delete_run, run)
        found = self.client.search_runs([self.experiment], "metrics.loss > 0", run_view_type=ViewType.ALL)
        self.assertEqual(found, [])

    def test_an_upload_to_a_purged_run_is_refused(self):
        run = self.client.create_run(self.experiment).info.run_id
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notes.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write("kept")
            self.client.log_artifact(run, path)
            self.purge("tracked-runs/purge", ids=[run], force=True)
            address = f"{URL}/api/2.0/mlflow-artifacts/artifacts/{run}/late.txt"
            answer = requests.put(address, data=b"late", timeout=60)
            self.assertEqual((answer.status_code, answer.json()["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))
            # A path that is of no run is free to use.
            free = f"{URL}/api/2.0/mlflow-artifacts/artifacts/notes/late.txt"
            self.assertEqual(requests.put(free, data=b"late", timeout=60).status_code, 200)

    def test_a_run_that_is_logged_to_while_it_is_purged_stays_gone(self):
        run = self.client.create_run(self.experiment).info.run_id
        with self.assertRaises(MlflowException) as caught:
            for step in range(1_000):
                if step == 20:
                    self.purge("tracked-runs/purge", ids=[run], force=True)
                self.client.log_metric(run, "loss", 0.5, step=step)
        self.assertEqual(caught.exception.error_code, "RESOURCE_DOES_NOT_EXIST")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_run, run)

    def test_the_name_of_a_purged_experiment_is_free(self):
        self.client.create_run(self.experiment)
        self.client.delete_experiment(self.experiment)
        self.refused("RESOURCE_ALREADY_EXISTS", self.client.create_experiment, self.name)
        self.assertEqual(self.purge(f"experiments/{self.experiment}/purge")["runs"], 1)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_experiment, self.experiment)
        again = self.client.create_experiment(self.name)
        self.assertNotEqual(again, self.experiment)
        mlflow.set_experiment(self.name)

    def test_a_deleted_experiment_is_renamed_by_our_api_alone(self):
        self.client.delete_experiment(self.experiment)
        self.refused("INVALID_PARAMETER_VALUE", self.client.rename_experiment, self.experiment, f"{self.name}-old")
        self.purge(f"experiments/{self.experiment}/rename", name=f"{self.name}-old")
        self.client.create_experiment(self.name)
        self.client.restore_experiment(self.experiment)
        self.assertEqual(self.client.get_experiment(self.experiment).name, f"{self.name}-old")

    def test_a_registered_version_outlives_its_run(self):
        class Doubled(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return [2 * value for value in model_input]

        mlflow.set_experiment(self.name)
        with mlflow.start_run() as run:
            mlflow.pyfunc.log_model(name="model", python_model=Doubled(), registered_model_name=self.name)
        self.assertEqual(self.purge("tracked-runs/purge", ids=[run.info.run_id], force=True)["runs"], 1)
        loaded = mlflow.pyfunc.load_model(f"models:/{self.name}/1")
        self.assertEqual(list(loaded.predict([1, 2])), [2, 4])


if __name__ == "__main__":
    unittest.main()
