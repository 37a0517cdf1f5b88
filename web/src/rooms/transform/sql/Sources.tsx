import { Link } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import IconFile from "@tabler/icons-react/dist/esm/icons/IconFile.mjs";
import IconTable from "@tabler/icons-react/dist/esm/icons/IconTable.mjs";
import { useState } from "react";
import type { QueryTable, WorkspaceFile } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { count } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Disclosure } from "../../../ui/Disclosure";
import { filesQuery } from "../queries";
import { selectFrom } from "./selectFrom";

interface SourcesProps {
  tables: { data: QueryTable[] | undefined; error: unknown; refetch: () => unknown };
  onQuery: (sql: string) => void;
}

/** What a query can read: datasets with their columns, and files of the workspace. */
export function Sources({ tables, onQuery }: SourcesProps) {
  return (
    <aside className="card sql-sources" aria-label="datasets and files">
      <Disclosure summary="Datasets" open={window.innerWidth >= 760}>
        <Answer query={tables} rows={4}>
          {(found) =>
            found.length === 0 ? (
              <p className="muted small">No dataset yet.</p>
            ) : (
              <ul className="plain" style={{ gap: 0 }}>
                {found.map((table) => (
                  <li key={table.name}>
                    <Dataset table={table} onQuery={onQuery} />
                  </li>
                ))}
              </ul>
            )
          }
        </Answer>
      </Disclosure>
      <Disclosure summary="Files">
        <Folder folder="" onQuery={onQuery} />
      </Disclosure>
    </aside>
  );
}

function Dataset({ table, onQuery }: { table: QueryTable; onQuery: (sql: string) => void }) {
  return (
    <details className="source">
      <summary title={table.name}>
        <span className="clip">{table.name}</span>
        <span className="muted small">{count(table.rows)} rows</span>
      </summary>
      <div className="stack" style={{ gap: 4, padding: "2px 0 8px 14px" }}>
        <span className="row small">
          <button type="button" className="button small" onClick={() => onQuery(selectFrom(table.name))}>
            Show rows<span className="visually-hidden"> of {table.name}</span>
          </button>
          <Link to="/data/$name" params={{ name: table.name }} className="underlined">
            Version {table.version}
          </Link>
        </span>
        <ul className="plain small" style={{ gap: 1 }} aria-label={`columns of ${table.name}`}>
          {table.columns.map((column) => (
            <li key={column.name} className="row spread" style={{ flexWrap: "nowrap" }}>
              <span className="mono clip">{column.name}</span>
              <span className="muted clip">{column.type}</span>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}

function Folder({ folder, onQuery }: { folder: string; onQuery: (sql: string) => void }) {
  const files = useQuery(filesQuery(folder));
  return (
    <Answer query={files} rows={3}>
      {(found) =>
        found.length === 0 ? (
          <p className="muted small">Nothing here.</p>
        ) : (
          <ul className="plain" style={{ gap: 0 }}>
            {found.map((file) => (
              <li key={file.path}>
                {file.is_folder ? <Subfolder file={file} onQuery={onQuery} /> : <File file={file} onQuery={onQuery} />}
              </li>
            ))}
          </ul>
        )
      }
    </Answer>
  );
}

function Subfolder({ file, onQuery }: { file: WorkspaceFile; onQuery: (sql: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="source" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span className="clip">{file.name}</span>
      </summary>
      <div style={{ paddingLeft: 14 }}>{open && <Folder folder={file.path} onQuery={onQuery} />}</div>
    </details>
  );
}

function File({ file, onQuery }: { file: WorkspaceFile; onQuery: (sql: string) => void }) {
  const size = <span className="muted small">{bytes(file.size_bytes)}</span>;
  if (!file.is_table)
    return (
      <div className="source-file" title={file.path}>
        <IconFile size={14} stroke={1.6} aria-hidden className="files-sign" />
        <span className="clip muted">{file.name}</span>
        {size}
      </div>
    );
  return (
    <button
      type="button"
      className="source-file"
      title={`Show rows of ${file.path}`}
      onClick={() => onQuery(selectFrom(file.path))}
    >
      <IconTable size={14} stroke={1.6} aria-hidden className="files-sign" />
      <span className="clip">{file.name}</span>
      {size}
    </button>
  );
}
