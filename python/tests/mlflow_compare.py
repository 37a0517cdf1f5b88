"""Compares two stores of MLflow by its own client: `python mlflow_compare.py ONE OTHER [without-datasets]`.

Each is a folder, a database or a server. Everything that clients see of one must be in the other with the same ids, times and files.
"""

import logging
import os
import re
import sys
import tempfile

ONE, OTHER = sys.argv[1:3]
os.environ.update(
    MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
from mlflow.artifacts import download_artifacts  # noqa: E402
from mlflow.entities import ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)
LARGEST = sys.float_info.max
# Tags that say where something lies in its store.
PLACES = {"mlflow.artifactLocation", "mlflow.trace.spansLocation"}


def number(value):
    if value != value:
        return "nan"
    return max(-LARGEST, min(LARGEST, value))


def files(folder):
    """Contents by path; signs that have no place in a path here are replaced."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder).replace("#", "\uff03")] = file.read()
    return found


def downloaded(uri):
    with tempfile.TemporaryDirectory() as folder:
        try:
            return files(download_artifacts(artifact_uri=uri, dst_path=folder))
        except (MlflowException, OSError):
            # Nothing was logged.
            return {}


def experiments(client):
    found = {}
    for one in client.search_experiments(view_type=ViewType.ALL):
        times = None if one.experiment_id == "0" else (one.creation_time, one.last_update_time)
        found[one.experiment_id] = (one.name, one.lifecycle_stage, times, dict(one.tags))
    return found


def runs(client, experiment):
    found = {}
    for run in client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=1000):
        info, data = run.info, run.data
        history = {
            key: sorted({(m.timestamp, m.step, number(m.value)) for m in client.get_metric_history(info.run_id, key)}, key=str)
            for key in data.metrics
        }
        datasets = sorted(
            (i.dataset.name, i.dataset.digest, i.dataset.source_type, i.dataset.source, i.dataset.schema, i.dataset.profile,
             tuple(sorted((tag.key, tag.value) for tag in i.tags)))
            for i in run.inputs.dataset_inputs
        )
        found[info.run_id] = {
            "info": (info.run_name, info.status, info.start_time, info.end_time, info.user_id or "", info.lifecycle_stage),
            "latest": {key: number(value) for key, value in data.metrics.items()},
            "params": data.params, "tags": data.tags, "history": history, "datasets": datasets,
            "outputs": sorted((o.model_id, o.step) for o in (run.outputs.model_outputs if run.outputs else [])),
            "files": downloaded(f"runs:/{info.run_id}/"),
        }
    return found


def logged_models(client, experiment):
    found = {}
    for model in client.search_logged_models([experiment]):
        metrics = sorted((m.key, m.value, m.step, m.timestamp, m.run_id, m.dataset_name or "") for m in model.metrics or [])
        found[model.model_id] = {
            "info": (model.name, str(model.status), model.creation_timestamp, model.source_run_id, model.model_type or ""),
            "params": model.params, "tags": model.tags, "metrics": latest(metrics), "files": downloaded(f"models:/{model.model_id}"),
        }
    return found


def latest(metrics):
    """Of each metric, dataset and run the greatest point: a server tells only this one."""
    found = {}
    for key, value, step, time, run, dataset in metrics:
        found[key, dataset, run] = max(found.get((key, dataset, run), (-1, 0, 0.0)), (step, time, value))
    return found


def registry(client):
    found = {}
    models = list(client.search_registered_models(max_results=1000))
    models += client.search_registered_models("tags.`mlflow.prompt.is_prompt` = 'true'", max_results=1000)
    for model in models:
        versions = {}
        is_prompt = "mlflow.prompt.is_prompt" in (model.tags or {})
        extra = " and tags.`mlflow.prompt.is_prompt` = 'true'" if is_prompt else ""
        for v in client.search_model_versions(f"name = '{model.name}'{extra}"):
            whole = client.get_model_version(model.name, v.version)
            content = {} if is_prompt else downloaded(f"models:/{model.name}/{v.version}")
            versions[str(v.version)] = (
                v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description or "", v.run_id or "", dict(v.tags),
                sorted(whole.aliases), content,
            )
        found[model.name] = (
            model.description or "", model.creation_timestamp, model.last_updated_timestamp, dict(model.tags),
            {alias: str(version) for alias, version in (model.aliases or {}).items()}, versions,
        )
    return found


def attached(client, trace):
    ids = {found for span in trace.data.spans for found in re.findall(r"mlflow-attachment://([0-9a-f-]+)", str(span.inputs) + str(span.outputs))}
    store = client._tracing_client._get_artifact_repo_for_trace(trace.info) if ids else None
    return {one: store.download_trace_attachment(one) for one in sorted(ids)}


def traces(client, experiment):
    found = {}
    for trace in client.search_traces(locations=[experiment], max_results=500):
        info = trace.info
        spans = sorted(
            (s.span_id, s.parent_id or "", s.name, s.span_type, s.start_time_ns, s.end_time_ns, str(s.status.status_code),
             str(s.inputs), str(s.outputs), sorted((k, str(v)) for k, v in s.attributes.items()),
             [(e.name, sorted(e.attributes.items())) for e in s.events])
            for s in trace.data.spans
        )
        assessments = sorted(
            (a.assessment_id, a.name, str(a.value), a.rationale or "", a.source.source_type, a.source.source_id, a.create_time_ms,
             sorted((a.metadata or {}).items()), a.valid is not False)
            for a in info.assessments
        )
        found[info.trace_id] = {
            "info": (info.request_time, info.execution_duration, str(info.state), info.request_preview, info.response_preview),
            "tags": {key: value for key, value in info.tags.items() if key not in PLACES},
            "metadata": info.trace_metadata, "spans": spans, "assessments": assessments, "attached": attached(client, trace),
        }
    return found


def datasets(experiment):
    found = {}
    for one in mlflow.genai.datasets.search_datasets(experiment_ids=[experiment]):
        records = sorted(str(sorted(record.items(), key=str)) for record in one.to_df().drop(columns=["source"]).to_dict("records"))
        found[one.dataset_id] = (one.name, one.digest, dict(one.tags), one.created_time, one.last_update_time, records)
    return found


def everything(uri):
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(uri, uri)
    found = {"experiments": experiments(client), "registry": registry(client)}
    for experiment, (_, stage, _, _) in found["experiments"].items():
        found[f"runs of {experiment}"] = runs(client, experiment)
        if stage == "active":
            found[f"logged models of {experiment}"] = logged_models(client, experiment)
            found[f"traces of {experiment}"] = traces(client, experiment)
            if "without-datasets" not in sys.argv:
                found[f"datasets of {experiment}"] = datasets(experiment)
    return found


def differences(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(set(one) | set(other), key=str):
            if key not in one or key not in other:
                yield f"{path}/{key}: only in {'the first' if key in one else 'the second'}"
            else:
                yield from differences(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
        for at, (first, second) in enumerate(zip(one, other)):
            yield from differences(first, second, f"{path}[{at}]")
    elif one != other:
        yield f"{path}: {str(one)[:300]!r} and {str(other)[:300]!r}"


one, other = everything(ONE), everything(OTHER)
assert sum(len(value) for value in one.values()) > 10, "there is nothing to compare"
found = list(differences(one, other))
assert not found, "\n".join(found)
