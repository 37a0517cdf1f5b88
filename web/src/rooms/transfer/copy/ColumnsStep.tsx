import { useQuery } from "@tanstack/react-query";
import { Answer } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { copyRowsQuery } from "../queries";
import { ColumnTable } from "./ColumnTable";
import { plansOf, sourceOnly, withOptions, withPlans } from "./config";
import type { CopyStepProps } from "./CopyPage";
import { CopyRows } from "./CopyRows";

/** Which columns go on, under which names and types; and what that looks like. */
export function ColumnsStep({ config, onChange }: CopyStepProps) {
  const source = sourceOnly(config);
  const look = useQuery(copyRowsQuery(source, Boolean(config.from)));
  if (!config.from) return <p className="muted">Choose a source first.</p>;
  return (
    <Answer query={look} rows={8}>
      {({ table, problem }) =>
        table ? (
          <div className="stack">
            <ColumnTable
              plans={plansOf(config, table.columns)}
              sample={table.rows[0]}
              onChange={(plans) => onChange(withPlans(config, plans))}
            />
            <h3>As it will be</h3>
            <CopyRows config={withOptions(config, ["to"], {})} label="rows as they will be" />
          </div>
        ) : (
          <Failure problem={problem ?? { message: "the source has no columns" }} />
        )
      }
    </Answer>
  );
}
