import type { ReactNode } from "react";
import { Failure, type FailureText } from "./Failure";
import { Loading } from "./Loading";

interface Question<T> {
  data: T | undefined;
  error: unknown;
  refetch: () => unknown;
}

interface AnswerProps<T> {
  query: Question<T>;
  rows?: number;
  children: (data: T) => ReactNode;
}

/** What a query gives, or its outline while it comes, or why it does not. */
export function Answer<T>({ query, rows, children }: AnswerProps<T>) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failure problem={explain(query.error)} retry={() => void query.refetch()} />;
  return <Loading rows={rows} />;
}

/** The problem that an error carries, or one made of its message. */
export function explain(error: unknown): FailureText {
  if (typeof error === "object" && error !== null && "problem" in error) return error.problem as FailureText;
  return { message: error instanceof Error ? error.message : String(error) };
}
