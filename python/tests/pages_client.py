"""What pages read of what the unmodified MLflow client left: files, models, traces, prompts, webhooks, evaluation data, live events.

Run by `crates/millrace/tests/it/mlflow.rs` with the address of a server.
"""

import io
import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource

URL = sys.argv[1]
mlflow.set_tracking_uri(URL)
CLIENT = MlflowClient()


def ask(path, method="GET", body=None, headers=None):
    """Status, headers and body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    given = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(URL + path, data, given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def read(path, /, **query):
    address = path + ("?" + urllib.parse.urlencode(query) if query else "")
    status, _, body = ask(address)
    assert status == 200, (address, status, body)
    return json.loads(body)


def refused(path, status, code, /, **query):
    address = path + ("?" + urllib.parse.urlencode(query) if query else "")
    told, _, body = ask(address)
    assert told == status and json.loads(body)["code"] == code, (address, told, body)


class Events:
    """Follows the server's events."""

    def __init__(self):
        self.nouns = []
        self.stream = urllib.request.urlopen(URL + "/api/events", timeout=60)
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.stream:
            if line.startswith(b"event:"):
                self.nouns.append(line.split(b":", 1)[1].strip().decode())

    def expect(self, noun):
        until = time.monotonic() + 20
        while noun not in self.nouns:
            assert time.monotonic() < until, (noun, self.nouns)
            time.sleep(0.05)


def files():
    events = Events()
    mlflow.set_experiment("pages")
    with mlflow.start_run() as run:
        mlflow.log_text("# Card\n", "README.md")
        mlflow.log_text("<script>document.title='x'</script>", "report.html")
        mlflow.log_text("x" * 100_000, "long/a b#c.txt".replace("#", "_"))
        mlflow.log_table({"question": ["a", "b"], "score": [1, 0]}, "eval.json")
        for step in (0, 10):
            mlflow.log_image(np.full((8, 8, 3), step, dtype=np.uint8), key="val/dog", step=step)
        pd.DataFrame({"id": range(500), "carrier": ["UA", None] * 250}).to_parquet("rows.parquet")
        mlflow.log_artifact("rows.parquet")
        mlflow.log_metric("auc", 0.7)
        mlflow.log_param("depth", 5)
    events.expect("tracking")
    with mlflow.start_run():
        mlflow.log_params({"depth": 5})
        mlflow.log_metric("auc", 0.9)
    groups = f"/api/experiments/{run.info.experiment_id}/groups"
    gathered = read(groups, by="params.depth", columns="metrics.auc", sort="-metrics.auc")
    (group,) = gathered["groups"]
    assert (group["value"], group["runs"], gathered["total"], gathered["runs"]) == ("5", 2, 1, 2), gathered
    (auc,) = group["metrics"]
    assert auc["count"] == 2 and (auc["min"], auc["max"]) == (0.7, 0.9) and abs(auc["mean"] - 0.8) < 1e-9, auc
    refused(groups, 400, "invalid-query", by="metrics.auc")
    refused(groups, 400, "invalid-query", by="status", sort="metrics.auc")
    run_id = run.info.run_id
    view = read(f"/api/tracked-runs/{run_id}")
    assert view["artifact_uri"] == run.info.artifact_uri, view
    root = view["artifact_uri"].removeprefix("mlflow-artifacts:/")

    listed = {file["path"]: file for file in read("/api/artifacts", path=root)}
    assert set(listed) == {"README.md", "report.html", "long", "eval.json", "images", "rows.parquet"}, listed
    assert listed["long"] == {"path": "long", "is_dir": True, "size_bytes": None}
    assert listed["README.md"]["size_bytes"] == 7
    assert len(read("/api/artifacts", path=f"{root}/images")) == 4
    assert read("/api/artifacts", path=f"{root}/nothing") == []
    refused("/api/artifacts", 400, "invalid-parameter-value", path=f"{root}/../..")

    status, headers, body = ask(f"/api/artifacts/{root}/README.md")
    assert (status, body) == (200, b"# Card\n") and headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["content-security-policy"].startswith("sandbox;"), headers
    assert headers["content-disposition"].startswith("inline"), headers
    _, headers, _ = ask(f"/api/artifacts/{root}/report.html")
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;") and "default-src 'none'" in policy, policy
    assert "allow-same-origin" not in policy and "http" not in policy.replace("https://", ""), policy
    part = ask(f"/api/artifacts/{root}/long/a%20b_c.txt", headers={"range": "bytes=99990-", "accept-encoding": "gzip"})
    assert (part[0], part[2]) == (206, b"x" * 10) and part[1]["content-range"] == "bytes 99990-99999/100000", part
    refused(f"/api/artifacts/{root}/nothing.txt", 404, "resource-does-not-exist")

    table = read("/api/artifact-table", path=f"{root}/rows.parquet", limit=3)
    assert table["rows"] == [[0, "UA"], [1, None], [2, "UA"]] and table["truncated"], table
    refused("/api/artifact-table", 400, "not-a-table", path=f"{root}/README.md")

    status, headers, body = ask(f"/api/artifact-archive?path={root}")
    assert status == 200 and headers["content-disposition"].endswith('.zip"'), headers
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    assert archive.read("long/a b_c.txt") == b"x" * 100_000 and len(archive.namelist()) == 9, archive.namelist()
    refused("/api/artifact-archive", 400, "not-a-folder", path=f"{root}/README.md")
    return run_id


