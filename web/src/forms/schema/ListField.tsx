import IconPlus from "@tabler/icons-react/dist/esm/icons/IconPlus.mjs";
import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import type { OuterProps } from "./props";
import { blank } from "./shape";

/** Items one below the other. One alone is taken as a list of one. */
export function ListField({ shape, value, onChange, label, words, secrets, inner: Inner }: OuterProps<"list">) {
  const items = Array.isArray(value) ? value : value === undefined || value === null || value === "" ? [] : [value];
  return (
    <div className="stack" style={{ gap: 4 }} role="group" aria-label={label}>
      {items.map((item, at) => (
        // oxlint-disable-next-line react/no-array-index-key
        <div className="form-line" key={at}>
          <Inner
            shape={shape.item}
            value={item}
            label={`${label}, ${at + 1}`}
            words={words}
            secrets={secrets}
            onChange={(next) => onChange(items.map((old, index) => (index === at ? next : old)))}
          />
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Remove ${label}, ${at + 1}`}
            onClick={() => onChange(items.filter((_, index) => index !== at))}
          >
            <IconX size={14} aria-hidden />
          </button>
        </div>
      ))}
      <button
        type="button"
        className="button small"
        style={{ alignSelf: "start" }}
        onClick={() => onChange([...items, blank(shape.item)])}
      >
        <IconPlus size={13} aria-hidden />
        Add<span className="visually-hidden"> to {label}</span>
      </button>
    </div>
  );
}
