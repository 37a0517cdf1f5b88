import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { MonitorReport, MonitorView } from "../../api/types.gen";
import { OverlaidHistogram } from "../../charts/histogram/OverlaidHistogram";
import { number } from "../../format/number";
import { Ago } from "../../ui/Ago";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { Empty } from "../../ui/Empty";
import { PageHead } from "../../ui/PageHead";
import { Source } from "../../ui/Source";
import { Status } from "../../ui/Status";
import { DriftTable } from "./DriftTable";
import { MonitorHistory } from "./MonitorHistory";
import { monitorQuery } from "./queries";

export function MonitorPage() {
  const { name } = useParams({ from: "/monitoring/$name" });
  const monitor = useQuery(monitorQuery(name));
  return <Answer query={monitor}>{(found) => <MonitorBody view={found} />}</Answer>;
}

function MonitorBody({ view }: { view: MonitorView }) {
  const { monitor, latest } = view;
  return (
    <>
      <PageHead
        title={monitor.name}
        status={latest && <Status status={latest.drifted ? "drifted" : "stable"} />}
        about={
          latest && (
            <>
              {latest.current} against {latest.reference}, <Ago at={latest.at} />
            </>
          )
        }
        actions={
          latest?.run_id && (
            <Link
              to="/runs/$run"
              params={{ run: latest.run_id }}
              search={{ step: latest.step ?? undefined }}
              className="button"
            >
              Run
            </Link>
          )
        }
      />
      {latest ? <Report report={latest} /> : <Empty what="This monitor has not run yet." command={view.command} />}
      <MonitorHistory view={view} />
      <Source cli={view.command} yaml={view.yaml} json={view} />
    </>
  );
}

function Report({ report }: { report: MonitorReport }) {
  const { column } = useSearch({ from: "/monitoring/$name" });
  const navigate = useNavigate({ from: "/monitoring/$name" });
  const columns = report.columns.toSorted((a, b) => Number(b.drifted) - Number(a.drifted) || b.score - a.score);
  const pictured = columns.filter((entry) => entry.bins.length > 0);
  return (
    <>
      <Card title="Columns" flush>
        <DriftTable
          columns={columns}
          selected={column}
          onSelect={(next) => void navigate({ search: { column: next }, replace: true })}
        />
      </Card>
      <p className="muted small">
        A column counts as drifted only if two keys turn: the distance reaches its threshold, and the difference is no
        accident (p below 0.05 after the Benjamini-Hochberg correction over all columns). A large sample alone, or a
        large distance in a small one, does not raise it.
      </p>
      <Card title="Distributions: reference filled, current as a line">
        <div className="cards">
          {(column ? pictured.filter((entry) => entry.column === column) : pictured.slice(0, 24)).map((entry) => (
            <OverlaidHistogram
              key={entry.column}
              title={entry.column}
              note={`${number(entry.score)}${entry.drifted ? ", drifted" : ""}`}
              bins={entry.bins}
              reference={entry.reference}
              current={entry.current}
            />
          ))}
        </div>
        {column && (
          <button type="button" className="button" onClick={() => void navigate({ search: {}, replace: true })}>
            All columns
          </button>
        )}
      </Card>
    </>
  );
}
