import { type ReactNode, useCallback, useMemo, useState } from "react";
import { Chart } from "../engine/Chart";
import { ChartFrame } from "../engine/ChartFrame";
import { useChartColors } from "../engine/colors";
import { lineData } from "./data";
import { type Line, type LineLook, lineOptions } from "./options";

interface LineChartProps {
  title: string;
  note?: ReactNode;
  lines: Line[];
  look?: LineLook;
  height?: number;
  actions?: ReactNode;
}

const PLAIN: LineLook = {};

/** Curves over a number or time. */
export function LineChart({ title, note, lines, look = PLAIN, height = 220, actions }: LineChartProps) {
  const colors = useChartColors();
  const [picture, setPicture] = useState<(() => string) | null>(null);
  const ready = useCallback((draw: () => string) => setPicture(() => draw), []);
  const option = useMemo(() => lineOptions(lines, look, colors), [lines, look, colors]);
  const data = useMemo(() => lineData(title, lines, look), [title, lines, look]);
  const label = `${title}: ${lines.map((line) => line.name).join(", ")}`;
  return (
    <ChartFrame title={title} note={note} data={data} picture={picture} actions={actions}>
      <Chart option={option} height={height} label={label} onReady={ready} />
    </ChartFrame>
  );
}
