import { useMutation } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { signIn } from "../api/session";
import { localPath } from "../api/signInPage";
import { explain } from "../ui/Answer";
import { Failure } from "../ui/Failure";
import { SchemeButton } from "./SchemeButton";

/** Asks who one is, and leads back to where one came from. */
export function SignInPage() {
  const { next } = useSearch({ from: "/sign-in" });
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const signing = useMutation({
    mutationFn: () => signIn(name.trim(), password),
    // A whole new page: what was read as somebody else is gone with the old one.
    onSuccess: () => location.replace(localPath(next)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signing.mutate();
  };
  return (
    <main className="sign-in">
      <form className="card stack" onSubmit={submit} aria-labelledby="sign-in">
        <div className="row spread">
          <h1 id="sign-in" className="row">
            <img src="/favicon.svg" width={24} height={24} alt="" />
            Sign in to Millrace
          </h1>
          <SchemeButton />
        </div>
        <label className="stack small">
          Name
          <input
            className="input"
            name="username"
            required
            autoFocus
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label className="stack small">
          Password
          <input
            className="input"
            name="password"
            type="password"
            required
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </label>
        {signing.error && <Failure problem={explain(signing.error)} />}
        <button type="submit" className="button primary" disabled={signing.isPending || signing.isSuccess}>
          Sign in
        </button>
        <p className="muted small">
          Whoever has the server's own token signs in as <span className="mono">admin</span> with it, and makes accounts
          for others.
        </p>
      </form>
    </main>
  );
}
