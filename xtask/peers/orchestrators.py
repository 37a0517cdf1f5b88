"""A chain or a fan-out of steps that do nothing in another orchestrator: `orchestrators.py PEER chain|fan-out COUNT FOLDER`.

Prints the seconds of the run alone, as JSON: the program is loaded, its database is there and it has done a run before.
"""

import json
import os
import signal
import sys
import time


def prefect(shape, count, folder):
    os.environ.update(PREFECT_HOME=folder, PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_LOGGING_LEVEL="ERROR", DO_NOT_TRACK="1")
    from prefect import flow, task

    @task
    def step(before):
        return before

    @flow
    def chain(count):
        last = 0
        for _ in range(count):
            last = step(last)

    @flow
    def fan_out(count):
        for future in [step.submit(number) for number in range(count)]:
            future.result()

    work = chain if shape == "chain" else fan_out
    work(1)
    return measured(lambda: work(count))


def dagster(shape, count, folder):
    os.environ["DAGSTER_HOME"] = folder
    with open(os.path.join(folder, "dagster.yaml"), "w") as file:
        file.write("telemetry: {enabled: false}\n")
    from dagster import DagsterInstance, In, Nothing, Out, job, op

    @op(out=Out(Nothing))
    def first():
        pass

    @op(ins={"before": In(Nothing)}, out=Out(Nothing))
    def step():
        pass

    @job
    def one():
        first()

    @job
    def all_of_them():
        if shape == "chain":
            last = first()
            for number in range(1, count):
                last = step.alias(f"step{number}")(last)
        else:
            for number in range(count):
                first.alias(f"step{number}")()

    # In one process, the fastest way that it has; its default is a process for each op.
    instance = DagsterInstance.get()
    one.execute_in_process(instance=instance)
    return measured(lambda: all_of_them.execute_in_process(instance=instance))


def airflow(shape, count, folder):
    os.environ.update(
        AIRFLOW_HOME=folder, AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False", AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW__CORE__DAGS_FOLDER=os.path.join(folder, "dags"),
    )
    import subprocess

    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.makedirs(os.path.join(folder, "dags"))
    with open(os.path.join(folder, "dags", "bench.py"), "w") as file:
        file.write(
            "from airflow.sdk import dag, task\n\n"
            "def made(name, count, chained):\n"
            "    @dag(dag_id=name, schedule=None)\n"
            "    def steps():\n"
            "        last = None\n"
            "        for number in range(count):\n"
            "            @task(task_id=f'step{number}')\n"
            "            def step():\n"
            "                pass\n"
            "            this = step()\n"
            "            if chained and last is not None:\n"
            "                last >> this\n"
            "            last = this\n"
            "    return steps()\n\n"
            f"one = made('one', 1, True)\nall_of_them = made('all_of_them', {count}, {shape == 'chain'})\n"
        )
    sys.path.insert(0, os.path.join(folder, "dags"))
    import bench

    # Tasks in this process, without its scheduler: the fastest way that it has.
    bench.one.test()
    return measured(bench.all_of_them.test)


def children():
    """Processes that this one has started."""
    found = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as file:
            found += [int(child) for child in file.read().split()]
    return found


def measured(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main():
    peer, shape, count, folder = sys.argv[1:]
    # What they print goes elsewhere.
    told, sys.stdout = sys.stdout, sys.stderr
    seconds = {"prefect": prefect, "dagster": dagster, "airflow": airflow}[peer](shape, int(count), folder)
    print(json.dumps({"seconds": seconds}), file=told, flush=True)
    # Servers that they have started do not end by themselves, nor do their threads.
    for child in children():
        os.kill(child, signal.SIGKILL)
    os._exit(0)


main()
