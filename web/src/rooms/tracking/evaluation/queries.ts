import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { get } from "../../../api/client";
import type { EvaluationDatasetView, EvaluationRecordPage } from "../../../api/types.gen";

const path = encodeURIComponent;
const PAGE = 200;

export const evaluationDatasetsQuery = () =>
  queryOptions({
    queryKey: ["evaluation-datasets"],
    queryFn: ({ signal }) => get<EvaluationDatasetView[]>("/api/evaluation-datasets", {}, signal),
  });

export const evaluationDatasetQuery = (id: string) =>
  queryOptions({
    queryKey: ["evaluation-datasets", id],
    queryFn: ({ signal }) => get<EvaluationDatasetView>(`/api/evaluation-datasets/${path(id)}`, {}, signal),
  });

/** The records of a dataset, by page. */
export const evaluationRecordsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["evaluation-datasets", id, "records"],
    queryFn: ({ pageParam, signal }) =>
      get<EvaluationRecordPage>(
        `/api/evaluation-datasets/${path(id)}/records`,
        { limit: PAGE, after: pageParam },
        signal,
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
  });
