import { value } from "../../format/value";
import { useChartColors } from "./colors";
import type { FieldAxis } from "./field";

/** What the colours of a plot mean. */
export function Ramp({ axis }: { axis: FieldAxis }) {
  const { ramp } = useChartColors();
  const [from, to] = axis.words ? [axis.words[0], axis.words.at(-1)] : [axis.least, axis.most];
  return (
    <span className="row small" style={{ display: "inline-flex", gap: 6 }}>
      coloured by {axis.name}, {value(from)}
      <span
        aria-hidden
        style={{ width: 60, height: 8, borderRadius: 2, background: `linear-gradient(90deg, ${ramp.join(",")})` }}
      />
      {value(to)}
    </span>
  );
}
