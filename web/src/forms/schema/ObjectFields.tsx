import { useId, useState } from "react";
import { Message } from "../../ui/Message";
import { MapField } from "./MapField";
import { SecretField } from "./SecretField";
import type { OuterProps } from "./props";
import { blank, type FieldShape } from "./shape";

/** Fields of a mapping: those that are needed or set, and the others to be added. */
export function ObjectFields(props: OuterProps<"object">) {
  const { shape, value, onChange, words, secrets, label, inner: Inner } = props;
  const [more, setMore] = useState<readonly string[]>([]);
  const given = typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
  const few = !shape.more && shape.fields.length <= 4;
  const known = (name: string) => shape.fields.some((field) => field.name === name);
  const split = (own: boolean) => Object.fromEntries(Object.entries(given).filter(([name]) => known(name) !== own));
  const shown = shape.fields.filter(({ name, required }) => few || required || name in given || more.includes(name));
  const hidden = shape.fields.filter((field) => !shown.includes(field));
  const change = (field: FieldShape, next: unknown) => {
    const { [field.name]: _, ...rest } = given;
    // An empty text of what need not be there is nothing.
    const gone = next === undefined || (next === "" && !field.required) || (isEmpty(next) && !field.required);
    if (gone) setMore((before) => [...before, field.name]);
    onChange(gone ? rest : field.name in given ? { ...given, [field.name]: next } : { ...rest, [field.name]: next });
  };
  return (
    <div className="stack" style={{ gap: 10 }}>
      {shape.more && (
        <MapField
          shape={{ kind: "map", value: shape.more }}
          value={split(true)}
          label={label}
          words={words}
          secrets={secrets}
          inner={Inner}
          onChange={(next) => onChange({ ...split(false), ...(next as Fields) })}
        />
      )}
      {shown.map((field) => (
        <Labelled key={field.name} field={field}>
          {(id, describedBy) =>
            secrets?.has(field.name) && field.shape.kind !== "map" ? (
              <SecretField
                id={id}
                describedBy={describedBy}
                name={field.name}
                value={given[field.name]}
                onChange={(next) => change(field, next)}
              />
            ) : (
              <Inner
                shape={field.shape}
                value={
                  given[field.name] ??
                  (field.shape.kind === "choice" || field.shape.kind === "boolean" ? field.standard : undefined)
                }
                label={field.name}
                id={id}
                describedBy={describedBy}
                words={words}
                secrets={secrets}
                onChange={(next) => change(field, next)}
              />
            )
          }
        </Labelled>
      ))}
      {hidden.length > 0 && (
        <select
          className="input"
          aria-label={`another option of ${label}`}
          value=""
          onChange={(event) => {
            const field = hidden.find(({ name }) => name === event.target.value);
            if (!field) return;
            setMore([...more, field.name]);
            if (field.shape.kind === "choice" || field.shape.kind === "boolean")
              change(field, field.standard ?? blank(field.shape));
          }}
        >
          <option value="">Add an option…</option>
          {hidden.map((field) => (
            <option key={field.name} value={field.name} title={field.about}>
              {field.name}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

type Fields = Record<string, unknown>;

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

const SINGLE = ["text", "number", "boolean", "choice", "any"];

function Labelled({
  field,
  children,
}: {
  field: FieldShape;
  children: (id: string | undefined, describedBy: string) => React.ReactNode;
}) {
  const id = useId();
  const single = SINGLE.includes(field.shape.kind);
  return (
    <div className="field">
      {single ? (
        <label htmlFor={id}>{field.name}</label>
      ) : (
        <span className="label" aria-hidden>
          {field.name}
        </span>
      )}
      {children(single ? id : undefined, `${id}-help`)}
      <span id={`${id}-help`} className="help">
        <Message text={[field.required ? null : "Optional.", field.about].filter(Boolean).join(" ")} />
      </span>
    </div>
  );
}
