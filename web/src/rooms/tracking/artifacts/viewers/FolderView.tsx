import { useQuery } from "@tanstack/react-query";
import { bytes } from "../../../../format/bytes";
import { plural } from "../../../../format/number";
import { Answer } from "../../../../ui/Answer";
import { folderQuery } from "../queries";
import { ModelFolder } from "./ModelFolder";

interface FolderViewProps {
  path: string;
  onFile: (name: string) => void;
}

/** What a folder holds; a model folder says what the model is. */
export function FolderView({ path, onFile }: FolderViewProps) {
  const query = useQuery(folderQuery(path));
  return (
    <Answer query={query}>
      {(files) => {
        const folders = files.filter((file) => file.is_dir).length;
        const size = files.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0);
        const held = [
          folders > 0 && plural(folders, "folder"),
          `${plural(files.length - folders, "file")}, ${bytes(size)}`,
        ];
        return (
          <div className="stack">
            <p className="muted small">{held.filter(Boolean).join(" and ")} here, without what lies deeper.</p>
            {files.some((file) => file.path === "MLmodel") && (
              <ModelFolder path={path} files={files.map((file) => file.path)} onFile={onFile} />
            )}
          </div>
        );
      }}
    </Answer>
  );
}
