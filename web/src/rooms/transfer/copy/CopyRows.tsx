import { useQuery } from "@tanstack/react-query";
import { VirtualTable } from "../../../charts/table/VirtualTable";
import { duration } from "../../../format/duration";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Disclosure } from "../../../ui/Disclosure";
import { Failure } from "../../../ui/Failure";
import { copyRowsQuery } from "../queries";
import type { CopyConfig } from "./config";

/** The first rows as they would be copied, and those that cannot be read. */
export function CopyRows({ config, label }: { config: CopyConfig; label: string }) {
  const rows = useQuery(copyRowsQuery(config, Boolean(config.from)));
  return (
    <Answer query={rows} rows={8}>
      {({ table, problem, rejected, rejects }) => (
        <section className="stack" style={{ gap: 6 }} aria-label={`a look at ${label}`}>
          {problem && <Failure problem={problem} />}
          {table && (
            <>
              <p className="muted small" role="status">
                {table.truncated ? "The first " : ""}
                {plural(table.rows.length, "row")}, {plural(table.columns.length, "column")}, read in{" "}
                {duration(table.elapsed_ms)}
                {rejected > 0 && `; ${plural(rejected, "row")} cannot be read`}
              </p>
              <VirtualTable columns={table.columns} rows={table.rows} label={label} />
            </>
          )}
          {rejects.length > 1 && (
            <Disclosure summary="Rows that cannot be read">
              <pre className="code" tabIndex={0} aria-label="rejected rows">
                {rejects.join("\n")}
              </pre>
            </Disclosure>
          )}
        </section>
      )}
    </Answer>
  );
}
