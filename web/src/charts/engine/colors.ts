import { useEffect, useState } from "react";

export interface ChartColors {
  text: string;
  muted: string;
  line: string;
  surface: string;
  bad: string;
  series: string[];
  /** From little to much. */
  ramp: string[];
}

/** Okabe and Ito's colours, told apart by everyone; darker on white, lighter on black. */
const LIGHT = ["#0064a8", "#b34e00", "#007a59", "#a8457f", "#7a6a00", "#2b8ab8", "#6b4fb0", "#555c69"];
const DARK = ["#6db9f2", "#ffa45c", "#4fd0a5", "#ef9dcb", "#e8dc5a", "#9ad7f5", "#bda8ff", "#b4bccb"];

/** After cividis, which people with and without full colour vision see alike; the end stands out from the background. */
const LIGHT_RAMP = ["#c7b04c", "#8d8878", "#4a6a9c", "#00224e"];
const DARK_RAMP = ["#3f6bb5", "#8090a8", "#c2b76a", "#ffe945"];

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
    ramp: dark ? DARK_RAMP : LIGHT_RAMP,
  };
}

/** The colour of a share between 0 and 1 of a ramp. */
export function shade(ramp: readonly string[], share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const at = Math.min(Math.floor(place), ramp.length - 2);
  const [from, to] = [channels(ramp[at]), channels(ramp[at + 1])];
  return `rgb(${from.map((value, index) => Math.round(value + ((to[index] ?? 0) - value) * (place - at))).join(",")})`;
}

function channels(hex = "#000000"): number[] {
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
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
