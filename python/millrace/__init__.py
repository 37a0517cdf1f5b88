"""What a step's script may want: its inputs, the paths of its outputs, and logging into its tracked run.

Standard library only until rows are read, so that `import millrace` costs next to nothing; the MLflow client works as well, with the same run.

    import millrace

    rows = pandas.read_parquet(millrace.inputs()["rows"])
    other = millrace.data("flights@champion").to_pandas(where="delay > 15")
    millrace.log_metric("auc", 0.91)
    model.save(millrace.output("model"))
    millrace.output_value("best_depth", 7)
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request

from millrace._data import data
from millrace._model import save_model

__all__ = [
    "inputs", "output", "output_value", "log_metric", "log_metrics", "log_param", "log_params", "set_tag", "save_model",
    "data", "MillraceError",
]

_INPUT = "MILLRACE_INPUT_"
_OUTPUT = "MILLRACE_OUTPUT_"
#: Limits of one `log-batch` request in MLflow's REST API.
_MAX_METRICS = 1000
_MAX_PARAMS = 100
#: Seconds in which a server that was stopped may come back.
_PATIENCE = 30


class MillraceError(RuntimeError):
    """The script asked for something that its step does not have, or the server refused a value."""


def inputs():
    """The step's inputs by name: paths for tables, files and folders, text for plain values."""
    return {name[len(_INPUT):].lower(): value for name, value in os.environ.items() if name.startswith(_INPUT)}


def output(name):
    """The path to which the output `name` is to be written; the step must declare it."""
    path = os.environ.get(_OUTPUT + name.upper())
    if path is None:
        declared = sorted(key[len(_OUTPUT):].lower() for key in os.environ if key.startswith(_OUTPUT))
        raise MillraceError(f"the step declares no output `{name}`; it has: {', '.join(declared) or 'none'}")
    return path


def output_value(name, value):
    """Hands a plain value on as `steps.<id>.<name>`."""
    text = value if isinstance(value, str) else json.dumps(value)
    if "\n" in text or "\r" in text:
        raise MillraceError(f"the value of `{name}` has more than one line; write it to a file output instead")
    path = os.environ.get("MILLRACE_OUTPUT")
    if path is None:
        raise MillraceError("there is no `MILLRACE_OUTPUT`: the script does not run as a step")
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{name}={text}\n")


def log_metric(key, value, step=0):
    """Logs one number into the step's tracked run."""
    log_metrics({key: value}, step)


def log_metrics(metrics, step=0):
    """Logs numbers into the step's tracked run."""
    now = int(time.time() * 1000)
    rows = [{"key": key, "value": float(value), "timestamp": now, "step": int(step)} for key, value in metrics.items()]
    for start in range(0, len(rows), _MAX_METRICS):
        _log_batch(metrics=rows[start:start + _MAX_METRICS])


def log_param(key, value):
    """Logs one parameter into the step's tracked run."""
    log_params({key: value})


def log_params(params):
    """Logs parameters into the step's tracked run."""
    rows = [{"key": key, "value": str(value)} for key, value in params.items()]
    for start in range(0, len(rows), _MAX_PARAMS):
        _log_batch(params=rows[start:start + _MAX_PARAMS])


def set_tag(key, value):
    """Sets a tag of the step's tracked run."""
    _log_batch(tags=[{"key": key, "value": str(value)}])


def _log_batch(**rows):
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if not _server() or not run_id:
        raise MillraceError("there is no tracked run to log into: `MLFLOW_TRACKING_URI` and `MLFLOW_RUN_ID` are not set")
    headers = {"Content-Type": "application/json"}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"run_id": run_id, **rows}).encode()
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            _post(_server().rstrip("/") + "/api/2.0/mlflow/runs/log-batch", body, headers)
            return
        # `URLError` is an `OSError`; a server that dies between request and answer shows as one of the others.
        except (OSError, http.client.HTTPException) as error:
            # A server that is started anew finds the step again: what it logs meanwhile must not be lost.
            if time.monotonic() > patience:
                raise MillraceError(f"cannot reach the server to log: {getattr(error, 'reason', error)}") from None
            time.sleep(0.5)


def _server():
    """Where the server is now: one that was started anew while the step went on may listen elsewhere, and writes so into this file."""
    try:
        with open(os.environ["MILLRACE_SERVER_FILE"], encoding="utf-8") as file:
            return file.read().strip()
    except (KeyError, OSError):
        return os.environ.get("MLFLOW_TRACKING_URI")


def _post(url, body, headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        try:
            text = json.loads(text).get("message", text)
        except ValueError:
            pass
        raise MillraceError(f"the server refused what was logged: {text}") from None
