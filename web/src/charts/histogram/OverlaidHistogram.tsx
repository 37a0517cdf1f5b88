import { useRef } from "react";
import { percent } from "../../format/number";
import { ChartFrame } from "../engine/ChartFrame";
import { svgUrl } from "../engine/picture";

interface OverlaidHistogramProps {
  title: string;
  note?: string;
  /** One label a bin or category. */
  bins: string[];
  reference: number[];
  current: number[];
}

const WIDTH = 300;
const HEIGHT = 110;

/** Two distributions as shares over the same bins: the reference filled, the current one as an outline. */
export function OverlaidHistogram({ title, note, bins, reference, current }: OverlaidHistogramProps) {
  const svg = useRef<SVGSVGElement>(null);
  const before = shares(reference);
  const after = shares(current);
  const top = Math.max(...before, ...after, 1e-9);
  const step = WIDTH / Math.max(bins.length, 1);
  const y = (share: number) => HEIGHT - (share / top) * (HEIGHT - 6);
  const outline = after.map((share, i) => `${i === 0 ? "M" : "L"}${i * step} ${y(share)}H${(i + 1) * step}`).join("");
  const data = {
    columns: ["bin", "reference", "current"],
    rows: bins.map((bin, index) => [bin, reference[index], current[index]]),
  };
  return (
    <ChartFrame title={title} note={note} data={data} picture={() => (svg.current ? svgUrl(svg.current) : "")}>
      <svg
        ref={svg}
        viewBox={`0 0 ${WIDTH} ${HEIGHT + 16}`}
        role="img"
        aria-label={`${title}: reference and current`}
        width="100%"
      >
        {bins.map((bin, index) => (
          <g key={bin}>
            <title>{`${bin}: reference ${percent(before[index])}, current ${percent(after[index])}`}</title>
            <rect x={index * step} y={0} width={step} height={HEIGHT} fill="transparent" />
            <rect
              x={index * step + 0.5}
              y={y(before[index] ?? 0)}
              width={Math.max(step - 1, 0.5)}
              height={HEIGHT - y(before[index] ?? 0)}
              fill="var(--line-strong)"
            />
          </g>
        ))}
        <path d={outline} fill="none" stroke="var(--accent)" strokeWidth={2} />
        <line x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} stroke="var(--line-strong)" />
        <text x={0} y={HEIGHT + 12} fontSize={10} fill="var(--text-2)">
          {bins[0]}
        </text>
        <text x={WIDTH} y={HEIGHT + 12} fontSize={10} textAnchor="end" fill="var(--text-2)">
          {bins.at(-1)}
        </text>
      </svg>
    </ChartFrame>
  );
}

function shares(counts: number[]): number[] {
  const total = counts.reduce((sum, value) => sum + value, 0);
  return total === 0 ? counts : counts.map((value) => value / total);
}
