import { ago, dateTime } from "../format/time";
import { useNow } from "./useNow";

/** How long ago, with the whole date on hover. */
export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow(true, 10_000);
  return (
    <time dateTime={at ?? undefined} title={dateTime(at)} className="nowrap">
      {ago(at, now)}
    </time>
  );
}
