import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { PurgeOutcome } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Confirm } from "../../../ui/Confirm";
import { Facts } from "../../../ui/Facts";
import { renewAll } from "./queries";

interface PurgeDialogProps {
  title: string;
  /** Stands for what is purged, in the cache. */
  of: string;
  /** Purges, or only says what would go. */
  purge: (dryRun: boolean) => Promise<PurgeOutcome>;
  onClose: () => void;
  onDone?: () => void;
}

const REASONS: Record<string, string> = {
  "not-deleted": "not deleted",
  "in-use": "a pipeline run still writes to it",
  registered: "a registered model refers to it",
  absent: "not there any more",
};

/** Says what goes for good and how many bytes it takes, and does it when told so. */
export function PurgeDialog({ title, of, purge, onClose, onDone }: PurgeDialogProps) {
  const client = useQueryClient();
  const preview = useQuery({ queryKey: ["lifecycle", "purge", of], queryFn: () => purge(true), gcTime: 0 });
  const doing = useMutation({
    mutationFn: () => purge(false),
    onSuccess: async () => {
      onClose();
      onDone?.();
      await renewAll(client);
    },
  });
  const nothing = !preview.data || (of.startsWith("runs") && preview.data.runs === 0);
  return (
    <Confirm
      title={title}
      action="Delete for good"
      busy={doing.isPending}
      idle={nothing}
      error={doing.error}
      onConfirm={() => doing.mutate()}
      onClose={onClose}
    >
      <Answer query={preview} rows={3}>
        {(found) => <Gone found={found} />}
      </Answer>
      <p className="muted small">This cannot be undone. Files that a registered model version names are kept.</p>
    </Confirm>
  );
}

function Gone({ found }: { found: PurgeOutcome }) {
  return (
    <>
      <Facts
        facts={[
          ["Runs", String(found.runs)],
          ["Logged models", String(found.models)],
          ["Traces", found.traces > 0 && String(found.traces)],
          ["Stored", bytes(found.bytes)],
        ]}
      />
      {found.kept.length > 0 && (
        <p className="small">
          {plural(found.kept.length, "run")} stay:{" "}
          {[...new Set(found.kept.map((run) => REASONS[run.reason]))].join(", ")}.
        </p>
      )}
      {found.elsewhere.length > 0 && (
        <p className="small">Files at {found.elsewhere.join(", ")} are not kept here and stay.</p>
      )}
    </>
  );
}
