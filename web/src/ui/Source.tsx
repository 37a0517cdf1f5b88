import { Command } from "./Command";
import { CopyButton } from "./CopyButton";
import { Disclosure } from "./Disclosure";

interface SourceProps {
  /** The command line that shows or makes the same. */
  cli?: string;
  /** Its file, if people write it. */
  yaml?: string | null;
  /** Its JSON as the API gives it. */
  json?: unknown;
}

/** "Show as CLI" and "Show YAML/JSON", at the foot of every page about one thing. */
export function Source({ cli, yaml, json }: SourceProps) {
  const text = yaml ?? JSON.stringify(json, null, 2) ?? "";
  return (
    <div className="stack">
      {cli && (
        <Disclosure summary="Show as CLI">
          <Command line={cli} />
        </Disclosure>
      )}
      {text && (
        <Disclosure summary={yaml ? "Show YAML" : "Show JSON"}>
          <div>
            <CopyButton text={text} label={yaml ? "Copy the YAML" : "Copy the JSON"} />
            <pre className="code" tabIndex={0} aria-label={yaml ? "YAML" : "JSON"}>
              {text}
            </pre>
          </div>
        </Disclosure>
      )}
    </div>
  );
}
