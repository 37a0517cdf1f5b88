import { useQuery } from "@tanstack/react-query";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { retentionQuery } from "./queries";
import { EVERY_OTHER, RetentionForm } from "./RetentionForm";

/** For how long runs are kept where an experiment does not say so itself. */
export function DefaultRetention() {
  const query = useQuery(retentionQuery(EVERY_OTHER));
  return (
    <Card title="Retention where an experiment has no rules of its own">
      <Answer query={query} rows={4}>
        {(view) => <RetentionForm experiment={EVERY_OTHER} view={view} />}
      </Answer>
    </Card>
  );
}
