import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { count } from "../../../format/number";
import { join, shownAddress } from "../artifacts/addresses";
import { type ImageStep, imagesByKey } from "../artifacts/series";

interface ImageGridProps {
  /** The folder of the images in the artifact store. */
  folder: string;
  /** Names of what lies there. */
  names: readonly string[];
  chosen?: string;
  onChoose: (key: string) => void;
  onOpen: (name: string) => void;
}

const CELL = 190;
const ROW = 216;

/** What `mlflow.log_image` logged, one key at a time, a picture a step; only those in sight are loaded. */
export function ImageGrid({ folder, names, chosen, onChoose, onOpen }: ImageGridProps) {
  const byKey = useMemo(() => imagesByKey(names), [names]);
  const keys = [...byKey.keys()];
  const key = chosen !== undefined && byKey.has(chosen) ? chosen : keys[0];
  const images = key === undefined ? [] : (byKey.get(key) ?? []);
  if (key === undefined) return <p className="muted">No image was logged by step.</p>;
  return (
    <div className="stack">
      <div className="row small">
        <label className="row">
          image
          <select className="input" value={key} onChange={(event) => onChoose(event.target.value)}>
            {keys.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <span className="muted">{count(images.length)} steps</span>
      </div>
      <Grid key={key} name={key} folder={folder} images={images} onOpen={onOpen} />
    </div>
  );
}

interface GridProps {
  name: string;
  folder: string;
  images: readonly ImageStep[];
  onOpen: (name: string) => void;
}

function Grid({ name, folder, images, onOpen }: GridProps) {
  const host = useRef<HTMLDivElement>(null);
  const [across, setAcross] = useState(4);
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setAcross(Math.max(1, Math.floor(element.clientWidth / CELL))));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const lines = Math.ceil(images.length / across);
  const rows = useVirtualizer({
    count: lines,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 2,
  });
  return (
    <div
      ref={host}
      tabIndex={0}
      role="region"
      aria-label={`${name} by step`}
      style={{ height: Math.min(lines * ROW, 660), overflow: "auto" }}
    >
      <div style={{ height: rows.getTotalSize(), position: "relative" }}>
        {rows.getVirtualItems().map(({ index, start }) => (
          <div key={index} className="image-row" style={{ top: start, gridTemplateColumns: `repeat(${across}, 1fr)` }}>
            {images.slice(index * across, (index + 1) * across).map(({ step, small, full }) => (
              <button key={step} type="button" className="image-cell" onClick={() => onOpen(full)}>
                <img src={shownAddress(join(folder, small))} alt={`${name} at step ${step}`} loading="lazy" />
                <span className="small">step {count(step)}</span>
              </button>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}
