"""Logs to a Millrace server what MLflow's own pages are to show: `python mlflow_pages.py URL`.

Prints one JSON document with the names and ids of what it made. `web/e2e/mlflow.mjs` walks the pages.
"""

import json
import logging
import math
import os
import sys

URL = sys.argv[1]
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
import numpy  # noqa: E402
import pandas  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
EXPERIMENT, MODEL = "flight-delays", "late-flights"


def train(index, rows, late):
    """One run with a curve, files of several kinds, a data set and a model."""
    rate = 10.0 ** -index
    with mlflow.start_run(run_name=f"rate-{index}", tags={"team": "delays"}) as run:
        mlflow.log_params({"rate": rate, "solver": "lbfgs"})
        for step in range(50):
            mlflow.log_metrics({"loss": math.exp(-step * rate) + index / 10, "accuracy": 1 - 0.5 / (step + 1)}, step=step)
        mlflow.log_input(mlflow.data.from_pandas(rows, name="flights", targets=None), context="training")
        mlflow.log_text("# Notes\n\nThe **first** try.", "notes/readme.md")
        mlflow.log_dict({"classes": ["late", "on time"]}, "config.json")
        mlflow.log_table({"question": ["a", "b"], "answer": ["1", "2"]}, "table.json")
        mlflow.log_text("<!doctype html><h1>A report</h1>", "report.html")
        mlflow.log_image(numpy.full((32, 32, 3), index * 60, dtype=numpy.uint8), "square.png")
        model = LogisticRegression(max_iter=20).fit(rows, late)
        signature = infer_signature(rows, model.predict(rows))
        logged = mlflow.sklearn.log_model(model, name="model", signature=signature, input_example=rows[:2])
    return run.info.run_id, logged


def main():
    experiment = mlflow.set_experiment(EXPERIMENT)
    rows = pandas.DataFrame({"distance": [float(i * 37 % 1000) for i in range(60)], "wind": [float(i * 11 % 40) for i in range(60)]})
    late = rows["distance"] > 500
    made = [train(index, rows, late) for index in range(3)]
    client = mlflow.MlflowClient(URL)
    for _, logged in made[:2]:
        version = mlflow.register_model(logged.model_uri, MODEL)
    client.set_registered_model_alias(MODEL, "champion", version.version)
    client.update_model_version(MODEL, version.version, description="Good enough.")

    @mlflow.trace
    def answer(question):
        with mlflow.start_span(name="retrieve", span_type="RETRIEVER") as span:
            span.set_inputs({"question": question})
            span.set_outputs([{"page_content": "LHR is closed", "metadata": {"doc_uri": "a"}}])
        return f"about {question}"

    for question in ("fog", "snow"):
        answer(question)
    mlflow.flush_trace_async_logging()
    mlflow.genai.register_prompt(name="apology", template="Sorry, {{name}}")
    trace = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list", max_results=1)[0]
    print(json.dumps({
        "experiment": experiment.experiment_id, "runs": [run for run, _ in made], "model": MODEL,
        "logged": made[0][1].model_id, "trace": trace.info.trace_id,
    }))


main()
