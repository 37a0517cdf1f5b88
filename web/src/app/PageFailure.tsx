import { explain } from "../ui/Answer";
import { Failure } from "../ui/Failure";
import { PageHead } from "../ui/PageHead";

/** A page that could not be drawn. */
export function PageFailure({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <>
      <PageHead title="This page failed" />
      <Failure problem={explain(error)} retry={reset} />
    </>
  );
}
