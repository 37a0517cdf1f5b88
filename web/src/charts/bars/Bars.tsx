import { number } from "../../format/number";
import { ChartFrame } from "../engine/ChartFrame";

interface BarsProps {
  title: string;
  note?: string;
  bars: { name: string; value: number; spread?: number | null }[];
  limit?: number;
}

/** Named amounts as horizontal bars, longest first. */
export function Bars({ title, note, bars, limit = 20 }: BarsProps) {
  const shown = bars.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, limit);
  const top = Math.max(...shown.map((bar) => Math.abs(bar.value)), 1e-12);
  const data = { columns: ["name", "value"], rows: bars.map((bar) => [bar.name, bar.value]) };
  return (
    <ChartFrame title={title} note={note} data={data}>
      <table className="table" style={{ tableLayout: "fixed" }}>
        <tbody>
          {shown.map((bar) => (
            <tr key={bar.name}>
              <th
                scope="row"
                style={{ width: "38%", position: "static", overflow: "hidden", textOverflow: "ellipsis" }}
                title={bar.name}
              >
                {bar.name}
              </th>
              <td aria-hidden>
                <div
                  style={{
                    width: `${(Math.abs(bar.value) / top) * 100}%`,
                    height: 12,
                    minWidth: 1,
                    borderRadius: 2,
                    background: bar.value < 0 ? "var(--warn)" : "var(--accent)",
                  }}
                />
              </td>
              <td className="num" style={{ width: 92 }}>
                {number(bar.value)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ChartFrame>
  );
}
