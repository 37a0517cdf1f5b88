import IconDownload from "@tabler/icons-react/dist/esm/icons/IconDownload.mjs";
import { lazy, type ReactNode, Suspense } from "react";
import { bytes } from "../../../format/bytes";
import { CopyButton } from "../../../ui/CopyButton";
import { Loading } from "../../../ui/Loading";
import { archiveAddress, downloadAddress, join } from "./addresses";
import { tooLarge, viewerOf, type ViewerKind } from "./kinds";
import type { Series } from "./series";
import { StepSlider } from "./StepSlider";
import { HtmlView, ImageView, PdfView, PlayerView } from "./viewers/MediaView";
import { FolderView } from "./viewers/FolderView";
import { NotShown } from "./viewers/NotShown";
import type { ViewerProps } from "./viewers/viewer";

const TextView = lazy(() => import("./viewers/TextView").then(({ TextView: View }) => ({ default: View })));
const MarkdownView = lazy(() => import("./viewers/MarkdownView").then(({ MarkdownView: View }) => ({ default: View })));
const SeparatedView = lazy(() =>
  import("./viewers/SeparatedView").then(({ SeparatedView: View }) => ({ default: View })),
);
const ParquetView = lazy(() => import("./viewers/ParquetView").then(({ ParquetView: View }) => ({ default: View })));
const JsonView = lazy(() => import("./viewers/JsonView").then(({ JsonView: View }) => ({ default: View })));

interface FileViewProps {
  root: string;
  /** Relative to the root; the root itself if empty. */
  file: string;
  folder: boolean;
  size: number | null;
  /** The file at other steps. */
  series: Series | null;
  onFile: (file: string) => void;
}

/** The chosen file or folder: what it is, how to get it, and how it looks. */
export function FileView({ root, file, folder, size, series, onFile }: FileViewProps) {
  const path = join(root, file);
  const name = file.split("/").at(-1) || "all files";
  const link = `${window.location.origin}${window.location.pathname}${window.location.search}`;
  return (
    <div className="file-view stack">
      <div className="row spread">
        <h3 className="clip" title={file}>
          {name} {!folder && <span className="muted small">{bytes(size)}</span>}
        </h3>
        <span className="row">
          <CopyButton text={link} label="Copy the link to this file" />
          <a className="button" href={folder ? archiveAddress(path) : downloadAddress(path)} download>
            <IconDownload size={15} aria-hidden /> {folder ? "Download as ZIP" : "Download"}
          </a>
        </span>
      </div>
      {series && (
        <StepSlider
          steps={series.members.map(({ step }) => step)}
          step={series.members.find((member) => member.name === name)?.step ?? 0}
          onStep={(step) => {
            const next = series.members.find((member) => member.step === step);
            if (next) onFile(join(file.slice(0, -name.length).replace(/\/$/, ""), next.name));
          }}
        />
      )}
      {folder ? (
        <FolderView path={path} onFile={(inside) => onFile(join(file, inside))} />
      ) : (
        <Suspense fallback={<Loading rows={8} />}>
          <Viewed key={path} path={path} name={name} size={size} />
        </Suspense>
      )}
    </div>
  );
}

function Viewed(props: ViewerProps) {
  const kind = viewerOf(props.name);
  const most = tooLarge(kind, props.size);
  if (most !== null) {
    const what = `This file has ${bytes(props.size)}; a page shows up to ${bytes(most)} of its kind.`;
    // What is text is read from its beginning, whatever its size.
    return kind === "json" || kind === "markdown" ? (
      <>
        <p className="muted small">{what} This is its beginning.</p>
        <TextView {...props} />
      </>
    ) : (
      <NotShown path={props.path} what={what} />
    );
  }
  return VIEWERS[kind](props);
}

const VIEWERS: Record<ViewerKind, (props: ViewerProps) => ReactNode> = {
  image: (props) => <ImageView {...props} />,
  markdown: (props) => <MarkdownView {...props} />,
  separated: (props) => <SeparatedView {...props} />,
  parquet: (props) => <ParquetView {...props} />,
  json: (props) => <JsonView {...props} />,
  html: (props) => <HtmlView {...props} />,
  pdf: (props) => <PdfView {...props} />,
  audio: (props) => <PlayerView {...props} kind="audio" />,
  video: (props) => <PlayerView {...props} kind="video" />,
  text: (props) => <TextView {...props} />,
  none: (props) => <NotShown path={props.path} what="A page does not show files of this kind." />,
};
