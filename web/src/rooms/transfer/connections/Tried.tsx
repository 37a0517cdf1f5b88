import IconCheck from "@tabler/icons-react/dist/esm/icons/IconCheck.mjs";
import type { TriedConnection } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { plural } from "../../../format/number";
import { Failure } from "../../../ui/Failure";
import { Message } from "../../../ui/Message";

/** What came of a try: what answered and what is there, or what is wrong. */
export function Tried({ tried, name }: { tried: TriedConnection; name: string }) {
  if (tried.problem) return <Failure problem={tried.problem} />;
  return (
    <div className="stack tried" role="status" style={{ gap: 6 }}>
      <p>
        <span className="status tone-ok">
          <IconCheck size={14} aria-hidden /> answers
        </span>{" "}
        <Message text={tried.said} /> <span className="muted small">in {duration(tried.elapsed_ms)}</span>
      </p>
      {tried.names.length > 0 && (
        <>
          <p className="muted small">{plural(tried.names.length, "name")} there:</p>
          <ul className="plain row small" aria-label="what is there" style={{ gap: 4 }}>
            {tried.names.slice(0, SHOWN).map((found) => (
              <li key={found} className="tag mono">
                {name ? `${name}:${found}` : found}
              </li>
            ))}
            {tried.names.length > SHOWN && <li className="muted">and {tried.names.length - SHOWN} more</li>}
          </ul>
        </>
      )}
    </div>
  );
}

/** Names that are shown; the others are counted. */
const SHOWN = 40;
