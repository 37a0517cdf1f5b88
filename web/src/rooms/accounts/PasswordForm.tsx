import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../ui/Answer";
import { Failure } from "../../ui/Failure";
import { setPassword } from "./queries";
import { Secret } from "./Secret";

/** Characters that a password has at least. */
export const SHORTEST = 12;

interface PasswordFormProps {
  user: string;
  /** Whether it is one's own, which takes the password so far. */
  own?: boolean;
  onDone?: () => void;
}

/** A new password. */
export function PasswordForm({ user, own = false, onDone }: PasswordFormProps) {
  const [current, setCurrent] = useState("");
  const [password, setText] = useState("");
  const change = useMutation({
    mutationFn: () => setPassword(user, password, own ? current : undefined),
    onSuccess: () => {
      setCurrent("");
      setText("");
      onDone?.();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} aria-label={`password of ${user}`}>
      <div className="row">
        {own && (
          <Secret label="Password so far" value={current} onChange={setCurrent} autoComplete="current-password" />
        )}
        <Secret label="New password" value={password} onChange={setText} autoComplete="new-password" least={SHORTEST} />
        <button type="submit" className="button primary" disabled={change.isPending}>
          Change
        </button>
        {change.isSuccess && (
          <span className="small" role="status">
            Changed. {own && "Other browsers have to sign in again."}
          </span>
        )}
      </div>
      {change.error && <Failure problem={explain(change.error)} />}
    </form>
  );
}
