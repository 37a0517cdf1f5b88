import type { StorageUseView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Facts } from "../../../ui/Facts";

/** What something takes, by kind. */
export function StorageFacts({ storage }: { storage: StorageUseView }) {
  const measured = storage.measured_at;
  return (
    <Facts
      facts={[
        ["In all", bytes(storage.total_bytes)],
        ["Files", `${bytes(storage.artifact_bytes)} in ${plural(storage.files, "file")}`],
        ["Metric histories", bytes(storage.point_bytes)],
        ["Latest values", bytes(storage.document_bytes)],
        ["Traces", storage.traces > 0 && `${bytes(storage.trace_bytes)} in ${plural(storage.traces, "trace")}`],
        ["Measured", measured && <Ago key={measured} at={measured} />],
      ]}
    />
  );
}
