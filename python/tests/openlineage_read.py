"""Reads events, a JSON document a line: `openlineage_read.py FILE`.

They are held against OpenLineage's JSON Schemas (`openlineage/`), and made again of the classes of its client.
"""

import json
import re
import sys
from pathlib import Path

try:
    import jsonschema
    import referencing
    from openlineage.client import event_v2, facet_v2
except ImportError as error:
    print(error)
    sys.exit(77)

FACETS = {
    "parent": facet_v2.parent_run.ParentRunFacet,
    "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "documentation": facet_v2.documentation_job.DocumentationJobFacet,
    "sourceCodeLocation": facet_v2.source_code_location_job.SourceCodeLocationJobFacet,
    "sql": facet_v2.sql_job.SQLJobFacet,
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "symlinks": facet_v2.symlinks_dataset.SymlinksDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


# Held against what its class in the client says, since its schema is not here.
BY_CLASS = {"columnLineage"}
SPEC = "https://openlineage.io/spec/"
# RFC 3986: no character that would have to be escaped.
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


def validators() -> dict:
    """The schema of each document, by its address."""
    documents = [json.loads(path.read_text()) for path in Path(__file__).with_name("openlineage").rglob("*.json")]
    registry = referencing.Registry().with_resources(
        (document["$id"], referencing.Resource.from_contents(document)) for document in documents
    )
    formats = jsonschema.FormatChecker(["date-time", "uuid"])
    assert "date-time" in formats.checkers, "without it times are not looked at"
    formats.checks("uri")(lambda value: not isinstance(value, str) or URI.fullmatch(value) is not None)
    kind = jsonschema.Draft202012Validator
    return {document["$id"]: kind(document, registry=registry, format_checker=formats) for document in documents}


def hold(schemas: dict, event: dict) -> None:
    """Every part of an event against the schema that it names."""
    schemas[event["schemaURL"].split("#")[0]].validate(event)
    data = [*event["inputs"], *event["outputs"]]
    held = [event["run"]["facets"], event["job"]["facets"]]
    held += [dataset.get(key, {}) for dataset in data for key in ["facets", "inputFacets", "outputFacets"]]
    for named in held:
        for name, facet in named.items():
            if name in BY_CLASS:
                columns(facet)
                continue
            schemas[facet["_schemaURL"].split("#")[0]].validate({name: facet})


def columns(facet: dict) -> None:
    """What column lineage is made of."""
    kind = facet_v2.column_lineage_dataset
    origins = [*facet["dataset"]]
    for column, made in facet["fields"].items():
        kind.Fields(**made)
        assert column, facet
        origins += made["inputFields"]
    for origin in origins:
        named = dict(origin)
        hows = [kind.Transformation(**how) for how in named.pop("transformations")]
        assert all(how.type in ("DIRECT", "INDIRECT") and how.subtype for how in hows) and hows, origin
        kind.InputField(**named)


def facets(written: dict) -> dict:
    made = {}
    for name, fields in written.items():
        kind = FACETS[name]
        fields = dict(fields)
        assert fields.pop("_producer").startswith("urn:millrace:"), fields
        assert fields.pop("_schemaURL") == kind._get_schema(), (name, kind._get_schema())
        made[name] = kind(**fields)
    return made


def dataset(kind: type, written: dict, extra: str) -> object:
    known = {"namespace", "name", "facets", extra}
    assert set(written) <= known, written
    return kind(
        namespace=written["namespace"],
        name=written["name"],
        facets=facets(written["facets"]),
        **{extra: facets(written.get(extra, {}))},
    )


def main(path: str) -> None:
    with open(path, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    schemas = validators()
    assert len(schemas) == len(FACETS) - len(BY_CLASS) + 1, "a facet that is not held against its schema"
    for event in events:
        hold(schemas, event)
        made = event_v2.RunEvent(
            eventType=event_v2.RunState[event["eventType"]],
            eventTime=event["eventTime"],
            run=event_v2.Run(runId=event["run"]["runId"], facets=facets(event["run"]["facets"])),
            job=event_v2.Job(
                namespace=event["job"]["namespace"], name=event["job"]["name"], facets=facets(event["job"]["facets"])
            ),
            inputs=[dataset(event_v2.InputDataset, written, "inputFacets") for written in event["inputs"]],
            outputs=[dataset(event_v2.OutputDataset, written, "outputFacets") for written in event["outputs"]],
            producer=event["producer"],
        )
        assert made._get_schema() == event["schemaURL"], event["schemaURL"]
    used = {name for event in events for part in ["run", "job"] for name in event[part]["facets"]}
    used |= {name for event in events for data in event["inputs"] + event["outputs"] for name in data["facets"]}
    print(len(events), "events with", ", ".join(sorted(used)))


main(sys.argv[1])
