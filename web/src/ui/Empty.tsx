import type { ReactNode } from "react";
import { Command } from "./Command";

/** Nothing here yet, and the command that changes it. */
export function Empty({ what, command, children }: { what: string; command?: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="muted">{what}</p>
      {command && <Command line={command} />}
      {children}
    </div>
  );
}
