"""Tells a server of a job's run by the unmodified client of OpenLineage: `openlineage_client.py URL`."""

import sys
from datetime import datetime, timezone

try:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import Dataset, DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import (
        error_message_run,
        schema_dataset,
        source_code_location_job,
        symlinks_dataset,
    )
    from openlineage.client.transport.http import HttpCompression, HttpConfig, HttpTransport
    from openlineage.client.uuid import generate_new_uuid
except ImportError as error:
    print(error)
    sys.exit(77)

PRODUCER = "https://example.org/spark"


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def main(url: str) -> None:
    transport = HttpTransport(HttpConfig(url=url, compression=HttpCompression.GZIP))
    client = OpenLineageClient(transport=transport)
    job = Job(
        namespace="spark://cluster",
        name="enrich_orders",
        facets={"sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(type="git", url="https://git.example/x")},
    )
    ours = InputDataset(namespace="millrace://test", name="orders")
    upstream = InputDataset(namespace="postgres://crm:5432", name="crm.public.customers")
    fields = [schema_dataset.SchemaDatasetFacetFields(name="id", type="BIGINT")]
    written = OutputDataset(
        namespace="s3://lake", name="enriched/orders.parquet", facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
    )
    run = Run(runId=str(generate_new_uuid()))
    for state in [RunState.START, RunState.COMPLETE]:
        client.emit(
            RunEvent(eventType=state, eventTime=now(), run=run, job=job, inputs=[ours, upstream], outputs=[written], producer=PRODUCER)
        )
    # Another job reads what that one wrote, under a name of its own, and fails.
    link = symlinks_dataset.Identifier(namespace="millrace://test", name="orders", type="TABLE")
    linked = OutputDataset(
        namespace="hive://metastore", name="shop.orders", facets={"symlinks": symlinks_dataset.SymlinksDatasetFacet(identifiers=[link])}
    )
    failed = Run(
        runId=str(generate_new_uuid()),
        facets={"errorMessage": error_message_run.ErrorMessageRunFacet(message="no space left", programmingLanguage="SCALA")},
    )
    writer = Job(namespace="airflow", name="nightly.load")
    for state in [RunState.FAIL, RunState.START]:  # They may come in any order.
        client.emit(
            RunEvent(
                eventType=state,
                eventTime=now(),
                run=failed,
                job=writer,
                inputs=[InputDataset(namespace="s3://lake", name="enriched/orders.parquet")],
                outputs=[linked],
                producer=PRODUCER,
            )
        )
    client.emit(JobEvent(eventTime=now(), job=Job(namespace="dbt", name="marts"), inputs=[ours], outputs=[], producer=PRODUCER))
    client.emit(DatasetEvent(eventTime=now(), dataset=Dataset(namespace="s3://lake", name="other"), producer=PRODUCER))
    client.close()


main(sys.argv[1])
