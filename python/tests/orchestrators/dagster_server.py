"""A real Dagster with a job: `dagster_server.py FOLDER`."""

import os
import sys

import serving

folder = sys.argv[1]
port = serving.free_port()
url = f"http://127.0.0.1:{port}"
with open(os.path.join(folder, "dagster.yaml"), "w") as file:
    # Runs begin in the web server: the queue of the default coordinator needs a daemon as well.
    file.write("telemetry: {enabled: false}\nrun_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}\n")
jobs = os.path.join(serving.HERE, "dagster_jobs.py")
dagster = serving.start(
    ["-m", "dagster_webserver", "-f", jobs, "-h", "127.0.0.1", "-p", str(port)], folder, DAGSTER_HOME=folder
)
query = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"}


def loaded():
    nodes = serving.ask(f"{url}/graphql", query)["data"]["repositoriesOrError"]["nodes"]
    return any(job["name"] == "nightly" for node in nodes for job in node["jobs"])


serving.wait_for(loaded, [dagster], folder)
serving.serve({"url": url}, [dagster])
