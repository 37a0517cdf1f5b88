"""What the tests call: a DAG that ends, one that does not, and one whose task is a run of Millrace."""

import time

from airflow.sdk import dag, get_current_context, task
from millrace.airflow import MillraceRunOperator


@dag(schedule=None)
def nightly():
    @task
    def train():
        conf = get_current_context()["dag_run"].conf
        if conf.get("fail"):
            raise ValueError("as asked")
        return {"auc": 0.91, "day": conf["day"]}

    train()


@dag(schedule=None)
def endless():
    @task
    def sleep():
        time.sleep(3600)

    sleep()


@dag(schedule=None)
def through_millrace():
    arguments = {"pipeline": "inner", "inputs": {"day": "{{ dag_run.conf['day'] }}"}, "server": "{{ dag_run.conf['server'] }}"}
    MillraceRunOperator(task_id="waits", **arguments) >> MillraceRunOperator(task_id="deferred", deferrable=True, **arguments)


nightly()
endless()
through_millrace()
