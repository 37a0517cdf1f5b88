"""Drives the traces of a Millrace server with the unmodified MLflow client: `python mlflow_traces_client.py URL [test …]`.

Not found by `unittest discover`: it needs a server and the packages of `requirements.txt`. `cargo xtask test` runs it.
"""

import gzip
import json
import logging
import os
import sys
import time
import unittest
import urllib.error
import urllib.request
import uuid
import zlib

URL = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1].startswith("http") else os.environ.get("MILLRACE_URL", "")
# A server error must fail the test, not be tried seven times.
os.environ.update(
    MLFLOW_TRACKING_URI=URL, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
    GIT_PYTHON_REFRESH="quiet",
)

import mlflow  # noqa: E402
from mlflow.entities import AssessmentSource, Feedback, SpanType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.genai import datasets  # noqa: E402
from mlflow.tracing.attachments import Attachment  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def post(path, body, method="POST", /, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(URL + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["Content-Type"]


class Case(unittest.TestCase):
    def setUp(self):
        mlflow.set_tracking_uri(URL)
        self.client = MlflowClient(URL)
        self.experiment = self.client.create_experiment(unique("experiment"))
        mlflow.set_experiment(experiment_id=self.experiment)

    def refused(self, code, call, *args, **kwargs):
        with self.assertRaises(MlflowException) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.error_code, code, caught.exception)
        self.assertNotIn("SQL", str(caught.exception))
        return str(caught.exception)

    def trace(self, name="work", inputs=None, outputs=None, tags=None, status=None, kind=SpanType.CHAIN):
        with mlflow.start_span(name, span_type=kind) as span:
            span.set_inputs(inputs)
            span.set_outputs(outputs)
            if status:
                span.set_status(status)
            if tags:
                mlflow.update_current_trace(tags=tags)
        mlflow.flush_trace_async_logging()
        return span.trace_id

    def found(self, filter_string=None, **kwargs):
        traces = self.client.search_traces(locations=[self.experiment], filter_string=filter_string, **kwargs)
        return [trace.info.trace_id for trace in traces]


class Spans(Case):
    def test_nested_functions(self):
        @mlflow.trace(span_type=SpanType.TOOL, attributes={"unit": "metre"})
        def area(width, height):
            return {"area": width * height, "text": "größer\n\"so\""}

        @mlflow.trace
        def plan(rooms):
            return [area(*room) for room in rooms]

        plan([(2, 3), (4, 5)])
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
        self.assertEqual([span.name for span in trace.data.spans], ["plan", "area", "area"])
        root, first, second = trace.data.spans
        self.assertIsNone(root.parent_id)
        self.assertEqual({first.parent_id, second.parent_id}, {root.span_id})
        self.assertEqual((first.inputs, first.span_type), ({"width": 2, "height": 3}, "TOOL"))
        self.assertEqual(first.outputs, {"area": 6, "text": "größer\n\"so\""})
        self.assertEqual((first.attributes["unit"], root.outputs[1]["area"]), ("metre", 20))
        info = trace.info
        self.assertEqual((info.state, info.experiment_id, info.tags["mlflow.traceName"]), ("OK", self.experiment, "plan"))
        self.assertEqual(json.loads(info.request_preview), {"rooms": [[2, 3], [4, 5]]})
        self.assertEqual(info.tags["mlflow.trace.spansLocation"], "TRACKING_STORE")
        self.assertLess(abs(info.request_time - time.time() * 1000), 60_000)
        self.assertIsNotNone(info.execution_duration)
        self.assertEqual(root.trace_id, info.trace_id)

    def test_an_error_ends_a_trace_and_is_kept(self):
        with self.assertRaises(ZeroDivisionError), mlflow.start_span("broken") as span:
            span.add_event(mlflow.entities.SpanEvent("before", attributes={"n": 1}))
            1 / 0
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(span.trace_id)
        (kept,) = trace.data.spans
        self.assertEqual((trace.info.state, kept.status.status_code), ("ERROR", "ERROR"))
        self.assertIn("division by zero", kept.status.description)
        self.assertEqual([event.name for event in kept.events], ["before", "exception"])
        self.assertEqual(kept.events[0].attributes, {"n": 1})
        self.assertIn("ZeroDivisionError", kept.events[1].attributes["exception.stacktrace"])

    def test_many_spans_and_tokens(self):
        with mlflow.start_span("root") as root:
            for number in range(40):
                with mlflow.start_span(f"child {number}", span_type=SpanType.LLM) as child:
                    child.set_inputs("x" * 2_000)
                    child.set_attribute("mlflow.chat.tokenUsage",
                                        {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(root.trace_id)
        self.assertEqual(len(trace.data.spans), 41)
        self.assertEqual(trace.info.token_usage, {"input_tokens": 40, "output_tokens": 80, "total_tokens": 120})

    def test_spans_without_context(self):
        root = mlflow.start_span_no_context("root", inputs={"a": 1}, metadata={"mlflow.trace.user": "u"})
        child = mlflow.start_span_no_context("child", parent_span=root)
        child.end()
        root.end(outputs=None)
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(root.trace_id)
        self.assertEqual([span.name for span in trace.data.spans], ["root", "child"])
        self.assertEqual(trace.info.trace_metadata["mlflow.trace.user"], "u")

    def test_what_is_not_there(self):
        self.assertIsNone(mlflow.get_trace("tr-" + "0" * 32, silent=True))
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.get_trace, "tr-" + "1" * 32)
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.set_trace_tag, "tr-" + "1" * 32, "a", "b")


class Search(Case):
    def setUp(self):
        super().setUp()
        self.chat = self.trace("chat", {"question": "what is \"MLflow\"?"}, "a tool", {"env": "prod"}, kind=SpanType.LLM)
        time.sleep(0.005)
        self.tool = self.trace("tool", {"rate": 0.7}, [1, 2], {"env": "test"}, kind=SpanType.TOOL)
        time.sleep(0.005)
        self.bad = self.trace("bad", None, None, status="ERROR")

    def test_filters(self):
        start = self.client.get_trace(self.tool).info.request_time
        for text, expected in [
            (None, [self.bad, self.tool, self.chat]), ("status = 'ERROR'", [self.bad]), ("trace.status != 'ERROR'", [self.tool, self.chat]),
            ("tags.env = 'prod'", [self.chat]), ("tag.env LIKE '%o%'", [self.chat]), ("tags.env IS NULL", [self.bad]),
            ("tags.env RLIKE '^(prod|test)$'", [self.tool, self.chat]), ("name = 'tool'", [self.tool]),
            ("trace.name ILIKE 'CH%'", [self.chat]), (f"timestamp_ms >= {start}", [self.bad, self.tool]),
            (f"timestamp_ms < {start} AND tags.env = 'prod'", [self.chat]), ("execution_time_ms < 60000", [self.bad, self.tool, self.chat]),
            ("span.name = 'chat' AND span.type = 'LLM'", [self.chat]), ("span.name = 'chat' AND span.type = 'TOOL'", []),
            ("span.status = 'ERROR'", [self.bad]), ("trace.text LIKE '%MLflow%'", [self.chat]), ("trace.text LIKE '%mlflow\"?%'", []),
            ("span.attributes.mlflow.spanInputs LIKE '%0.7%'", [self.tool]),
            (f"request_id IN ('{self.chat}', '{self.bad}')", [self.bad, self.chat]),
        ]:
            self.assertEqual(self.found(text), expected, text)
        self.assertEqual(self.found(order_by=["timestamp_ms ASC"]), [self.chat, self.tool, self.bad])
        self.assertEqual(self.found(order_by=["name DESC"]), [self.tool, self.chat, self.bad])
        frame = mlflow.search_traces(locations=[self.experiment], filter_string="status = 'ERROR'")
        self.assertEqual((list(frame["trace_id"]), list(frame["state"])), ([self.bad], ["ERROR"]))
        self.assertEqual(self.found(include_spans=False, max_results=1), [self.bad])

    def test_pages_join(self):
        for order in (None, ["name ASC"], ["tags.env DESC"]):
            whole, pages, token = self.found(order_by=order), [], None
            while True:
                page = self.client.search_traces(locations=[self.experiment], max_results=1, order_by=order, page_token=token)
                pages += [trace.info.trace_id for trace in page]
                token = page.token
                if not token:
                    break
            self.assertEqual(pages, whole, order)

    def test_mistakes_are_told(self):
        for text in ("status > 'a'", "nothing = 'a'", "tags.a = 1", "status = 'OK' OR status = 'ERROR'", "tags.a RLIKE '('",
                     "span.size = 'a'", "'; DROP TABLE trace"):
            self.refused("INVALID_PARAMETER_VALUE", self.found, text)
        for kwargs in ({"page_token": "garbage"}, {"order_by": ["span.name"]}, {"max_results": 501}):
            self.refused("INVALID_PARAMETER_VALUE", self.found, **kwargs)

    def test_deleting(self):
        self.refused("INVALID_PARAMETER_VALUE", self.client.delete_traces, self.experiment)
        self.assertEqual(self.client.delete_traces(self.experiment, trace_ids=[self.tool, "tr-absent"]), 1)
        self.assertEqual(self.found(), [self.bad, self.chat])
        now = int(time.time() * 1000) + 1000
        self.assertEqual(self.client.delete_traces(self.experiment, max_timestamp_millis=now, max_traces=1), 1)
        self.assertEqual(self.found(), [self.bad])
        self.assertEqual(self.client.delete_traces(self.experiment, max_timestamp_millis=now), 1)
        self.assertEqual(self.found(), [])

    def test_tags(self):
        self.client.set_trace_tag(self.chat, "k", "v" * 9_000)
        self.client.set_trace_tag(self.chat, "mlflow.traceName", "renamed")
        tags = self.client.get_trace(self.chat).info.tags
        self.assertEqual((len(tags["k"]), tags["mlflow.traceName"], tags["env"]), (8_000, "renamed", "prod"))
        self.client.delete_trace_tag(self.chat, "k")
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.delete_trace_tag, self.chat, "k")
        own = json.dumps({"key": "mlflow.trace.spansLocation", "value": "x"}).encode()
        for method in ("PATCH", "DELETE"):
            path = f"/api/3.0/mlflow/traces/{self.chat}/tags"
            self.assertEqual(post(path, own, method, Content_Type="application/json")[0], 400)

    def test_runs(self):
        with mlflow.start_run() as run:
            inside = self.trace("inside")
        self.assertEqual(self.client.get_trace(inside).info.trace_metadata["mlflow.sourceRun"], run.info.run_id)
        self.client.link_traces_to_run([self.chat], run.info.run_id)
        self.assertEqual(self.found(run_id=run.info.run_id), [inside, self.chat])
        self.assertEqual(self.found(f"attribute.run_id = '{run.info.run_id}' AND tags.env = 'prod'"), [self.chat])
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.link_traces_to_run, [self.chat], "0" * 32)


