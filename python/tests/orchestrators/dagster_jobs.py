"""The job that the tests call."""

import time

from dagster import Config, Definitions, job, op


class TrainConfig(Config):
    day: str
    fail: bool = False
    seconds: int = 0


@op
def train(config: TrainConfig):
    time.sleep(config.seconds)
    if config.fail:
        raise ValueError("as asked")
    return config.day


@job
def nightly():
    train()


defs = Definitions(jobs=[nightly])
