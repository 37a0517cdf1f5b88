import type { CostView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { duration } from "../../../format/duration";

/** What was used, as words; what nobody measured is not named. */
export function costWords(cost: CostView): string {
  const parts = [
    cost.cpu_ms === null ? null : `${duration(cost.cpu_ms)} CPU`,
    cost.peak_memory_bytes === null ? null : `${bytes(cost.peak_memory_bytes)} memory`,
    cost.read_bytes === null ? null : `${bytes(cost.read_bytes)} read`,
    cost.written_bytes === null ? null : `${bytes(cost.written_bytes)} written`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** Processor time by where it was spent, for a tooltip. */
export function cpuWords(cost: CostView): string | undefined {
  if (cost.cpu_user_ms === null && cost.cpu_system_ms === null) return undefined;
  return `${duration(cost.cpu_user_ms)} in the program, ${duration(cost.cpu_system_ms)} in the kernel`;
}
