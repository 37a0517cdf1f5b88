"""Fills a store of MLflow by its own package: `python mlflow_store.py TRACKING_URI [RUNS]`.

The tests of `millrace import` read what this wrote: a folder (`/path/mlruns`), a database (`sqlite:///path`, `postgresql://…`) or a
server. RUNS adds so many small runs.
"""

import logging
import os
import sys
import tempfile

URI = sys.argv[1]
if URI.startswith("postgres"):
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        print("psycopg2 is not installed")
        sys.exit(77)
os.environ.update(
    MLFLOW_TRACKING_URI=URI, MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet", MLFLOW_ENABLE_ASYNC_TRACE_LOGGING="false",
)

import mlflow  # noqa: E402
import pandas  # noqa: E402
from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.tracing.attachments import Attachment  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
mlflow.set_tracking_uri(URI)
mlflow.set_registry_uri(URI)
client = MlflowClient()
IS_FOLDER = not URI.startswith(("sqlite", "postgres", "http"))


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input


def fill_runs():
    churn = client.create_experiment("churn/été", tags={"team": "données", "note": "two\nlines"})
    mlflow.set_experiment(experiment_id=churn)
    with mlflow.start_run(run_name="parent", description="with a child") as parent:
        mlflow.log_params({"depth": 7, "rate": "1e3", "text": "a: 'b'\n  \"c\" # d", "empty": "", "yes": "yes"})
        mlflow.log_metrics({"loss": 0.5, "a/b/c": -1.5})
        for step in range(300):
            mlflow.log_metric("curve", 1 / (step + 1), step=step - 5, timestamp=1_700_000_000_000 + step)
        mlflow.log_metric("odd", float("nan"), step=3)
        mlflow.log_metric("odd", float("inf"), step=2)
        mlflow.log_metric("odd", float("-inf"), step=1)
        if not IS_FOLDER:
            # A folder keeps repeats, a database does not.
            mlflow.log_metric("odd", float("-inf"), step=1)
        mlflow.set_tags({"kind": "gradient boosting", "mlflow.note.content": "# Title\n\n- ä ö ü 漢字"})
        mlflow.log_text("hello\n", "notes/deep/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "big file 1.bin")
            with open(path, "wb") as file:
                file.write(bytes(range(256)) * 4_000)
            mlflow.log_artifact(path)
        data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}), name="train set", targets="y")
        mlflow.log_input(data, context="training", tags={"split": "a"})
        mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame({"z": ["q"]}), name="other"))
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("loss", 0.25)
        mlflow.start_run(run_name="failed", nested=True)
        mlflow.end_run("FAILED")
    doomed = client.create_run(churn, run_name="doomed", tags={"mlflow.user": "ada"})
    client.log_batch(doomed.info.run_id, [Metric("m", 1.0, 5, 0)], [Param("p", "q")], [RunTag("t", "u")])
    client.set_terminated(doomed.info.run_id, "KILLED")
    client.delete_run(doomed.info.run_id)
    client.create_run("0", run_name="in default, still running")
    gone = client.create_experiment("gone")
    of_gone = client.create_run(gone, run_name="in a deleted experiment")
    client.log_param(of_gone.info.run_id, "p", "v")
    client.set_terminated(of_gone.info.run_id)
    client.delete_experiment(gone)
    return churn, parent.info.run_id, child.info.run_id


