import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { useEffect, useRef } from "react";

interface ChartProps {
  option: EChartsCoreOption;
  height: number;
  label: string;
  /** Receives what makes the picture, for the export. */
  onReady?: (picture: () => string) => void;
  /** A click on a datum, by its number. */
  onPick?: (index: number) => void;
}

/** The one place that draws with ECharts, which is loaded when the first chart is shown. */
export function Chart({ option, height, label, onReady, onPick }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef({ option, onReady, onPick });

  useEffect(() => {
    latest.current.option = option;
    chart.current?.setOption(option, { notMerge: true });
  }, [option]);

  useEffect(() => {
    latest.current.onReady = onReady;
    latest.current.onPick = onPick;
  }, [onReady, onPick]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    let gone = false;
    const observer = new ResizeObserver(() => chart.current?.resize());
    void import("./echarts").then(({ init }) => {
      if (gone) return;
      const made = init(element, undefined, { renderer: "svg" });
      chart.current = made;
      made.setOption(latest.current.option);
      made.on("click", ({ dataIndex }) => latest.current.onPick?.(dataIndex));
      latest.current.onReady?.(() => made.getDataURL({ type: "svg" }));
      observer.observe(element);
    });
    return () => {
      gone = true;
      observer.disconnect();
      chart.current?.dispose();
      chart.current = null;
    };
  }, []);

  return <div ref={host} role="img" aria-label={label} style={{ height, width: "100%" }} />;
}