def models(run_id):
    class Doubled(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[float]) -> list[float]:
            return [2 * number for number in model_input]

    with mlflow.start_run(run_id=run_id):
        info = mlflow.pyfunc.log_model(name="doubled", python_model=Doubled(), params={"factor": 2})
        mlflow.log_metric("error", 0.5, model_id=info.model_id)
    (model,) = read(f"/api/tracked-runs/{run_id}/models")
    assert (model["id"], model["status"], model["run_id"]) == (info.model_id, "ready", run_id), model
    assert model["params"]["factor"] == "2" and "error" in {metric["name"] for metric in model["metrics"]}, model
    assert read(f"/api/logged-models/{info.model_id}") == model
    refused("/api/logged-models/m-none", 404, "unknown-logged-model")
    root = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert "MLmodel" in {file["path"] for file in read("/api/artifacts", path=root)}
    inside = read("/api/artifact-model", path=root)
    assert inside["flavors"] == ["python_function"] and inside["signature"]["inputs"][0]["type"] == "double", inside


def traces(run_id):
    events = Events()
    mlflow.set_experiment("pages")

    @mlflow.trace(span_type="CHAT_MODEL")
    def model(messages):
        span = mlflow.get_current_active_span()
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7})
        if messages[0]["content"] == "fail":
            raise ValueError("it does not want to")
        return {"role": "assistant", "content": "yes"}

    @mlflow.trace(name="answer", span_type="AGENT")
    def answer(question):
        mlflow.update_current_trace(
            tags={"release": "1"}, metadata={"mlflow.trace.session": "s-1", "mlflow.trace.user": "ana"}
        )
        return model([{"role": "user", "content": question}])["content"]

    with mlflow.start_run(run_id=run_id):
        answer("is it on?")
    try:
        answer("fail")
    except ValueError:
        pass
    mlflow.flush_trace_async_logging()
    events.expect("trace")
    experiment = mlflow.get_experiment_by_name("pages").experiment_id
    page = read("/api/traces", experiment=experiment)
    failed, good = page["traces"]
    assert (failed["status"], good["status"], page["next"]) == ("ERROR", "OK", None), page
    assert (good["name"], good["session"], good["user"], good["spans"]) == ("answer", "s-1", "ana", 2), good
    assert good["tokens"] == {"input": 5, "output": 2, "total": 7} and good["run_id"] == run_id, good
    assert good["tags"]["release"] == "1", good
    everywhere = read("/api/traces", filter="status = 'ERROR'", sort="-execution_time_ms")
    assert [trace["id"] for trace in everywhere["traces"]] == [failed["id"]], everywhere
    first = read("/api/traces", limit=1)
    second = read("/api/traces", limit=1, after=first["next"])
    assert [first["traces"][0]["id"], second["traces"][0]["id"]] == [failed["id"], good["id"]]
    assert [one["id"] for one in read("/api/traces", filter=f"run_id = '{run_id}'")["traces"]] == [good["id"]]
    session = "metadata.`mlflow.trace.session` = 's-1'"
    assert len(read("/api/traces", filter=session)["traces"]) == 2
    refused("/api/traces", 400, "invalid-query", filter="status ~ 3")
    refused("/api/traces", 400, "invalid-query", sort="nothing")
    refused("/api/traces", 400, "invalid-query", after="x")

    view = read(f"/api/traces/{good['id']}")
    assert view["runs"] == [run_id] and view["metadata"]["mlflow.trace.user"] == "ana", view
    spans = read(f"/api/traces/{good['id']}/spans")
    assert [(span["name"], span["kind"]) for span in spans] == [("answer", "AGENT"), ("model", "CHAT_MODEL")], spans
    assert spans[1]["parent_id"] == spans[0]["id"] and spans[1]["tokens"] == 7 and spans[0]["start_ms"] == 0.0
    span = read(f"/api/traces/{good['id']}/spans/{spans[1]['id']}")
    assert span["inputs"] == {"messages": [{"role": "user", "content": "is it on?"}]}, span
    assert span["outputs"] == {"role": "assistant", "content": "yes"} and span["tokens"]["total"] == 7, span
    bad = read(f"/api/traces/{failed['id']}/spans")[1]
    bad = read(f"/api/traces/{failed['id']}/spans/{bad['id']}")
    assert bad["status"] == "ERROR" and bad["events"][0]["attributes"]["exception.message"] == "it does not want to", bad
    refused(f"/api/traces/{good['id']}/spans/none", 404, "unknown-span")
    refused("/api/traces/tr-none", 404, "unknown-trace")

    # As the page adds, changes and removes one.
    at = f"/api/3.0/mlflow/traces/{good['id']}/assessments"
    given = {
        "assessment_name": "correct",
        "trace_id": good["id"],
        "source": {"source_type": "HUMAN", "source_id": "web"},
        "feedback": {"value": True},
        "rationale": "looked at it",
    }
    status, _, body = ask(at, "POST", {"assessment": given})
    assert status == 200, body
    mlflow.log_expectation(
        trace_id=good["id"], name="expected", value={"on": True}, source=AssessmentSource("HUMAN", "ana")
    )
    correct, expected = read(f"/api/traces/{good['id']}")["trace"]["assessments"]
    assert (correct["value"], correct["rationale"], correct["source"]) == (True, "looked at it", "HUMAN"), correct
    assert (expected["kind"], expected["value"]) == ("expectation", {"on": True}), expected
    change = {"assessment": {"feedback": {"value": "partly"}, "rationale": "again"}, "update_mask": "feedback,rationale"}
    assert ask(f"{at}/{correct['id']}", "PATCH", change)[0] == 200
    changed = read(f"/api/traces/{good['id']}")["trace"]["assessments"][0]
    assert (changed["value"], changed["rationale"]) == ("partly", "again"), changed
    assert ask(f"{at}/{correct['id']}", "DELETE", {})[0] == 200
    assert len(read(f"/api/traces/{good['id']}")["trace"]["assessments"]) == 1


