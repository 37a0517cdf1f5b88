import type { OuterProps } from "./props";
import { blank, fits, type Shape } from "./shape";

/** A value that may have one of several shapes. */
export function EitherField(props: OuterProps<"either">) {
  const { inner: Inner, ...rest } = props;
  const { shape, value, onChange, label } = rest;
  const at = Math.max(
    0,
    shape.options.findIndex((option) => fits(value, option.shape)),
  );
  const option = shape.options[at];
  return (
    <div className="stack" style={{ gap: 4 }}>
      <select
        className="input"
        aria-label={`how ${label} is given`}
        value={at}
        onChange={(event) => {
          const next = shape.options[Number(event.target.value)];
          if (next) onChange(blank(next.shape));
        }}
      >
        {shape.options.map((one, index) => (
          <option key={`${one.label}${one.shape.kind}`} value={index}>
            {WORDS[one.shape.kind] ?? one.label}
          </option>
        ))}
      </select>
      {option && <Inner {...rest} id={undefined} shape={option.shape} />}
    </div>
  );
}

const WORDS: Partial<Record<Shape["kind"], string>> = {
  text: "as a text",
  list: "as a list",
  map: "as names with values",
  number: "as a number",
  boolean: "as true or false",
  object: "with options",
};
