"""A real Airflow with three DAGs: `airflow_server.py FOLDER`."""

import json
import os
import sys

import serving

folder = sys.argv[1]
port = serving.free_port()
url = f"http://127.0.0.1:{port}"
dags = os.path.join(folder, "dags")
os.makedirs(dags)
with open(os.path.join(serving.HERE, "airflow_dags.py")) as source, open(os.path.join(dags, "dags.py"), "w") as target:
    target.write(source.read())
passwords = os.path.join(folder, "passwords.json")
with open(passwords, "w") as file:
    json.dump({"millrace": "s3cret"}, file)
airflow = serving.start(
    ["-m", "airflow", "standalone"],
    folder,
    AIRFLOW_HOME=folder,
    AIRFLOW__CORE__DAGS_FOLDER=dags,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
    AIRFLOW__CORE__PARALLELISM="4",
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="millrace:admin",
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=passwords,
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
    AIRFLOW__API__HOST="127.0.0.1",
    AIRFLOW__API__PORT=str(port),
    AIRFLOW__API__WORKERS="1",
    AIRFLOW__API__BASE_URL=url,
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL="5",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
)


def listed():
    token = serving.ask(f"{url}/auth/token", {"username": "millrace", "password": "s3cret"})["access_token"]
    dags = serving.ask(f"{url}/api/v2/dags", headers={"Authorization": f"Bearer {token}"})["dags"]
    return token if {dag["dag_id"] for dag in dags} >= {"nightly", "endless", "through_millrace"} else None


token = serving.wait_for(listed, [airflow], folder)
serving.serve({"url": url, "token": token}, [airflow])
