"""What the program of a step does with MLflow's unmodified client, and is refused: run by a step, `python mlflow_step.py`."""

import os

os.environ.update(
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet", MLFLOW_TRACE_BUFFER_TTL_SECONDS="1",
)

# The client takes it away when it has found the run.
OWN = os.environ["MLFLOW_RUN_ID"]

import mlflow  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402


@mlflow.trace
def predicted(model):
    return int(model.predict([[1]])[0])


with mlflow.start_run():
    mlflow.log_metric("auc", 0.5)
    mlflow.log_param("c", 1)
    mlflow.log_text("hello", "a.txt")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("inner", 1)
    mlflow.sklearn.log_model(LogisticRegression().fit([[0], [1]], [0, 1]), name="m", registered_model_name="made")
    assert predicted(mlflow.sklearn.load_model("models:/made/1")) == 1
# One after the other: without a parent of its own it is nested in the step's run.
with mlflow.start_run() as later:
    mlflow.log_metric("later", 1)
assert mlflow.get_run(later.info.run_id).data.tags["mlflow.parentRunId"] == OWN
mlflow.flush_trace_async_logging()
[trace] = mlflow.search_traces(return_type="list")
assert [span.name for span in trace.data.spans] == ["predicted"], trace

client = mlflow.MlflowClient()
for refused in (
    lambda: client.set_registered_model_alias("made", "live", 1),
    lambda: client.delete_registered_model("made"),
    lambda: client.create_experiment("mine"),
    lambda: client.delete_run(OWN),
):
    try:
        refused()
    except MlflowException as error:
        assert error.error_code == "PERMISSION_DENIED", error
    else:
        raise AssertionError("it was not refused")
print("all of it")
