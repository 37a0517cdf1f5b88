import { useQuery } from "@tanstack/react-query";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { sqlModelsQuery } from "../queries";
import { ModelGraph } from "./ModelGraph";
import { ModelTable } from "./ModelTable";

/** The queries in `models/`: which reads which, and what was made of each. */
export function SqlModelsPage() {
  const found = useQuery(sqlModelsQuery());
  return (
    <>
      <PageHead
        title="SQL models"
        about="Queries in models/ that read each other by ref; the rows of each are a dataset of its name."
      />
      <Answer query={found} rows={8}>
        {(known) => (
          <>
            {known.problems.map((problem) => (
              <Failure key={`${problem.place?.file} ${problem.place?.line} ${problem.message}`} problem={problem} />
            ))}
            {known.models.length === 0 ? (
              <Card>
                <Empty what="No SQL model yet. Write a query in models/NAME.sql; `millrace sql-models build` makes its dataset." />
              </Card>
            ) : (
              <>
                <Card title="What reads what" flush>
                  <ModelGraph models={known} />
                </Card>
                <Card flush>
                  <ModelTable models={known.models} />
                </Card>
              </>
            )}
          </>
        )}
      </Answer>
    </>
  );
}
