import type { PromptVersionView } from "../../../api/types.gen";
import { AliasEditor } from "../AliasEditor";
import { removeAlias, setAlias } from "./queries";

const KEY = ["prompts"];

/** The aliases of a version of a prompt. */
export function Aliases({ name, version }: { name: string; version: PromptVersionView }) {
  return (
    <AliasEditor
      aliases={version.aliases}
      set={(alias) => setAlias(name, alias, version.version)}
      remove={(alias) => removeAlias(name, alias)}
      queryKey={KEY}
    />
  );
}
