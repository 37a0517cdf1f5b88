"""Unmodified clients against an endpoint: `python serving_client.py URL NAME`, the endpoint taking carrier, distance and wind."""

import json
import sys
import unittest
import urllib.error
import urllib.request

import numpy
import tritonclient.http as triton

URL, NAME = sys.argv[1], sys.argv[2]
LATE = {"carrier": "UA", "distance": 900.0, "wind": 35.0}
EARLY = {"carrier": "UA", "distance": 100.0, "wind": 2.0}


def post(path, body, headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


class Rows(unittest.TestCase):
    def test_rows_are_scored_in_order(self):
        status, answer = post(f"/endpoints/{NAME}/score", {"rows": [LATE, EARLY]})
        self.assertEqual(status, 200, answer)
        self.assertEqual([row["prediction"] for row in answer["predictions"]], ["true", "false"])
        for row in answer["predictions"]:
            self.assertAlmostEqual(sum(row["probabilities"].values()), 1.0, places=5)

    def test_a_missing_column_is_named(self):
        status, answer = post(f"/endpoints/{NAME}/score", {"rows": [{"carrier": "UA", "distance": 1.0}]})
        self.assertEqual((status, answer["code"]), (400, "missing-column"), answer)
        self.assertIn("wind", answer["message"])

    def test_wrong_bodies_are_refused(self):
        for body in (b"", b"{", b"[]", b'{"rows": 3}', b'{"rows": [{"carrier": []}]}', b"\xff\xfe"):
            status, answer = post(f"/endpoints/{NAME}/score", body)
            self.assertEqual(status, 400, (body, answer))
            self.assertTrue(answer["message"])

    def test_an_unknown_endpoint_has_a_hint(self):
        status, answer = post(f"/endpoints/{NAME}s/score", {"rows": [LATE]})
        self.assertEqual((status, answer["code"]), (404, "unknown-endpoint"), answer)
        self.assertIn(NAME, json.dumps(answer["hints"]))

    def test_a_body_beyond_the_limit_is_refused(self):
        request = urllib.request.Request(f"{URL}/endpoints/{NAME}/score", b"[" * (17 << 20), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                self.fail(answer.status)
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 413)
        except urllib.error.URLError as error:
            # The server may hang up on what it does not want to read.
            self.assertIsInstance(error.reason, OSError)

    def test_a_foreign_site_may_not_post(self):
        status, _ = post(f"/endpoints/{NAME}/score", {"rows": [LATE]}, {"Origin": "http://evil.example"})
        self.assertEqual(status, 403)


class Invocations(unittest.TestCase):
    def test_every_shape_of_mlflow(self):
        columns, row = list(LATE), list(LATE.values())
        bodies = [
            {"dataframe_split": {"columns": columns, "data": [row]}},
            {"dataframe_records": [LATE]},
            {"inputs": {name: [value] for name, value in LATE.items()}},
        ]
        for body in bodies:
            status, answer = post(f"/endpoints/{NAME}/invocations", body)
            self.assertEqual(status, 200, (body, answer))
            self.assertEqual(len(answer["predictions"]), 1)


class OpenInference(unittest.TestCase):
    def setUp(self):
        self.client = triton.InferenceServerClient(URL.removeprefix("http://"))

    def tearDown(self):
        self.client.close()

    def test_tritonclient_scores(self):
        self.assertTrue(self.client.is_server_live() and self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(NAME))
        metadata = self.client.get_model_metadata(NAME)
        self.assertEqual([column["name"] for column in metadata["inputs"]], list(LATE))
        inputs = []
        for column in metadata["inputs"]:
            name, text = column["name"], column["datatype"] == "BYTES"
            values = numpy.array([[LATE[name]], [EARLY[name]]], dtype=object if text else numpy.float64)
            tensor = triton.InferInput(name, [2, 1], column["datatype"])
            tensor.set_data_from_numpy(values, binary_data=False)
            inputs.append(tensor)
        wanted = [triton.InferRequestedOutput(column["name"], binary_data=False) for column in metadata["outputs"]]
        answer = self.client.infer(NAME, inputs, outputs=wanted)
        predictions = answer.as_numpy("prediction").ravel().tolist()
        self.assertEqual([str(value) for value in predictions], ["true", "false"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
