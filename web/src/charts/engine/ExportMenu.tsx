import { Menu } from "@mantine/core";
import IconDots from "@tabler/icons-react/dist/esm/icons/IconDots.mjs";
import { csv } from "../../format/csv";
import { save } from "../../ui/save";
import { png } from "./picture";

interface ExportMenuProps {
  title: string;
  /** The numbers behind the picture. */
  data: { columns: string[]; rows: unknown[][] };
  /** Gives the picture as an SVG data URL; null if there is none yet. */
  draw: (() => string | Promise<string>) | null;
}

/** A chart as a file: the picture as PNG or SVG, the numbers as CSV. */
export function ExportMenu({ title, data, draw }: ExportMenuProps) {
  const saveCsv = () => save(`${title}.csv`, csv(data.columns, data.rows), "text/csv");
  const saveSvg = async () => draw && save(`${title}.svg`, await draw(), "image/svg+xml");
  const savePng = async () => {
    if (!draw) return;
    const surface = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
    save(`${title}.png`, await png(await draw(), surface), "image/png");
  };
  return (
    <Menu position="bottom-end" withinPortal={false}>
      <Menu.Target>
        <button type="button" className="button quiet icon" aria-label={`Export ${title}`}>
          <IconDots size={16} aria-hidden />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {draw && <Menu.Item onClick={() => void savePng()}>Save as PNG</Menu.Item>}
        {draw && <Menu.Item onClick={() => void saveSvg()}>Save as SVG</Menu.Item>}
        <Menu.Item onClick={saveCsv}>Save as CSV</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
