/**
 * Our address of a page of MLflow's own UI. Its client prints links such as `http://host/#/experiments/1/runs/2`, which a server gets as
 * `/`, so that they are told apart here. Undefined for what is none of them.
 *
 * @param hash the address's fragment with its `#`
 */
export function ourAddress(hash: string): string | undefined {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean);
  const [noun, id, below, second] = parts;
  if (noun === "experiments" && id) {
    if (below === "runs" && second) return `/tracked/${second}`;
    if (below === "models" && second) return `/logged-models/${second}`;
    if (below === "traces") {
      const trace = new URLSearchParams(query).get("selectedEvaluationId");
      return trace ? `/traces/${encodeURIComponent(trace)}` : `/traces?experiment=${id}`;
    }
    return `/experiments/${id}`;
  }
  if (noun === "models" && id)
    return below === "versions" && second ? `/models/${id}?version=${second}` : `/models/${id}`;
  if (noun === "prompts" && id) return `/prompts/${id}`;
  return ["experiments", "models", "prompts"].includes(noun ?? "") ? `/${noun}` : undefined;
}
