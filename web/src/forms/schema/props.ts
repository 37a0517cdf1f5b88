import type { ComponentType } from "react";
import type { Shape } from "./shape";

export interface ShapeProps {
  shape: Shape;
  value: unknown;
  onChange: (value: unknown) => void;
  /** What it is, for those who hear it. */
  label: string;
  id?: string;
  describedBy?: string;
  /** Words that may be meant: names of columns, of datasets. */
  words?: readonly string[];
  /** Names of fields whose values nobody may see. */
  secrets?: ReadonlySet<string>;
}

/** Props of a field that has others in it: what draws those is handed to it. */
export type OuterProps<K extends Shape["kind"]> = ShapeProps & {
  shape: Shape & { kind: K };
  inner: ComponentType<ShapeProps>;
};