class Assessments(Case):
    def test_feedback_and_expectations(self):
        trace = self.trace()
        human = AssessmentSource("HUMAN", "ann")
        good = mlflow.log_feedback(trace_id=trace, name="good", value=True, source=human, rationale="right", metadata={"a": "b"})
        self.assertTrue(good.assessment_id.startswith("a-"))
        mlflow.log_feedback(trace_id=trace, name="score", value=0.8)
        mlflow.log_feedback(trace_id=trace, name="parts", value={"x": [1, "y"]})
        mlflow.log_feedback(trace_id=trace, name="broken", error=ValueError("no answer"))
        mlflow.log_expectation(trace_id=trace, name="answer", value={"a": [1, None]})
        mlflow.log_expectation(trace_id=trace, name="word", value="yes", source=human)
        told = {one.name: one for one in mlflow.get_trace(trace).info.assessments}
        self.assertEqual([told[name].value for name in ("good", "score", "parts", "answer", "word")],
                         [True, 0.8, {"x": [1, "y"]}, {"a": [1, None]}, "yes"])
        self.assertEqual((told["good"].rationale, told["good"].metadata, told["good"].source.source_id), ("right", {"a": "b"}, "ann"))
        self.assertEqual((told["broken"].error.error_code, told["broken"].error.error_message), ("ValueError", "no answer"))
        for text, expected in [
            ("feedback.score > 0.5", [trace]), ("feedback.score > 0.8", []), ("feedback.good = 'true'", [trace]),
            ("expectation.word = 'yes'", [trace]), ("expectation.word != 'yes'", []), ("feedback.absent IS NULL", [trace]),
        ]:
            self.assertEqual(self.found(text), expected, text)

    def test_changed_overridden_deleted(self):
        trace = self.trace()
        first = mlflow.log_feedback(trace_id=trace, name="good", value="no", metadata={"a": "1"})
        changed = mlflow.update_assessment(trace, first.assessment_id, Feedback(name="better", value="yes", metadata={"b": "2"}))
        self.assertEqual((changed.name, changed.value, changed.metadata), ("better", "yes", {"a": "1", "b": "2"}))
        second = mlflow.override_feedback(trace_id=trace, assessment_id=first.assessment_id, value="maybe")
        self.assertFalse(mlflow.get_assessment(trace, first.assessment_id).valid)
        mlflow.delete_assessment(trace, second.assessment_id)
        self.assertTrue(mlflow.get_assessment(trace, first.assessment_id).valid)
        mlflow.delete_assessment(trace, first.assessment_id)
        self.assertEqual(mlflow.get_trace(trace).info.assessments, [])
        self.refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_assessment, trace, first.assessment_id)
        self.refused("RESOURCE_DOES_NOT_EXIST", mlflow.log_feedback, trace_id="tr-" + "1" * 32, name="a", value=1)


