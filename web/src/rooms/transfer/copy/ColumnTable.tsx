import { value } from "../../../format/value";
import { Words } from "../../../forms/schema/Words";
import { type ColumnPlan, TYPES } from "./config";

interface ColumnTableProps {
  plans: readonly ColumnPlan[];
  /** The first row. */
  sample?: readonly unknown[];
  onChange: (plans: ColumnPlan[]) => void;
}

/** The columns of the source: kept or not, their names and their types in the sink. */
export function ColumnTable({ plans, sample, onChange }: ColumnTableProps) {
  const change = (at: number, next: Partial<ColumnPlan>) =>
    onChange(plans.map((plan, index) => (index === at ? { ...plan, ...next } : plan)));
  return (
    <div className="table-scroll copy-columns" tabIndex={0} role="region" aria-label="columns">
      <table className="table">
        <thead>
          <tr>
            {["Copy", "Column", "Read as", "First value", "Name", "Type"].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {plans.map((plan, at) => (
            <tr key={plan.source}>
              <td>
                <input
                  type="checkbox"
                  aria-label={`copy ${plan.source}`}
                  checked={plan.kept}
                  onChange={(event) => change(at, { kept: event.target.checked })}
                />
              </td>
              <td className="mono">{plan.source}</td>
              <td className="muted">{plan.read}</td>
              <td className="muted">{value(sample?.[at])}</td>
              <td>
                <input
                  className="input mono"
                  aria-label={`name of ${plan.source}`}
                  key={plan.name}
                  disabled={!plan.kept}
                  defaultValue={plan.name}
                  onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
                  onBlur={({ target }) =>
                    target.value.trim() !== plan.name && change(at, { name: target.value.trim() })
                  }
                />
              </td>
              <td>
                <input
                  className="input mono"
                  aria-label={`type of ${plan.source}`}
                  key={plan.type}
                  list="copy-types"
                  disabled={!plan.kept}
                  defaultValue={plan.type}
                  placeholder="as read"
                  onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
                  onBlur={({ target }) =>
                    target.value.trim() !== plan.type && change(at, { type: target.value.trim() })
                  }
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Words id="copy-types" words={TYPES} />
    </div>
  );
}
