"""Datasets by name: `millrace.data("flights@champion")` is the version that pipelines, SQL and the lineage mean by it.

Rows are read with pyarrow, which is imported when they are first asked for.
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

#: A digest in MLflow has at most 36 characters; these are the first hex digits of ours.
_SHORT_DIGEST = 32
#: Seconds without a byte after which a server is given up.
_TIMEOUT = 120


class Data:
    """A version of a dataset: `name`, `version`, `digest`, `uri`, `rows`, `schema`, `aliases`, `tags`."""

    def __init__(self, server, document):
        found = document["version"]
        self._server = server
        self.name, self.version, self.kind = found["name"], found["version"], found["kind"]
        self.digest, self.uri, self.rows = found["digest"], found["uri"], found["rows"]
        self.schema, self.aliases, self.tags = found["schema"], found["aliases"], found["tags"]

    def __repr__(self):
        return f"<millrace.data {self.name}@{self.version}>"

    @property
    def source(self):
        """What names this version in MLflow: `millrace://flights/3`."""
        return f"millrace://{self.name}/{self.version}"

    def to_arrow(self, where=None, columns=None, limit=None):
        """Rows as a `pyarrow.Table`: those that the condition `where` (SQL) holds for, of some `columns`, at most `limit`."""
        import pyarrow.ipc

        query = {"version": self.version, "filter": where, "limit": limit}
        if columns is not None:
            query["columns"] = ",".join(columns)
        path = f"/api/datasets/{urllib.parse.quote(self.name, safe='')}/rows"
        with _get(self._server, path, query) as answer, pyarrow.ipc.open_stream(answer) as stream:
            return stream.read_all()

    def to_pandas(self, where=None, columns=None, limit=None):
        """Rows as a `pandas.DataFrame`; see `to_arrow`."""
        return self.to_arrow(where, columns, limit).to_pandas()

    def to_mlflow(self, frame=None, targets=None):
        """This version as MLflow's dataset, for `mlflow.log_input`; `frame` saves reading the rows again."""
        import mlflow.data
        from mlflow.data.dataset_source import DatasetSource

        class Source(DatasetSource):
            """Where MLflow finds the version again."""

            def __init__(self, uri):
                self.uri = uri

            @staticmethod
            def _get_source_type():
                return "millrace"

            @staticmethod
            def _can_resolve(raw_source):
                return isinstance(raw_source, str) and raw_source.startswith("millrace://")

            @classmethod
            def _resolve(cls, raw_source):
                return cls(raw_source)

            def load(self, **_):
                return data(self.uri).to_pandas()

            def to_dict(self):
                return {"uri": self.uri}

            @classmethod
            def from_dict(cls, source_dict):
                return cls(source_dict["uri"])

        frame = self.to_pandas() if frame is None else frame
        digest = self.digest.split(":")[-1][:_SHORT_DIGEST]
        return mlflow.data.from_pandas(frame, source=Source(self.source), name=self.name, digest=digest, targets=targets)

    def log(self, context=None, frame=None):
        """Says in the active MLflow run that it read this version; `context` is what for: `training`, `evaluation`, ..."""
        import mlflow

        mlflow.log_input(self.to_mlflow(frame), context=context)


def data(reference):
    """The version of a dataset: `name`, `name@3`, `name@alias`, `name@2026-03-01T06:00:00Z`, or `millrace://name/3`.

    Raises MillraceError if there is no such version, or no server is known.
    """
    from millrace import MillraceError, _server

    server = _server()
    if not server:
        raise MillraceError("no server is known: set `MLFLOW_TRACKING_URI`")
    text = reference.removeprefix("data:")
    if text.startswith("millrace://"):
        text = text.removeprefix("millrace://").replace("/", "@", 1)
    name, _, version = text.partition("@")
    with _get(server.rstrip("/"), f"/api/datasets/{urllib.parse.quote(name, safe='')}", {"version": version}) as answer:
        return Data(server.rstrip("/"), json.load(answer))


def _get(server, path, query):
    from millrace import MillraceError

    text = urllib.parse.urlencode({name: value for name, value in query.items() if value not in (None, "")})
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    request = urllib.request.Request(f"{server}{path}?{text}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        try:
            problem = json.loads(said)
            said = " ".join([problem["message"], *(f"({note})" for note in problem.get("notes", []) + problem.get("hints", []))])
        except (ValueError, KeyError):
            pass
        raise MillraceError(said) from None
    except OSError as error:
        raise MillraceError(f"cannot reach the server `{server}`: {getattr(error, 'reason', error)}") from None