class OpenTelemetry(Case):
    def document(self, trace, **fields):
        now = time.time_ns()
        root = {"traceId": trace, "spanId": "a" * 16, "name": "GET /", "kind": 2, "startTimeUnixNano": str(now),
                "endTimeUnixNano": str(now + 5_000_000), "status": {"code": 1},
                "attributes": [{"key": "input.value", "value": {"stringValue": "in"}},
                               {"key": "n", "value": {"intValue": "7"}}], **fields}
        child = {"traceId": trace, "spanId": "b" * 16, "parentSpanId": "a" * 16, "name": "query", "startTimeUnixNano": now + 1,
                 "endTimeUnixNano": now + 2, "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                                            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 5}}]}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": [child, root]}]}]}

    def check(self, trace):
        trace = mlflow.get_trace(f"tr-{trace}")
        root, child = trace.data.spans
        self.assertEqual((root.name, root.inputs, root.get_attribute("n"), child.name), ("GET /", "in", 7, "query"))
        self.assertEqual((child.span_type, child.parent_id), ("CHAT_MODEL", root.span_id))
        info = trace.info
        self.assertEqual((info.state, info.execution_duration, info.tags["service.name"]), ("OK", 5, "shop"))
        self.assertNotIn("mlflow.traceName", info.tags)
        self.assertEqual(info.token_usage, {"input_tokens": 5, "output_tokens": 0, "total_tokens": 0})

    def test_json(self):
        trace = uuid.uuid4().hex
        body = json.dumps(self.document(trace)).encode()
        for content, packing in ((body, None), (gzip.compress(body), "gzip"), (zlib.compress(body), "deflate")):
            headers = {"Content_Encoding": packing} if packing else {}
            answer = post("/v1/traces", content, Content_Type="application/json", x_mlflow_experiment_id=self.experiment, **headers)
            self.assertEqual(answer, (200, b"{}", "application/json"))
        self.check(trace)
        self.assertEqual(self.found("span.type = 'CHAT_MODEL'"), [f"tr-{trace}"])

    def test_protobuf(self):
        trace = uuid.uuid4().hex
        request = ExportTraceServiceRequest()
        for of_resource in self.document(trace)["resourceSpans"]:
            resource_spans = request.resource_spans.add()
            resource_spans.resource.attributes.add(key="service.name").value.string_value = "shop"
            for told in of_resource["scopeSpans"][0]["spans"]:
                span = resource_spans.scope_spans.add().spans.add(
                    trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(told["spanId"]), name=told["name"],
                    parent_span_id=bytes.fromhex(told.get("parentSpanId", "")),
                    start_time_unix_nano=int(told["startTimeUnixNano"]), end_time_unix_nano=int(told["endTimeUnixNano"]))
                for pair in told["attributes"]:
                    value = span.attributes.add(key=pair["key"]).value
                    if "intValue" in pair["value"]:
                        value.int_value = int(pair["value"]["intValue"])
                    else:
                        value.string_value = pair["value"]["stringValue"]
        with mlflow.start_run() as run:
            answer = post("/v1/traces", request.SerializeToString(), Content_Type="application/x-protobuf",
                          x_mlflow_experiment_id=self.experiment, x_mlflow_run_id=run.info.run_id)
        self.assertEqual(answer, (200, b"", "application/x-protobuf"))
        self.check(trace)
        self.assertEqual(self.found(run_id=run.info.run_id), [f"tr-{trace}"])

    def test_mistakes_are_told(self):
        body = json.dumps(self.document(uuid.uuid4().hex)).encode()
        good = {"Content_Type": "application/json", "x_mlflow_experiment_id": self.experiment}
        self.assertEqual(post("/v1/traces", body, **{**good, "Content_Type": "text/plain"})[0], 400)
        self.assertEqual(post("/v1/traces", body, **{**good, "Content_Encoding": "br"})[0], 400)
        self.assertEqual(post("/v1/traces", body, **{**good, "Content_Encoding": "gzip"})[0], 400)
        self.assertEqual(post("/v1/traces", body, **{**good, "Content_Type": "application/x-protobuf"})[0], 400)
        self.assertEqual(post("/v1/traces", body, Content_Type="application/json")[0], 422)
        self.assertEqual(post("/v1/traces", b"{}", **good)[0], 400)
        empty = json.dumps(self.document("")).encode()
        self.assertEqual(post("/v1/traces", empty, **good)[0], 422)
        status, answer, _ = post("/v1/traces", body, **{**good, "x_mlflow_experiment_id": "987654321"})
        self.assertEqual((status, json.loads(answer)["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))
        self.client.delete_experiment(self.experiment)
        self.assertEqual(post("/v1/traces", body, **good)[0], 400)


class EvaluationData(Case):
    def ids(self, **kwargs):
        return [found.dataset_id for found in datasets.search_datasets(experiment_ids=[self.experiment], **kwargs)]

    def test_records(self):
        made = datasets.create_dataset(name=unique("qa"), experiment_id=self.experiment, tags={"team": "search"})
        made.merge_records([
            {"inputs": {"q": "a", "n": 1}, "expectations": {"answer": "x"}, "tags": {"t": "1"}},
            {"inputs": {"q": "b"}, "outputs": {"text": "ü"}, "source": {"source_type": "HUMAN", "source_data": {"who": "ann"}}},
        ])
        made.merge_records([{"inputs": {"n": 1, "q": "a"}, "expectations": {"more": 2.5}}, {"inputs": {"q": "c"}}])
        found = self.client.get_dataset(made.dataset_id)
        records = {record.inputs["q"]: record for record in found.records}
        self.assertEqual(sorted(records), ["a", "b", "c"])
        self.assertEqual(records["a"].expectations, {"answer": "x", "more": 2.5})
        self.assertEqual((records["b"].outputs, records["b"].source.source_type), ({"text": "ü"}, "HUMAN"))
        self.assertEqual(json.loads(found.profile), {"num_records": 3})
        self.assertEqual(json.loads(found.schema)["inputs"], {"q": "string", "n": "integer"})
        self.assertNotEqual(found.digest, made.digest)
        self.assertEqual(found.delete_records([records["a"].dataset_record_id, "dr-absent"]), 1)
        self.assertEqual(len(self.client.get_dataset(made.dataset_id).records), 2)
        frame = found.to_df()
        self.assertEqual(len(frame), 2)

    def test_of_traces(self):
        trace = self.trace("asked", {"q": "why"}, "so")
        mlflow.log_expectation(trace_id=trace, name="answer", value="because")
        made = datasets.create_dataset(name=unique("qa"), experiment_id=self.experiment)
        made.merge_records(mlflow.search_traces(locations=[self.experiment], return_type="list"))
        (record,) = self.client.get_dataset(made.dataset_id).records
        self.assertEqual((record.inputs, record.expectations), ({"q": "why"}, {"answer": "because"}))
        self.assertEqual((record.source.source_type, record.source_id), ("TRACE", trace))

    def test_found_tagged_moved_deleted(self):
        made = [datasets.create_dataset(name=unique(f"set{i}"), experiment_id=self.experiment, tags={"i": str(i)}).dataset_id
                for i in range(5)]
        self.assertEqual(self.ids(), made[::-1])
        self.assertEqual(self.ids(order_by=["name ASC"]), made)
        self.assertEqual(self.ids(filter_string="name LIKE 'set%' AND tags.i = '3'"), [made[3]])
        page = self.client.search_datasets([self.experiment], max_results=2)
        rest = self.client.search_datasets([self.experiment], max_results=9, page_token=page.token)
        self.assertEqual([one.dataset_id for one in [*page, *rest]], made[::-1])
        datasets.set_dataset_tags(dataset_id=made[0], tags={"i": "x", "k": "v"})
        datasets.delete_dataset_tag(dataset_id=made[0], key="k")
        self.assertEqual(datasets.get_dataset(dataset_id=made[0]).tags["i"], "x")
        self.assertNotIn("k", datasets.get_dataset(dataset_id=made[0]).tags)
        other = self.client.create_experiment(unique("other"))
        datasets.add_dataset_to_experiments(dataset_id=made[0], experiment_ids=[other])
        self.assertEqual(sorted(datasets.get_dataset(dataset_id=made[0]).experiment_ids), sorted([self.experiment, other]))
        datasets.remove_dataset_from_experiments(dataset_id=made[0], experiment_ids=[self.experiment])
        self.assertEqual(self.ids(), made[:0:-1])
        datasets.delete_dataset(dataset_id=made[1])
        self.assertEqual(self.ids(), made[:1:-1])
        self.refused("RESOURCE_DOES_NOT_EXIST", datasets.get_dataset, dataset_id=made[1])
        self.refused("RESOURCE_DOES_NOT_EXIST", self.client.create_dataset, unique("x"), "987654321")
        for text in ("nothing = 'a'", "name > 'a'", "created_time = 'a'"):
            self.refused("INVALID_PARAMETER_VALUE", self.ids, filter_string=text)
        for records in ("x", "{}", "[1]", '[{"inputs": 1}]', '[{"source": {"source_type": "x"}}]', '[{"tags": []}]'):
            body = json.dumps({"records": records}).encode()
            path = f"/api/3.0/mlflow/datasets/{made[0]}/records"
            self.assertEqual(post(path, body, Content_Type="application/json")[0], 400, records)


class Attachments(Case):
    def test_attached_files_are_read_back(self):
        content = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
        with mlflow.start_span("look") as span:
            span.set_inputs({"picture": Attachment(content_type="image/png", content_bytes=content)})
        mlflow.flush_trace_async_logging()
        trace = span.trace_id
        reference = Attachment.parse_ref(mlflow.get_trace(trace).data.spans[0].inputs["picture"])
        path = f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={trace}&path="
        for _ in range(50):
            status, body, _ = post(path + reference["attachment_id"], None, "GET")
            if status == 200:
                break
            time.sleep(0.1)
        self.assertEqual((status, body), (200, content))
        self.assertEqual(post(path + str(uuid.uuid4()), None, "GET")[0], 404)
        for bad in ("../../../etc/passwd", reference["attachment_id"].upper(), "x"):
            self.assertEqual(post(path + bad, None, "GET")[0], 400, bad)
        # Nothing can be attached to a trace that is not there.
        absent = f"/api/2.0/mlflow-artifacts/artifacts/traces/tr-{uuid.uuid4().hex}/artifacts/attachments/{uuid.uuid4()}"
        self.assertEqual(post(absent, b"x", "PUT")[0], 404)
        self.client.delete_traces(self.experiment, trace_ids=[trace])
        self.assertEqual(post(path + reference["attachment_id"], None, "GET")[0], 404)


class Server(Case):
    def test_mistakes_of_other_clients(self):
        traces = "/api/3.0/mlflow/traces"
        json_body = {"Content_Type": "application/json"}
        info = {"trace_id": "tr-" + uuid.uuid4().hex, "request_time": "2026-03-01T06:00:00.25Z", "execution_duration": "1.5s", "state": "OK",
                "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.experiment}},
                "tags": {"camelCase": "stays", "mlflow.traceName": "n"}}
        for change in ({"trace_id": ""}, {"trace_id": "../x"}, {"state": "GREAT"}, {"request_time": "now"}, {"execution_duration": "-1s"},
                       {"execution_duration": "1e300s"}, {"tags": []}, {"tags": {"a": 1}}, {"tags": {"a": "b\u0000"}}, {"trace_location": {}},
                       {"assessments": [{}]}, {"assessments": [{"feedback": {}, "expectation": {}}]}, {"trace_metadata": {"": "x"}}):
            body = json.dumps({"trace": {"trace_info": {**info, **change}}}).encode()
            self.assertEqual(post(traces, body, **json_body)[0], 400, change)
        status, answer, _ = post(traces, json.dumps({"trace": {"traceInfo": info}}).encode(), **json_body)
        told = json.loads(answer)["trace"]["trace_info"]
        self.assertEqual((status, told["request_time"], told["execution_duration"]), (200, "2026-03-01T06:00:00.25Z", "1.500s"))
        self.assertEqual((told["tags"]["camelCase"], told["tags"]["mlflow.traceName"]), ("stays", "n"))
        for path, body in ((f"{traces}/search", {}), (f"{traces}/search", {"locations": 1}), (f"{traces}/batchGetInfos", {}),
                           (f"{traces}/delete-traces", {"experiment_id": self.experiment, "max_traces": 1}),
                           ("/api/2.0/mlflow/traces/link-to-run", {"trace_ids": ["a"] * 101, "run_id": "x"})):
            expected = 200 if body == {} and path.endswith("search") else 400
            self.assertEqual(post(path, json.dumps(body).encode(), **json_body)[0], expected, (path, body))
        here = {"locations": [{"mlflow_experiment": {"experiment_id": self.experiment}}]}
        for change in ({"locations": here["locations"] * 5_001}, {"order_by": [f"tags.t{i}" for i in range(11)]},
                       {"filter": "name IN (" + ", ".join(["'a'"] * 40_000) + ")"}, {"filter": "timestamp_ms > 1e999"},
                       {"filter": f"name LIKE '{'%a' * 30_000}'"}, {"filter": "name = 'a\u0000'"}):
            self.assertEqual(post(f"{traces}/search", json.dumps({**here, **change}).encode(), **json_body)[0], 400, change)
        for fine in ({"order_by": [f"tags.t{i}" for i in range(10)]}, {"filter": " AND ".join(["tags.a LIKE '%a%b%c%d%'"] * 50)},
                     {"filter": "timestamp_ms > -1.5e300 AND execution_time_ms != 0.5"}, {"filter": "name = '\u00fc\U0001f600' AND tags.`'` IS NULL"}):
            self.assertEqual(post(f"{traces}/search", json.dumps({**here, **fine}).encode(), **json_body)[0], 200, fine)
        self.assertEqual(post(f"{traces}/tr-%00/tags", b'{"key": "a"}', "PATCH", **json_body)[0], 400)
        ajax = f"{URL}/ajax-api/2.0/mlflow/get-trace-artifact?request_id={self.trace('a', {'q': 1})}"
        with urllib.request.urlopen(ajax) as answer:
            (span,) = json.load(answer)["spans"]
        self.assertEqual(mlflow.entities.Span.from_dict(span).inputs, {"q": 1})


if __name__ == "__main__":
    unittest.main(verbosity=2)
