import "./sql.css";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { PageHead } from "../../../ui/PageHead";
import { queryTablesQuery } from "../queries";
import type { SqlSearch } from "../search";
import { QueryCard } from "./QueryCard";
import { ResultCard } from "./ResultCard";
import { Sources } from "./Sources";
import { useSql } from "./useSql";

/** Queries over datasets and files: written, run, drawn, and found again by their address. */
export function SqlPage() {
  const search = useSearch({ from: "/sql" });
  const navigate = useNavigate({ from: "/sql" });
  const tables = useQuery(queryTablesQuery());
  const [typed, setTyped] = useState<string | null>(null);
  const first = tables.data?.[0];
  const example = first ? `select *\nfrom ${first.name}\nlimit 100` : "select 1 as one";
  const text = typed ?? search.q ?? example;
  const change = (next: SqlSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  const sql = useSql(search, change);
  const names = useMemo(
    () => Object.fromEntries((tables.data ?? []).map(({ name, columns }) => [name, columns.map((one) => one.name)])),
    [tables.data],
  );
  const show = (query: string) => {
    setTyped(query);
    sql.run(query, []);
  };
  return (
    <>
      <PageHead title="SQL" about="One select over datasets by name and over files of the workspace by path." />
      <div className="sql-page">
        <Sources tables={tables} onQuery={show} />
        <div className="stack">
          <QueryCard
            text={text}
            names={names}
            search={search}
            sql={sql}
            onText={setTyped}
            onChange={change}
            onPast={(query) => {
              setTyped(query);
              change({ params: undefined });
            }}
          />
          <ResultCard sql={sql} search={search} onChange={change} />
        </div>
      </div>
    </>
  );
}
