import { type ReactNode, useRef } from "react";
import { elementUrl } from "./elementSvg";
import { ExportMenu } from "./ExportMenu";

interface ChartFrameProps {
  title: string;
  note?: ReactNode;
  /** The numbers behind the picture. */
  data: { columns: string[]; rows: unknown[][] };
  /** Gives the picture as an SVG data URL; null until there is one. Without it, the picture is made of what the frame holds. */
  picture?: (() => string) | null;
  actions?: ReactNode;
  children: ReactNode;
}

/** A chart with its title and the ways to save it. */
export function ChartFrame({ title, note, data, picture, actions, children }: ChartFrameProps) {
  const body = useRef<HTMLDivElement>(null);
  const held = () => (body.current ? elementUrl(body.current) : "");
  return (
    <figure style={{ margin: 0, minWidth: 0 }}>
      <figcaption className="row spread" style={{ flexWrap: "nowrap" }}>
        <span style={{ minWidth: 0, overflowWrap: "anywhere" }}>
          <strong>{title}</strong> {note && <span className="muted small">{note}</span>}
        </span>
        <span className="row" style={{ flexWrap: "nowrap" }}>
          {actions}
          <ExportMenu title={title} data={data} draw={picture === undefined ? held : picture} />
        </span>
      </figcaption>
      <div ref={body}>{children}</div>
    </figure>
  );
}
