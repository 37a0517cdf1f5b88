"""A real Prefect with a deployment that is served: `prefect_server.py FOLDER`."""

import os
import sys

import serving

folder = sys.argv[1]
port = serving.free_port()
api = f"http://127.0.0.1:{port}/api"
variables = {"PREFECT_HOME": folder, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
server = serving.start(["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)], folder, **variables)
serving.wait_for(lambda: serving.ask(f"{api}/health"), [server], folder)
flow = serving.start([os.path.join(serving.HERE, "prefect_flow.py")], folder, PREFECT_API_URL=api, **variables)
serving.wait_for(lambda: serving.ask(f"{api}/deployments/name/churn/nightly"), [server, flow], folder)
serving.serve({"url": api}, [server, flow])
