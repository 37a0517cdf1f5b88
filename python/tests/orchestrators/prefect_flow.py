"""The flow that the tests call."""

import time

from prefect import flow


@flow
def churn(day: str, fail: bool = False, seconds: int = 0):
    time.sleep(seconds)
    if fail:
        raise ValueError("as asked")
    return day


if __name__ == "__main__":
    churn.serve(name="nightly")
