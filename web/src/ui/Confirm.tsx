import { type ReactNode, useEffect, useId, useRef } from "react";
import { explain } from "./Answer";
import { Failure } from "./Failure";

interface ConfirmProps {
  title: string;
  /** What the button says, for example `Delete for good`. */
  action: string;
  /** What is about to happen. */
  children: ReactNode;
  /** The action goes on. */
  busy?: boolean;
  /** There is nothing to be done. */
  idle?: boolean;
  error?: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be undone; Escape and the first button leave everything as it is. */
export function Confirm({ title, action, children, busy, idle, error, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={heading}>{title}</h2>
      <div className="stack">{children}</div>
      {Boolean(error) && <Failure problem={explain(error)} />}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <button type="button" className="button" onClick={onClose}>
          Keep
        </button>
        <button type="button" className="button danger" disabled={busy || idle} onClick={onConfirm}>
          {action}
        </button>
      </div>
    </dialog>
  );
}
