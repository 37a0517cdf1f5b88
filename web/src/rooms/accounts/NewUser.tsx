import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../ui/Answer";
import { Failure } from "../../ui/Failure";
import { SHORTEST } from "./PasswordForm";
import { createUser } from "./queries";
import { Secret } from "./Secret";

/** An account for somebody. */
export function NewUser({ onDone }: { onDone: () => unknown }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const make = useMutation({
    mutationFn: () => createUser(name.trim(), password),
    onSuccess: () => {
      setName("");
      setPassword("");
      return onDone();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} aria-label="new user">
      <div className="row">
        <label className="row small">
          Name
          <input
            className="input"
            required
            maxLength={250}
            pattern="[^:]+"
            title="without colons"
            autoComplete="off"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <Secret label="Password" value={password} onChange={setPassword} autoComplete="new-password" least={SHORTEST} />
        <button type="submit" className="button" disabled={make.isPending}>
          Make an account
        </button>
      </div>
      {make.error && <Failure problem={explain(make.error)} />}
    </form>
  );
}
