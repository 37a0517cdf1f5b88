/** A file that was logged again and again. */
export interface SeriesMember {
  step: number;
  name: string;
}

export interface Series {
  /** The name without what changes. */
  label: string;
  /** By step, one file a step: the last that was logged. */
  members: SeriesMember[];
}

/** A file of `mlflow.log_image`: `key+step+10+timestamp+1700000000000+uuid.png`, with `%` in place of `+` by older clients. */
export interface LoggedImage {
  key: string;
  step: number;
  at: number;
  compressed: boolean;
  name: string;
}

const IMAGE = /^(.+?)([+%])step\2(-?\d+)\2timestamp\2(\d+)\2([\da-f-]+?)(\2compressed)?\.(\w+)$/i;

export function loggedImage(name: string): LoggedImage | null {
  const [, key, , step, at, , compressed] = IMAGE.exec(name) ?? [];
  if (key === undefined) return null;
  // A key's slashes are `~` in the name, `#` by older clients.
  return {
    key: key.replaceAll(/[~#]/g, "/"),
    step: Number(step),
    at: Number(at),
    compressed: compressed !== undefined,
    name,
  };
}

/** What a name is without its step, and the step; null if there is no number in it. */
function parts(name: string): { label: string; step: number; at: number } | null {
  const image = loggedImage(name);
  if (image) return { label: `${image.key}${image.compressed ? " (small)" : ""}`, step: image.step, at: image.at };
  const stem = name.replace(/\.\w+$/, "");
  const [, before = "", digits, after = ""] = /^(.*?)(\d+)(\D*)$/.exec(stem) ?? [];
  if (digits === undefined || digits.length > 12) return null;
  return { label: `${before}…${after}${name.slice(stem.length)}`, step: Number(digits), at: 0 };
}

/** The files that were logged like `name` at other steps; null if it is alone. */
export function seriesOf(name: string, siblings: readonly string[]): Series | null {
  const own = parts(name);
  if (!own) return null;
  const last = new Map<number, { name: string; at: number }>();
  for (const sibling of siblings) {
    const other = parts(sibling);
    if (!other || other.label !== own.label) continue;
    if (other.at >= (last.get(other.step)?.at ?? 0)) last.set(other.step, { name: sibling, at: other.at });
  }
  // The file that is asked for counts, also if its step was logged again.
  last.set(own.step, { name, at: own.at });
  if (last.size < 2) return null;
  const members = [...last].map(([step, member]) => ({ step, name: member.name }));
  return { label: own.label, members: members.toSorted((a, b) => a.step - b.step) };
}

export interface ImageStep {
  step: number;
  /** The file to look at, and the one that it is made of. */
  small: string;
  full: string;
}

/** Images by key and step: the last of each step, and its small version where there is one. */
export function imagesByKey(names: readonly string[]): Map<string, ImageStep[]> {
  const byKey = new Map<string, Map<number, { at: number; small?: string; full?: string }>>();
  for (const image of names.map(loggedImage)) {
    if (!image) continue;
    const steps = byKey.get(image.key) ?? new Map<number, { at: number; small?: string; full?: string }>();
    byKey.set(image.key, steps);
    const known = steps.get(image.step);
    if (known && known.at > image.at) continue;
    const found = known?.at === image.at ? known : { at: image.at };
    steps.set(image.step, { ...found, [image.compressed ? "small" : "full"]: image.name });
  }
  return new Map(
    [...byKey]
      .toSorted(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
      .map(([key, steps]) => [key, inOrder(steps)]),
  );
}

function inOrder(steps: Map<number, { small?: string; full?: string }>): ImageStep[] {
  return [...steps]
    .map(([step, { small, full }]) => ({ step, small: small ?? full ?? "", full: full ?? small ?? "" }))
    .toSorted((a, b) => a.step - b.step);
}
