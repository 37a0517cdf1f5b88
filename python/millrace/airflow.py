"""Runs a Millrace pipeline as a task of Airflow 3 (or 2.7 and later).

    from millrace.airflow import MillraceRunOperator

    MillraceRunOperator(task_id="churn", pipeline="churn", inputs={"day": "{{ ds }}"}, server="http://millrace:7878")

Without `server`, the connection `conn_id` (default `millrace_default`) says where: its host and port, `https` as its schema, the token as
its password. The outputs of the run's steps are the task's return value: `{"run", "url", "state", "outputs": {step: {name: value}}}`.
"""

import asyncio

try:  # Airflow 3
    from airflow.sdk import BaseOperator
    from airflow.sdk.bases.hook import BaseHook
except ImportError:  # Airflow 2
    from airflow.hooks.base import BaseHook
    from airflow.models import BaseOperator
try:
    from airflow.sdk.exceptions import AirflowException
except ImportError:
    from airflow.exceptions import AirflowException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from millrace._server import FINAL, Server, failure

__all__ = ["MillraceRunOperator", "MillraceRunTrigger"]


class MillraceRunOperator(BaseOperator):
    """Starts a run of `pipeline` and succeeds when it does.

    A try whose worker died is taken up again: the next one finds the run that still goes on by its `Idempotency-Key`, which is made of the
    task instance. Killing the task cancels the run. With `deferrable=True` the task waits in the triggerer and takes no slot.
    """

    template_fields = ("pipeline", "inputs", "server", "idempotency_key")
    ui_color = "#dbeafe"

    def __init__(
        self,
        *,
        pipeline,
        inputs=None,
        server=None,
        token=None,
        conn_id="millrace_default",
        idempotency_key=None,
        force=False,
        deferrable=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.inputs = inputs or {}
        self.server = server
        self.token = token
        self.conn_id = conn_id
        self.idempotency_key = idempotency_key
        self.force = force
        self.deferrable = deferrable
        self._run = None

    def execute(self, context):
        server = self._server()
        started = self._start(server, context["ti"])
        self._run = started["id"]
        self.log.info("Millrace run: %s", server.page(self._run))
        if self.deferrable and started["status"] not in FINAL:
            self.defer(
                trigger=MillraceRunTrigger(server.url, self.conn_id if self.server is None else None, self.token, self._run),
                method_name="execute_complete",
            )
        view = server.wait(self._run)
        while view["run"]["status"] not in FINAL:
            view = server.wait(self._run)
        return self._end(server, view)

    def execute_complete(self, context, event):
        """Called by Airflow when the trigger has seen the end of the run."""
        server = self._server()
        if "error" in event:
            raise AirflowException(event["error"])
        return self._end(server, server.wait(event["run"], 1))

    def on_kill(self):
        if self._run:
            self._server().cancel(self._run)

    def _server(self):
        if self.server:
            return Server(self.server, self.token)
        return Server(*_connection(self.conn_id))

    def _start(self, server, instance):
        base = self.idempotency_key or "/".join(
            str(part) for part in ("airflow", instance.dag_id, instance.run_id, instance.task_id, instance.map_index)
        )
        number = instance.try_number or 1

        def start(number):
            key = base if self.idempotency_key else f"{base}/{number}"
            url = getattr(instance, "log_url", None)
            return server.start(self.pipeline, self.inputs, key, "airflow", url, self.force)

        if number > 1 and not self.idempotency_key:
            before = start(number - 1)
            if before["status"] not in FINAL:
                return before
        return start(number)

    def _end(self, server, view):
        run = view["run"]
        if run["status"] != "succeeded":
            why = failure(view)
            raise AirflowException(f"the Millrace run {server.page(run['id'])} is {run['status']}{': ' + why if why else ''}")
        outputs = {step["id"]: step["outputs"] for step in view["steps"] if step["outputs"]}
        return {"run": run["id"], "url": server.page(run["id"]), "state": run["status"], "outputs": outputs}


class MillraceRunTrigger(BaseTrigger):
    """Waits in the triggerer for the end of a run."""

    def __init__(self, server, conn_id, token, run):
        super().__init__()
        self.server, self.conn_id, self.token, self.run_id = server, conn_id, token, run

    def serialize(self):
        arguments = {"server": self.server, "conn_id": self.conn_id, "token": self.token, "run": self.run_id}
        return "millrace.airflow.MillraceRunTrigger", arguments

    async def run(self):
        try:
            if self.conn_id:
                server = Server(*await asyncio.to_thread(_connection, self.conn_id))
            else:
                server = Server(self.server, self.token)
            while True:
                view = await asyncio.to_thread(server.wait, self.run_id)
                if view["run"]["status"] in FINAL:
                    yield TriggerEvent({"run": self.run_id})
                    return
        except Exception as error:  # whatever it is, the task is to fail with it and not to wait for ever
            yield TriggerEvent({"error": str(error)})


def _connection(conn_id):
    """Address and token of an Airflow connection."""
    connection = BaseHook.get_connection(conn_id)
    host = connection.host or "127.0.0.1"
    if "://" in host:
        url = host
    else:
        url = f"{connection.schema or 'http'}://{host}"
    return f"{url}:{connection.port}" if connection.port else url, connection.password or None
