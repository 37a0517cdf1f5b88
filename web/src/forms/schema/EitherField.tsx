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
          <option key={`${wordFor(one, shape.options)} ${one.label}`} value={index}>
            {wordFor(one, shape.options)}
          </option>
        ))}
      </select>
      {option && !isWord(option.shape) && <Inner {...rest} id={undefined} shape={option.shape} />}
    </div>
  );
}

/** What an option is called beside the others: by its only field or word, by its kind, or by what is said about it. */
function wordFor(option: Option, others: Option[]): string {
  const word = named(option.shape) ?? WORDS[option.shape.kind];
  const same = others.filter(({ shape }) => (named(shape) ?? WORDS[shape.kind]) === word);
  return word && same.length === 1 ? word : option.label;
}

/** Whether nothing is left to say once the shape is chosen. */
const isWord = (shape: Shape) => shape.kind === "choice" && shape.options.length === 1;

function named(shape: Shape): string | undefined {
  if (shape.kind === "object" && shape.fields.length === 1) return shape.fields[0]?.name;
  if (shape.kind === "choice" && shape.options.length === 1) return String(shape.options[0]?.value);
  return undefined;
}

type Option = Extract<Shape, { kind: "either" }>["options"][number];

const WORDS: Partial<Record<Shape["kind"], string>> = {
  text: "as a text",
  list: "as a list",
  map: "as names with values",
  number: "as a number",
  boolean: "as true or false",
  object: "with options",
};
