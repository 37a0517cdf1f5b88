"""Asks a Millrace server to run a pipeline, and for the end of the run. Standard library only."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

from millrace import MillraceError

#: States that a run leaves no more.
FINAL = ("succeeded", "failed", "cancelled")
#: Seconds in which a server that was stopped may come back.
_PATIENCE = 120
#: What a proxy answers for a server that is away.
_AWAY = (502, 503, 504)


class Server:
    """A server by its address; `token` is the operator's or an account's, if it asks for one."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self._token = token

    def start(self, pipeline, inputs, key, caller=None, caller_url=None, force=False):
        """Starts a run, or finds the one that was started with the same key; returns its summary."""
        body = {"inputs": inputs, "force": force}
        if caller:
            body["caller"] = {"system": caller, "url": caller_url}
        path = f"/api/pipelines/{urllib.parse.quote(pipeline, safe='')}/runs"
        return self._ask("POST", path, body, {"Idempotency-Key": key})

    def wait(self, run, seconds=20):
        """The run with its steps, as soon as it is over or the time is up."""
        return self._ask("GET", f"/api/runs/{run}?wait={int(seconds)}s")

    def cancel(self, run):
        """Asks a run to end; one that is over stays as it is."""
        try:
            self._ask("POST", f"/api/runs/{run}/cancel")
        except MillraceError as error:
            if getattr(error, "code", None) != "run-is-over":
                raise

    def page(self, run):
        """Where people see a run."""
        return f"{self.url}/runs/{run}"

    def _ask(self, method, path, body=None, headers=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        patience = time.monotonic() + _PATIENCE
        while True:
            try:
                request = urllib.request.Request(self.url + path, data, headers, method=method)
                with urllib.request.urlopen(request, timeout=130) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in _AWAY:
                    raise _refusal(error) from None
                cause = error
            except (urllib.error.URLError, OSError) as error:
                cause = error
            if time.monotonic() >= patience:
                raise MillraceError(f"the Millrace server at {self.url} cannot be reached: {cause}")
            time.sleep(0.5)


def _refusal(error):
    """The server's own words: a problem with hints, if it is one."""
    text = error.read().decode(errors="replace")
    try:
        problem = json.loads(text)
        message = "\n".join([problem["message"], *(f"hint: {hint}" for hint in problem.get("hints", []))])
    except (ValueError, KeyError, TypeError):
        problem, message = {}, f"the Millrace server answers {error.code}: {text[:500]}"
    refusal = MillraceError(message)
    refusal.code = problem.get("code")
    return refusal


def failure(view):
    """Why a run failed, a line for each step."""
    lines = [
        f"step `{step['id']}`: {step['problem']['message']}" for step in view["steps"] if step.get("problem")
    ]
    problem = view["run"].get("problem")
    return "\n".join(lines) or (problem or {}).get("message", "")