def prompts():
    mlflow.genai.register_prompt("page-prompt", "Answer: {{question}}", commit_message="first", tags={"team": "a"})
    chat = [{"role": "user", "content": "{{question}}"}]
    mlflow.genai.register_prompt("page-prompt", chat)
    mlflow.genai.set_prompt_alias("page-prompt", "production", 1)
    CLIENT.create_registered_model("no-prompt")
    listed = read("/api/prompts", filter="name ILIKE '%PAGE%'")["prompts"]
    assert [prompt["name"] for prompt in listed] == ["page-prompt"], listed
    assert listed[0]["version"] == 2 and listed[0]["aliases"] == {"production": 1.0}, listed
    assert "no-prompt" not in {prompt["name"] for prompt in read("/api/prompts")["prompts"]}
    newest, oldest = read("/api/prompts/page-prompt")["versions"]
    assert (newest["version"], newest["kind"], json.loads(newest["template"])) == (2, "chat", chat), newest
    assert (oldest["template"], oldest["message"], oldest["aliases"]) == ("Answer: {{question}}", "first", ["production"])
    refused("/api/prompts/no-prompt", 404, "unknown-prompt")


def webhooks():
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{receiver.server_port}/hook"
    body = {
        "name": "page-hook",
        "url": address,
        "secret": "s",
        "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
        "status": "ACTIVE",
    }
    status, _, answer = ask("/api/2.0/mlflow/webhooks", "POST", body)
    assert status == 200, answer
    id_ = json.loads(answer)["webhook"]["webhook_id"]
    listed = read("/api/webhooks")
    (hook,) = [one for one in listed["webhooks"] if one["id"] == id_]
    assert hook["signed"] and hook["active"] and hook["events"] == ["registered_model.created"], hook
    assert "secret" not in hook and "model_version.created" in listed["known_events"]
    CLIENT.create_registered_model("told")
    until = time.monotonic() + 20
    while True:
        deliveries = read(f"/api/webhooks/{id_}/deliveries")
        if deliveries and deliveries[0]["state"] == "delivered":
            break
        assert time.monotonic() < until, deliveries
        time.sleep(0.05)
    assert deliveries[0]["event"] == "registered_model.created" and deliveries[0]["body"]["data"]["name"] == "told"
    status, _, answer = ask(f"/api/webhooks/{id_}/deliveries/{deliveries[0]['id']}/retry", "POST", {})
    assert status == 404 and json.loads(answer)["code"] == "unknown-dead-letter", answer


def evaluation(run_id):
    experiment = mlflow.get_experiment_by_name("pages").experiment_id
    dataset = mlflow.genai.create_dataset("page questions", experiment_id=experiment, tags={"team": "a"})
    dataset.merge_records(
        [{"inputs": {"question": f"q{n}"}, "expectations": {"answer": n}} for n in range(5)]
    )
    (listed,) = [one for one in read("/api/evaluation-datasets") if one["name"] == "page questions"]
    assert (listed["records"], listed["experiments"]) == (5, [experiment]), listed
    assert read(f"/api/evaluation-datasets/{listed['id']}") == listed
    first = read(f"/api/evaluation-datasets/{listed['id']}/records", limit=3)
    rest = read(f"/api/evaluation-datasets/{listed['id']}/records", limit=3, after=first["next"])
    records = first["records"] + rest["records"]
    assert rest["next"] is None and {one["inputs"]["question"] for one in records} == {f"q{n}" for n in range(5)}
    assert records[0]["outputs"] is None and "answer" in records[0]["expectations"], records[0]
    refused("/api/evaluation-datasets/d-none", 404, "unknown-evaluation-dataset")
    refused(f"/api/evaluation-datasets/{listed['id']}/records", 400, "invalid-query", after="x")


RUN = files()
models(RUN)
traces(RUN)
prompts()
webhooks()
evaluation(RUN)
