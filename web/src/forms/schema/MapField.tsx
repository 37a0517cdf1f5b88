import IconPlus from "@tabler/icons-react/dist/esm/icons/IconPlus.mjs";
import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import { useId, useState } from "react";
import type { OuterProps } from "./props";
import { SecretField } from "./SecretField";
import { blank } from "./shape";
import { Words } from "./Words";

/** Names with a value each, in their order. */
export function MapField({ shape, value, onChange, label, words, secrets, inner: Inner }: OuterProps<"map">) {
  const list = useId();
  const [fresh, setFresh] = useState("");
  const entries = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  const put = (next: [string, unknown][]) => onChange(Object.fromEntries(next));
  const taken = entries.some(([name]) => name === fresh.trim());
  const add = () => {
    if (fresh.trim() === "" || taken) return;
    put([...entries, [fresh.trim(), blank(shape.value)]]);
    setFresh("");
  };
  return (
    <div className="stack" style={{ gap: 4 }} role="group" aria-label={label}>
      {entries.map(([name, one], at) => (
        <div className="form-line form-pair" key={name}>
          <input
            className="input form-name"
            aria-label={`name ${at + 1} of ${label}`}
            defaultValue={name}
            onBlur={({ target }) => {
              const next = target.value.trim();
              if (next && next !== name && !entries.some(([other]) => other === next))
                put(entries.map(([old, kept]) => [old === name ? next : old, kept]));
              else target.value = name;
            }}
          />
          {secrets?.has(label) ? (
            <SecretField
              id={`${list}-${name}`}
              label={`${name} of ${label}`}
              name={name}
              value={one}
              onChange={(next) => put(entries.map(([old, kept]) => [old, old === name ? next : kept]))}
            />
          ) : (
            <Inner
              shape={shape.value}
              value={one}
              label={`${name} of ${label}`}
              words={words}
              secrets={secrets}
              onChange={(next) => put(entries.map(([old, kept]) => [old, old === name ? next : kept]))}
            />
          )}
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Remove ${name} of ${label}`}
            onClick={() => put(entries.filter(([old]) => old !== name))}
          >
            <IconX size={14} aria-hidden />
          </button>
        </div>
      ))}
      <div className="form-line">
        <input
          className="input"
          aria-label={`new name in ${label}`}
          placeholder="name"
          list={words && words.length > 0 ? list : undefined}
          aria-invalid={taken || undefined}
          value={fresh}
          onChange={(event) => setFresh(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }}
        />
        <Words id={list} words={words} />
        <button type="button" className="button small" disabled={fresh.trim() === "" || taken} onClick={add}>
          <IconPlus size={13} aria-hidden />
          Add<span className="visually-hidden"> to {label}</span>
        </button>
      </div>
    </div>
  );
}
