import { useQuery } from "@tanstack/react-query";
import { bytes } from "../../../format/bytes";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { artifactAddress, artifactsQuery } from "../queries";
import { FileTree } from "../FileTree";

/** Files that a tracked run has logged. */
export function Artifacts({ run }: { run: string }) {
  const files = useQuery(artifactsQuery(run));
  const total = files.data?.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0);
  return (
    <Card title="Artifacts" actions={total ? <span className="muted small">{bytes(total)}</span> : undefined}>
      <Answer query={files}>
        {(found) => <FileTree files={found} address={(path) => artifactAddress(run, path)} />}
      </Answer>
    </Card>
  );
}
