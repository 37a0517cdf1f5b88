import { Menu } from "@mantine/core";
import IconDots from "@tabler/icons-react/dist/esm/icons/IconDots.mjs";
import type { ReactNode } from "react";
import { csv } from "../../format/csv";
import { save } from "../../ui/save";
import { png } from "./picture";

interface ChartFrameProps {
  title: string;
  note?: ReactNode;
  /** The numbers behind the picture. */
  data: { columns: string[]; rows: unknown[][] };
  /** Gives the picture as an SVG data URL. */
  picture?: (() => string) | null;
  actions?: ReactNode;
  children: ReactNode;
}

/** A chart's title and its menu: the picture as PNG or SVG, the numbers as CSV. */
export function ChartFrame({ title, note, data, picture, actions, children }: ChartFrameProps) {
  const saveCsv = () => save(`${title}.csv`, csv(data.columns, data.rows), "text/csv");
  const saveSvg = () => picture && save(`${title}.svg`, picture(), "image/svg+xml");
  const savePng = async () => {
    if (!picture) return;
    const surface = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
    save(`${title}.png`, await png(picture(), surface), "image/png");
  };
  return (
    <figure style={{ margin: 0, minWidth: 0 }}>
      <figcaption className="row spread" style={{ flexWrap: "nowrap" }}>
        <span>
          <strong>{title}</strong> {note && <span className="muted small">{note}</span>}
        </span>
        <span className="row" style={{ flexWrap: "nowrap" }}>
          {actions}
          <Menu position="bottom-end" withinPortal={false}>
            <Menu.Target>
              <button type="button" className="button quiet icon" aria-label={`Export ${title}`}>
                <IconDots size={16} aria-hidden />
              </button>
            </Menu.Target>
            <Menu.Dropdown>
              {picture && <Menu.Item onClick={() => void savePng()}>Save as PNG</Menu.Item>}
              {picture && <Menu.Item onClick={saveSvg}>Save as SVG</Menu.Item>}
              <Menu.Item onClick={saveCsv}>Save as CSV</Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </span>
      </figcaption>
      {children}
    </figure>
  );
}
