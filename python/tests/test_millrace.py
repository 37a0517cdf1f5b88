"""Run with `python3 -m unittest discover python/tests` (the folder `python` on PYTHONPATH)."""

import http.server
import json
import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

import millrace


class Server(http.server.BaseHTTPRequestHandler):
    requests = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append((self.path, body))
        refused = body.get("params") == [{"key": "depth", "value": "changed"}]
        answer = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "depth is 3 already"}' if refused else b"{}"
        self.send_response(400 if refused else 200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class InputsAndOutputs(unittest.TestCase):
    def test_inputs_are_named_in_lower_case(self):
        with mock.patch.dict(os.environ, {"MILLRACE_INPUT_ROWS": "/tmp/rows"}, clear=True):
            self.assertEqual(millrace.inputs(), {"rows": "/tmp/rows"})

    def test_an_undeclared_output_names_the_declared_ones(self):
        with mock.patch.dict(os.environ, {"MILLRACE_OUTPUT_MODEL": "/tmp/model"}, clear=True):
            self.assertEqual(millrace.output("model"), "/tmp/model")
            with self.assertRaisesRegex(millrace.MillraceError, "no output `modle`; it has: model"):
                millrace.output("modle")

    def test_values_are_appended(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "values")
            with mock.patch.dict(os.environ, {"MILLRACE_OUTPUT": path}, clear=True):
                millrace.output_value("depth", 7)
                millrace.output_value("name", "a=b")
                with self.assertRaises(millrace.MillraceError):
                    millrace.output_value("text", "two\nlines")
            with open(path) as file:
                self.assertEqual(file.read(), "depth=7\nname=a=b\n")


class Logging(unittest.TestCase):
    def setUp(self):
        Server.requests = []
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_port}"
        patch = mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": url, "MLFLOW_RUN_ID": "r1", "no_proxy": "*"})
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def test_metrics_arrive_in_batches_of_a_thousand(self):
        millrace.log_metrics({f"m{i}": i for i in range(1001)}, step=3)
        sizes = [len(body["metrics"]) for _, body in Server.requests]
        self.assertEqual(sizes, [1000, 1])
        path, body = Server.requests[0]
        self.assertEqual(path, "/api/2.0/mlflow/runs/log-batch")
        self.assertEqual((body["run_id"], body["metrics"][2]["value"], body["metrics"][2]["step"]), ("r1", 2.0, 3))

    def test_a_server_that_died_within_a_request_is_looked_for_where_its_successor_listens(self):
        dying = socket.create_server(("127.0.0.1", 0))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = os.path.join(folder.name, "server.url")
        successor = os.environ["MLFLOW_TRACKING_URI"]

        def write(url):
            with open(file, "w") as target:
                target.write(url)

        def die():
            client, _ = dying.accept()
            client.recv(10)
            write(successor)
            client.close()
            dying.close()

        old = f"http://127.0.0.1:{dying.getsockname()[1]}"
        write(old)
        threading.Thread(target=die, daemon=True).start()
        with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": old, "MILLRACE_SERVER_FILE": file}):
            millrace.log_metric("auc", 0.9)
        self.assertEqual(len(Server.requests), 1)

    def test_a_refusal_is_told_in_the_servers_words(self):
        with self.assertRaisesRegex(millrace.MillraceError, "depth is 3 already"):
            millrace.log_param("depth", "changed")


if __name__ == "__main__":
    unittest.main()
