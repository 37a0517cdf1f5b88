import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import type { EvaluationDatasetView, EvaluationRecordView, Json } from "../../../api/types.gen";
import { VirtualTable } from "../../../charts/table/VirtualTable";
import { csv } from "../../../format/csv";
import { count, plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { PageHead } from "../../../ui/PageHead";
import { save } from "../../../ui/save";
import { Source } from "../../../ui/Source";
import { Tags } from "../Tags";
import { evaluationDatasetQuery, evaluationRecordsQuery } from "./queries";
import { recordTable } from "./records";

export function EvaluationDatasetPage() {
  const { dataset } = useParams({ from: "/evaluation/$dataset" });
  const query = useQuery(evaluationDatasetQuery(dataset));
  return <Answer query={query}>{(found) => <DatasetBody key={found.id} dataset={found} />}</Answer>;
}

function DatasetBody({ dataset }: { dataset: EvaluationDatasetView }) {
  const { record } = useSearch({ from: "/evaluation/$dataset" });
  const navigate = useNavigate({ from: "/evaluation/$dataset" });
  const query = useInfiniteQuery(evaluationRecordsQuery(dataset.id));
  const records = useMemo(() => query.data?.pages.flatMap((page) => page.records) ?? [], [query.data]);
  const table = useMemo(() => recordTable(records), [records]);
  const chosen = records.findIndex(({ id }) => id === record);
  const show = (id: string | undefined) => void navigate({ search: { record: id }, replace: true, resetScroll: false });
  const names = table.columns.map(({ name }) => name);
  return (
    <>
      <PageHead
        title={dataset.name}
        about={
          <>
            {plural(dataset.records, "record")}, changed <Ago at={dataset.updated_at} />
            {dataset.created_by && `, made by ${dataset.created_by}`} <span className="mono small">{dataset.id}</span>
          </>
        }
        actions={dataset.experiments.map((experiment) => (
          <Link key={experiment} to="/experiments/$experiment" params={{ experiment }} className="button">
            Experiment {experiment}
          </Link>
        ))}
      />
      <Tags tags={dataset.tags} />
      <Card
        title="Records"
        actions={
          <button
            type="button"
            className="button"
            disabled={records.length === 0}
            onClick={() => save(`${dataset.name}.csv`, csv(names, table.rows), "text/csv")}
          >
            Export CSV
          </button>
        }
        flush
      >
        <Answer query={query} rows={8}>
          {() =>
            records.length === 0 ? (
              <p className="muted empty">No record yet. `merge_records` of the dataset adds them.</p>
            ) : (
              <VirtualTable
                columns={table.columns}
                rows={table.rows}
                label={`records of ${dataset.name}`}
                selected={chosen}
                onSelect={(row) => show(records[row]?.id)}
              />
            )
          }
        </Answer>
        <div className="row small run-foot">
          <span className="muted">
            {count(records.length)} of {count(dataset.records)} read
          </span>
          {query.hasNextPage && (
            <button
              type="button"
              className="button"
              disabled={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              {query.isFetchingNextPage ? "Reading…" : "Load more"}
            </button>
          )}
          {records.length > 0 && chosen < 0 && <span className="muted">Choose a record to see all of it.</span>}
          {records[0] && chosen < 0 && (
            <button type="button" className="button quiet" onClick={() => show(records[0]?.id)}>
              Show the first
            </button>
          )}
        </div>
      </Card>
      {records[chosen] && <RecordCard record={records[chosen]} onClose={() => show(undefined)} />}
      <Source
        cli={`MLFLOW_TRACKING_URI=${window.location.origin} python -c "import mlflow; print(mlflow.genai.get_dataset(dataset_id='${dataset.id}').to_df())"`}
        json={dataset}
      />
    </>
  );
}

function RecordCard({ record, onClose }: { record: EvaluationRecordView; onClose: () => void }) {
  const parts: [string, Json][] = [
    ["Inputs", record.inputs],
    ["Outputs", record.outputs],
    ["Expectations", record.expectations],
    ["Tags", record.tags],
  ];
  return (
    <Card
      title={<span className="mono">{record.id}</span>}
      actions={
        <>
          {record.trace_id && (
            <Link to="/traces/$trace" params={{ trace: record.trace_id }} className="button">
              Its trace
            </Link>
          )}
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
        </>
      }
    >
      <div className="halves">
        {parts
          .filter(([, value]) => value !== null && Object.keys(Object(value)).length > 0)
          .map(([name, value]) => (
            <section key={name} className="stack" style={{ gap: 4 }}>
              <h3>{name}</h3>
              <CodeView text={JSON.stringify(value, null, 2)} language="yaml" label={name} />
            </section>
          ))}
      </div>
    </Card>
  );
}
