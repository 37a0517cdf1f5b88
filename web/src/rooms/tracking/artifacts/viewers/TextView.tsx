import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { bytes } from "../../../../format/bytes";
import { Answer } from "../../../../ui/Answer";
import { CodeView } from "../../../../ui/CodeView";
import { isBinary, languageOf } from "../kinds";
import { partsQuery } from "../queries";
import { NotShown } from "./NotShown";
import type { ViewerProps } from "./viewer";

/** Text that a page still moves smoothly in. */
const MOST = 8_000_000;

/** A text with colours; long ones come part by part. */
export function TextView({ path, name, size }: ViewerProps) {
  const query = useInfiniteQuery(partsQuery(path, size));
  const { data } = query;
  const read = useMemo(() => {
    const decoder = new TextDecoder();
    const parts = data?.pages ?? [];
    const text = parts.map(({ bytes: part }) => decoder.decode(part, { stream: true })).join("");
    return { text, length: parts.reduce((sum, part) => sum + part.bytes.length, 0), total: parts[0]?.total ?? 0 };
  }, [data]);
  return (
    <Answer query={query} rows={10}>
      {({ pages }) =>
        pages[0] && isBinary(pages[0].bytes) ? (
          <NotShown path={path} what="This file is no text." />
        ) : (
          <div className="stack" style={{ gap: 6 }}>
            {read.total === 0 ? (
              <p className="muted">The file is empty.</p>
            ) : (
              <CodeView text={read.text} language={languageOf(name)} label={`content of ${name}`} />
            )}
            {query.hasNextPage && (
              <div className="row small">
                <span className="muted">
                  {bytes(read.length)} of {bytes(read.total)} read.
                </span>
                {read.length < MOST ? (
                  <button
                    type="button"
                    className="button"
                    disabled={query.isFetchingNextPage}
                    onClick={() => void query.fetchNextPage()}
                  >
                    {query.isFetchingNextPage ? "Reading…" : "Load more"}
                  </button>
                ) : (
                  <span className="muted">Download the file to see the rest.</span>
                )}
              </div>
            )}
          </div>
        )
      }
    </Answer>
  );
}
