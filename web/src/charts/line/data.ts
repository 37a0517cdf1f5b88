import type { Line, LineLook } from "./options";

/** The numbers behind a line chart: as they were logged, whatever the smoothing; times as the API writes them. */
export function lineData(
  title: string,
  lines: readonly Line[],
  look: LineLook,
): { columns: string[]; rows: unknown[][] } {
  const bands = look.bands ?? [];
  const time = look.x === "time";
  const rows = lines.flatMap((line) => {
    const band = new Map(
      bands.find(({ name }) => name === line.name)?.points.map(([x, least, most]) => [x, [least, most]]),
    );
    return line.points.map(([x, y]) => {
      const [least, most] = band.get(x) ?? [];
      const row = [line.name, time ? new Date(x).toISOString() : x, y];
      return bands.length > 0 ? [...row, least, most] : row;
    });
  });
  const columns = ["series", look.xName ?? (time ? "time" : "x"), look.yName ?? title];
  return { columns: bands.length > 0 ? [...columns, "least", "most"] : columns, rows };
}
