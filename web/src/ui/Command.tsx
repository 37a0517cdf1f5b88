import { CopyButton } from "./CopyButton";

/** A command line to type, with a button that copies it. */
export function Command({ line }: { line: string }) {
  return (
    <div className="command">
      <code tabIndex={0} role="region" aria-label="command line">
        {line}
      </code>
      <CopyButton text={line} label="Copy the command" />
    </div>
  );
}
