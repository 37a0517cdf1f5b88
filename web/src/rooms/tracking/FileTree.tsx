import type { ArtifactFile } from "../../api/types.gen";
import { bytes } from "../../format/bytes";

interface FileTreeProps {
  files: ArtifactFile[];
  address?: (path: string) => string;
}

/** Files by path, indented by folder; each can be opened. */
export function FileTree({ files, address }: FileTreeProps) {
  if (files.length === 0) return <p className="muted">No files.</p>;
  const sorted = files.toSorted((a, b) => a.path.localeCompare(b.path));
  return (
    <ul className="tree">
      {sorted.map((file) => {
        const parts = file.path.split("/");
        const name = parts.at(-1) ?? file.path;
        return (
          <li key={file.path} style={{ paddingLeft: (parts.length - 1) * 16 }}>
            {file.is_dir ? (
              <span>{name}/</span>
            ) : address ? (
              <a href={address(file.path)} target="_blank" rel="noreferrer">
                {name}
              </a>
            ) : (
              <span>{name}</span>
            )}
            {!file.is_dir && <span className="muted small">{bytes(file.size_bytes)}</span>}
          </li>
        );
      })}
    </ul>
  );
}
