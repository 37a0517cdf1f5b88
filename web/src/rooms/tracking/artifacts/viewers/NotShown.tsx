import { Command } from "../../../../ui/Command";
import { downloadAddress } from "../addresses";

/** Why a file is not shown, and what to do. */
export function NotShown({ path, what }: { path: string; what: string }) {
  return (
    <div className="stack">
      <p className="muted">{what}</p>
      <div>
        <a className="button primary" href={downloadAddress(path)} download>
          Download
        </a>
      </div>
      <Command line={`mlflow artifacts download --artifact-uri 'mlflow-artifacts:/${path.replaceAll("'", "%27")}'`} />
    </div>
  );
}
