import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { useEffect, useRef } from "react";

interface ChartProps {
  option: EChartsCoreOption;
  height: number;
  label: string;
  /** Receives what makes the picture, for the export. */
  onReady?: (picture: () => string) => void;
}

/** The one place that draws with ECharts, which is loaded when the first chart is shown. */
export function Chart({ option, height, label, onReady }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef({ option, onReady });

  useEffect(() => {
    latest.current = { option, onReady };
    chart.current?.setOption(option, { notMerge: true });
  }, [option, onReady]);

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