def fill_models(churn, parent):
    mlflow.set_experiment(experiment_id=churn)
    with mlflow.start_run(run_name="models"):
        info = mlflow.pyfunc.log_model(name="echo", python_model=Echo(), params={"alpha": "1"}, tags={"stage": "x"})
        data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.0]}), name="evaluation")
        mlflow.log_metric("accuracy", 0.75, model_id=info.model_id)
        if not IS_FOLDER:
            # The folder's reader of the client cannot read back what it wrote for a metric with a dataset.
            mlflow.log_metric("accuracy", 0.5, step=2, model_id=info.model_id, dataset=data)
        mlflow.log_input(data)
        second = mlflow.initialize_logged_model("deleted model")
        mlflow.finalize_logged_model(second.model_id, "READY")
        client.delete_logged_model(second.model_id)
        third = mlflow.initialize_logged_model("pending model")
        assert third.status.name == "PENDING"
    client.create_registered_model("Churn model", tags={"owner": "ada"}, description="A *model*\nof churn")
    first = client.create_model_version(
        "Churn model", f"models:/{info.model_id}", model_id=info.model_id, tags={"ok": "yes"}, description="first",
    )
    uri = client.get_run(parent).info.artifact_uri
    client.create_model_version("Churn model", f"{uri}/notes", run_id=parent)
    third = client.create_model_version("Churn model", f"{uri}/notes", run_id=parent)
    client.set_registered_model_alias("Churn model", "champion", first.version)
    client.transition_model_version_stage("Churn model", first.version, "Production")
    client.delete_model_version("Churn model", third.version)
    client.create_registered_model("no versions")
    mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="first", tags={"tone": "warm"})
    mlflow.genai.register_prompt("greeting", "Dear {{name}}", commit_message="second")
    mlflow.genai.set_prompt_alias("greeting", "formal", 2)


def fill_traces(churn, parent):
    mlflow.set_experiment(experiment_id=churn)
    with mlflow.start_run(run_id=parent):
        with mlflow.start_span("ask", span_type="AGENT") as span:
            span.set_inputs({"question": "why?", "picture": Attachment(content_type="image/png", content_bytes=b"picture of why")})
            with mlflow.start_span("model", span_type="LLM") as inner:
                inner.set_attributes({"mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})
                inner.set_outputs(["because"])
            span.set_outputs({"answer": "because"})
            mlflow.update_current_trace(tags={"env": "test"})
    trace = mlflow.get_last_active_trace_id()
    mlflow.log_feedback(trace_id=trace, name="quality", value=0.5, rationale="so so", metadata={"k": "v"})
    mlflow.log_feedback(trace_id=trace, name="good", value=True)
    mlflow.log_expectation(trace_id=trace, name="expected", value={"answer": "because"})
    try:
        with mlflow.start_span("fails"):
            raise ValueError("no")
    except ValueError:
        pass


def fill_datasets(churn):
    made = mlflow.genai.datasets.create_dataset(name="questions", experiment_id=[churn], tags={"v": "1"})
    made.merge_records([
        {"inputs": {"q": "why?"}, "expectations": {"a": "because"}, "tags": {"t": "1"}},
        {"inputs": {"q": "when?"}, "outputs": "now"},
    ])


def fill_webhooks():
    # The client wants names to be resolved, so this is an address; nothing is sent.
    client.create_webhook(
        "plain", "https://93.184.215.14/plain", ["registered_model.created", "model_version_alias.created"], description="All names",
    )
    client.create_webhook("signed", "https://93.184.215.14/signed", ["model_version.created"], secret="a secret")
    client.create_webhook("asleep", "https://93.184.215.14/asleep", ["prompt.created"], status="DISABLED")
    gone = client.create_webhook("gone", "https://93.184.215.14/gone", ["prompt.created"])
    client.delete_webhook(gone.webhook_id)


def fill_many(count):
    many = client.create_experiment("many")
    for number in range(count):
        run = client.create_run(many, run_name=f"run {number}", start_time=1_700_000_000_000 + number)
        points = [Metric("loss", number / (step + 1), 1_700_000_000_000 + step, step) for step in range(5)]
        client.log_batch(run.info.run_id, points, [Param("number", str(number))], [RunTag("even", str(number % 2 == 0))])
        client.set_terminated(run.info.run_id, "FINISHED")


if len(sys.argv) > 2:
    fill_many(int(sys.argv[2]))
else:
    churn, parent, _child = fill_runs()
    fill_models(churn, parent)
    fill_traces(churn, parent)
    if not IS_FOLDER:
        fill_datasets(churn)
        fill_webhooks()
