import { useEffect, useState } from "react";

export interface ChartColors {
  text: string;
  muted: string;
  line: string;
  surface: string;
  bad: string;
  series: string[];
}

/** Okabe and Ito's colours, told apart by everyone; darker on white, lighter on black. */
const LIGHT = ["#0064a8", "#b34e00", "#007a59", "#a8457f", "#7a6a00", "#2b8ab8", "#6b4fb0", "#555c69"];
const DARK = ["#6db9f2", "#ffa45c", "#4fd0a5", "#ef9dcb", "#e8dc5a", "#9ad7f5", "#bda8ff", "#b4bccb"];

function read(): ChartColors {
  const root = document.documentElement;
  const style = getComputedStyle(root);
  const get = (name: string) => style.getPropertyValue(name).trim();
  const dark = root.getAttribute("data-mantine-color-scheme") === "dark";
  return {
    text: get("--text"),
    muted: get("--text-2"),
    line: get("--line"),
    surface: get("--surface"),
    bad: get("--bad"),
    series: dark ? DARK : LIGHT,
  };
}

/** The colours of the scheme in force; follows its change. */
export function useChartColors(): ChartColors {
  const [colors, setColors] = useState(read);
  useEffect(() => {
    const observer = new MutationObserver(() => setColors(read()));
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });
    return () => observer.disconnect();
  }, []);
  return colors;
}
