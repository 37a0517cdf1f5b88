import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ConnectionsView, ConnectionView } from "../../../api/types.gen";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { connectionsQuery } from "../queries";
import type { ConnectionsSearch } from "../search";
import { ConnectionForm } from "./ConnectionForm";
import { NewConnection } from "./NewConnection";

/** Where outside data is, and whether it can be reached. */
export function ConnectionsPage() {
  const search = useSearch({ from: "/connections" });
  const navigate = useNavigate({ from: "/connections" });
  const show = (next: ConnectionsSearch) => void navigate({ search: next, resetScroll: false });
  const connections = useQuery(connectionsQuery());
  return (
    <>
      <PageHead
        title="Connections"
        about="Where outside data is, and which secrets open it; they stand in connections.yaml, secrets are kept encrypted beside it."
      />
      <Answer query={connections}>
        {(view) => (
          <>
            {view.problem && <Failure problem={view.problem} />}
            {view.read_only && <p className="problem warning">They can be read only: {view.read_only}.</p>}
            <Card flush>
              {view.connections.length === 0 ? (
                <Empty what="No connection yet. Choose below what there is to connect to." />
              ) : (
                <ConnectionTable
                  view={view}
                  selected={search.connection}
                  onShow={(connection) => show({ connection })}
                />
              )}
            </Card>
            <Shown view={view} search={search} onShow={show} />
            {view.read_only === null && (
              <NewConnection view={view} kind={search.kind} onKind={(kind) => show({ kind })} />
            )}
          </>
        )}
      </Answer>
    </>
  );
}

interface ConnectionTableProps {
  view: ConnectionsView;
  selected?: string;
  onShow: (name: string) => void;
}

function ConnectionTable({ view, selected, onShow }: ConnectionTableProps) {
  return (
    <DataTable
      label="connections"
      rows={view.connections}
      rowKey={(connection) => connection.name}
      selected={selected}
      columns={[
        {
          key: "name",
          header: "Name",
          value: (connection) => connection.name,
          cell: (connection) => (
            <button type="button" className="button quiet" onClick={() => onShow(connection.name)}>
              {connection.name}
            </button>
          ),
        },
        { key: "kind", header: "Kind", value: (connection) => connection.kind },
        { key: "place", header: "Where", value: placeOf },
        { key: "line", header: "Line", numeric: true, value: (connection) => connection.line },
        {
          key: "problem",
          header: "Problem",
          wrap: true,
          value: (connection) => connection.problem?.message,
          cell: ({ problem }) =>
            problem ? <span className="wrong">{problem.message}</span> : <span className="muted">–</span>,
        },
      ]}
    />
  );
}

const PLACES = ["url", "path", "bucket", "container", "host", "endpoint"];

/** What tells where a connection leads, whatever its kind calls it. */
function placeOf({ settings }: ConnectionView): string | null {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) return null;
  const found = PLACES.map((key) => settings[key]).find((value) => typeof value === "string");
  return typeof found === "string" ? found : null;
}

interface ShownProps {
  view: ConnectionsView;
  search: ConnectionsSearch;
  onShow: (next: ConnectionsSearch) => void;
}

function Shown({ view, search, onShow }: ShownProps) {
  const connection = view.connections.find(({ name }) => name === search.connection);
  if (!search.connection) return null;
  if (!connection) return <Failure problem={{ message: `there is no connection \`${search.connection}\`` }} />;
  return (
    <ConnectionForm
      key={`${connection.name} ${view.etag}`}
      view={view}
      connection={connection}
      onDone={(name) => onShow({ connection: name ?? undefined })}
    />
  );
}
