/** What a role may be about, in MLflow's words and in people's. */
export const KINDS: Record<string, string> = {
  experiment: "Experiment",
  registered_model: "Model",
  prompt: "Prompt",
  workspace: "This server",
};

const ALL: Record<string, string> = {
  experiment: "all experiments",
  registered_model: "all models",
  prompt: "all prompts",
  workspace: "all of it",
};

const LEVELS: Record<string, string> = {
  READ: "see",
  USE: "use",
  EDIT: "change",
  MANAGE: "manage",
  DENY: "nothing",
};

const WORKSPACE_LEVELS: Record<string, string> = { USE: "is a member", MANAGE: "gives accounts and roles" };

/** What can be allowed on a kind of thing. */
export const levels = (kind: string): Record<string, string> => (kind === "workspace" ? WORKSPACE_LEVELS : LEVELS);

/** What a permission is on. */
export function object(kind: string, pattern: string, names: { value: string; name: string }[] = []): string {
  if (pattern === "*") return ALL[kind] ?? "all";
  return names.find(({ value }) => value === pattern)?.name ?? pattern;
}
