import IconCheck from "@tabler/icons-react/dist/esm/icons/IconCheck.mjs";
import IconCopy from "@tabler/icons-react/dist/esm/icons/IconCopy.mjs";
import { useState } from "react";

/** Puts a text on the clipboard and says so; with a `word` it has that beside its sign. */
export function CopyButton({ text, label = "Copy", word }: { text: string; label?: string; word?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      setDone(false);
    }
  };
  return (
    <button
      type="button"
      className={word ? "button" : "button quiet icon"}
      aria-label={word ? undefined : done ? "Copied" : label}
      title={label}
      onClick={copy}
    >
      {done ? <IconCheck size={15} aria-hidden /> : <IconCopy size={15} aria-hidden />}
      {word && (done ? "Copied" : word)}
    </button>
  );
}
