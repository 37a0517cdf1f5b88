"""The unmodified MLflow client against a server of ours: files in parts, ranges, and addresses that need no token."""

import hashlib
import os
import pathlib
import sys
import urllib.error
import urllib.request

SERVER, PLACE = sys.argv[1:3]
os.environ.update(
    MLFLOW_TRACKING_URI=SERVER,
    MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(6 << 20),
    MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE=str(5 << 20),
    MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE=str(4 << 20),
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
)

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow.artifacts import download_artifacts  # noqa: E402

API = f"{SERVER}/api/2.0"


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def ask(method, path, **arguments):
    answer = requests.request(method, f"{API}/{path}", timeout=60, **arguments)
    assert answer.ok, (path, answer.status_code, answer.text)
    return answer.json()


def refused(method, path, status, **arguments):
    answer = requests.request(method, f"{API}/{path}", timeout=60, **arguments)
    assert answer.status_code == status, (path, answer.status_code, answer.text)
    return answer.json()


info = requests.get(f"{SERVER}/api/3.0/mlflow/server-info", timeout=60).json()
assert info["multipart_uploads_enabled"] is True
assert info["multipart_downloads_enabled"] is (PLACE == "bucket"), info

large = pathlib.Path("large file ü.bin")
large.write_bytes(os.urandom(17 << 20) + b"the end")
with mlflow.start_run() as run:
    run_id = run.info.run_id
    mlflow.log_artifact(str(large), "deep/er")
    mlflow.log_text("small", "small.txt")
root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/").strip("/")

files = mlflow.MlflowClient().list_artifacts(run_id, "deep/er")
assert [(file.path, file.file_size) for file in files] == [(f"deep/er/{large.name}", large.stat().st_size)], files
for forced in ["false", "true"]:
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = forced
    there = download_artifacts(run_id=run_id, artifact_path=f"deep/er/{large.name}", dst_path=f"out-{forced}")
    assert digest(there) == digest(large), forced
    there = download_artifacts(run_id=run_id, artifact_path="small.txt", dst_path=f"out-{forced}")
    assert pathlib.Path(there).read_text() == "small"

# A client that was stopped asks what has come, and goes on.
folder = f"mlflow-artifacts/mpu/{{}}/{root}/again"
begun = ask("POST", folder.format("create"), json={"path": "/home/me/again.bin", "num_parts": 3})
upload, credentials = begun["upload_id"], begun["credentials"]
assert [one["part_number"] for one in credentials] == [1, 2, 3]
content = [os.urandom(5 << 20), os.urandom(5 << 20), b"end"]
for number in [2, 0]:
    answer = requests.put(credentials[number]["url"], data=content[number], timeout=60)
    assert answer.ok and answer.headers["ETag"], answer.text
came = ask("GET", f"mlflow-artifacts/mpu/parts/{upload}")["parts"]
assert [(part["part_number"], part["size"]) for part in came] == [(1, 5 << 20), (3, 3)], came
named = [{"part_number": number, "etag": ""} for number in [1, 2, 3]]
body = {"path": "again.bin", "upload_id": upload, "parts": named}
error = refused("POST", folder.format("complete"), 400, json=body)
assert error["message"] == "part 2 did not come", error
requests.put(credentials[1]["url"], data=content[1], timeout=60).raise_for_status()
for _ in range(2):
    ask("POST", folder.format("complete"), json=body)
answer = requests.get(f"{API}/mlflow-artifacts/artifacts/{root}/again/again.bin", timeout=60)
assert answer.content == b"".join(content)
tail = requests.get(answer.url, headers={"Range": "bytes=-3"}, timeout=60)
assert (tail.status_code, tail.content) == (206, b"end"), tail.headers
assert tail.headers["Content-Range"] == f"bytes {len(answer.content) - 3}-{len(answer.content) - 1}/{len(answer.content)}"
assert requests.get(answer.url, headers={"Range": "bytes=99999999-"}, timeout=60).status_code == 416

begun = ask("POST", folder.format("create"), json={"path": "never.bin", "num_parts": 1})
ask("POST", folder.format("abort"), json={"path": "never.bin", "upload_id": begun["upload_id"]})
assert requests.put(begun["credentials"][0]["url"], data=b"x", timeout=60).status_code == 404
refused("POST", folder.format("create"), 400, json={"path": "a.bin", "num_parts": 10_001})
refused("POST", "mlflow-artifacts/mpu/create/..%2f..", 400, json={"path": "a.bin", "num_parts": 1})
refused("POST", "mlflow-artifacts/mpu/create/.registry/late/abc", 400, json={"path": "MLmodel", "num_parts": 1})

# Addresses that carry their own proof.
signed = ask("POST", "mlflow/artifacts/presigned-upload-url", json={"run_id": run_id, "path": "100% a?b/signed.txt"})
requests.put(signed["presigned_url"], data=b"signed", headers=signed["headers"], timeout=60).raise_for_status()
signed = ask("POST", "mlflow/artifacts/presigned-download-url", json={"run_id": run_id, "path": "100% a?b/signed.txt"})
assert signed["file_size"] == 6, signed
answer = requests.get(signed["presigned_url"], timeout=60)
assert answer.content == b"signed", answer.text
if PLACE == "folder":  # The signatures of a bucket are its server's matter.
    assert requests.put(signed["presigned_url"], data=b"changed", timeout=60).status_code == 403
    wrong = signed["presigned_url"].replace("signed.txt", "other.txt")
    assert requests.get(wrong, timeout=60).status_code == 403
refused("POST", "mlflow/artifacts/presigned-download-url", 404, json={"run_id": run_id, "path": "absent"})
refused("POST", "mlflow/artifacts/presigned-upload-url", 400, json={"run_id": run_id, "path": "a", "expiration": 0})
refused("POST", "mlflow/artifacts/presigned-upload-url", 400, json={"path": "a"})
refused("POST", "mlflow/artifacts/presigned-upload-url", 400, json={"run_id": run_id, "path": "../a"})

# What MLflow's own pages store with a run.
upload = requests.post(
    f"{SERVER}/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=notes/page.txt", data=b"from a page", timeout=60
)
assert upload.ok, upload.text
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/page.txt") == "from a page"
