import "../../../ui/files.css";
import { useMemo } from "react";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { storePath } from "./addresses";
import { ArtifactTree } from "./ArtifactTree";
import { FileView } from "./FileView";
import { seriesOf } from "./series";
import { useTree } from "./useTree";

interface ArtifactBrowserProps {
  /** Where the files are, as the server says: `mlflow-artifacts:/…`. */
  uri: string;
  /** The file that is shown, relative to it; it stands in the address. */
  file?: string;
  onFile: (file: string) => void;
  title?: string;
}

/** The files of a run or a model: a tree, and the chosen one beside it. */
export function ArtifactBrowser({ uri, file, onFile, title = "Artifacts" }: ArtifactBrowserProps) {
  const root = storePath(uri);
  return (
    <Card
      title={title}
      actions={
        <span className="muted small mono clip" style={{ maxWidth: "min(60vw, 640px)" }} title={uri}>
          {uri}
        </span>
      }
    >
      {root === null ? (
        <Empty
          what="These files are kept elsewhere; this server does not read them. Their address:"
          command={`mlflow artifacts download --artifact-uri '${uri.replaceAll("'", "%27")}'`}
        />
      ) : (
        <Files key={root} root={root} file={file} onFile={onFile} />
      )}
    </Card>
  );
}

function Files({ root, file, onFile }: { root: string; file?: string; onFile: (file: string) => void }) {
  const { top, rows, toggle } = useTree(root, file);
  const row = rows.find(({ path }) => path === file);
  const folder = file?.slice(0, file.lastIndexOf("/") + 1) ?? "";
  const series = useMemo(() => {
    const inside = rows.filter((one) => !one.folder && !one.note && one.path === folder + one.name);
    const name = file?.slice(folder.length);
    return name && inside.some((one) => one.name === name)
      ? seriesOf(
          name,
          inside.map((one) => one.name),
        )
      : null;
  }, [rows, file, folder]);
  return (
    <Answer query={top}>
      {(found) =>
        found.length === 0 ? (
          <p className="muted">No files.</p>
        ) : (
          <div className="files">
            <ArtifactTree rows={rows} selected={file} onToggle={toggle} onSelect={onFile} />
            {file !== undefined && row === undefined && rows.some(({ note }) => note === "loading") ? (
              <div className="file-view muted">Reading…</div>
            ) : file !== undefined && row === undefined ? (
              <div className="file-view muted">
                There is no <span className="mono">{file}</span> among these files.
              </div>
            ) : (
              <FileView
                root={root}
                file={file ?? ""}
                folder={row?.folder ?? true}
                size={row?.size ?? null}
                series={series}
                onFile={onFile}
              />
            )}
          </div>
        )
      }
    </Answer>
  );
}
