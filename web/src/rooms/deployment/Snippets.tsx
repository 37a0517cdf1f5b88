import { useState } from "react";
import { CopyButton } from "../../ui/CopyButton";
import { Tabs } from "../../ui/Tabs";
import { snippets } from "./calls";

/** The same call from a shell and from Python. */
export function Snippets({ url, example }: { url: string; example: Record<string, unknown> }) {
  const all = snippets(url, example);
  const [shown, setShown] = useState(all[0]?.name ?? "");
  const text = all.find((snippet) => snippet.name === shown)?.text ?? "";
  return (
    <Tabs
      tabs={all.map(({ name }) => ({ key: name, label: name }))}
      value={shown}
      onChange={setShown}
      label="languages"
    >
      <div>
        <CopyButton text={text} label="Copy the call" />
        <pre
          className="code"
          tabIndex={0}
          aria-label={`call with ${shown}`}
          style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}
        >
          {text}
        </pre>
      </div>
    </Tabs>
  );
}
