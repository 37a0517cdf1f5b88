import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Ago } from "../../ui/Ago";
import { Answer, explain } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { CopyButton } from "../../ui/CopyButton";
import { DataTable } from "../../ui/DataTable";
import { Failure } from "../../ui/Failure";
import { accountsKey, createToken, deleteToken, tokensQuery } from "./queries";

/** One's own tokens: for programs, in the place of the password. */
export function Tokens() {
  const client = useQueryClient();
  const tokens = useQuery(tokensQuery());
  const [name, setName] = useState("");
  const renew = () => client.invalidateQueries({ queryKey: accountsKey });
  const make = useMutation({
    mutationFn: () => createToken(name.trim()),
    onSuccess: () => {
      setName("");
      return renew();
    },
  });
  const drop = useMutation({ mutationFn: deleteToken, onSuccess: renew });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  const error = make.error ?? drop.error;
  return (
    <Card title="Tokens">
      <div className="stack">
        <p className="muted small">
          For programs, in the place of your password: <span className="mono">MLFLOW_TRACKING_TOKEN</span>, or the
          header <span className="mono">Authorization: Bearer …</span>. A token may do what you may.
        </p>
        <form className="row" onSubmit={submit} aria-label="new token">
          <input
            className="input"
            required
            maxLength={250}
            aria-label="What the token is for"
            placeholder="laptop"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" className="button" disabled={make.isPending}>
            Make a token
          </button>
        </form>
        {make.data && (
          <p className="row" role="status">
            <code className="clip">{make.data.token}</code>
            <CopyButton text={make.data.token} label="Copy the token" />
            <span className="small">It is shown this once; keep it now.</span>
          </p>
        )}
        {error && <Failure problem={explain(error)} />}
        <Answer query={tokens} rows={2}>
          {(found) =>
            found.length === 0 ? (
              <p className="muted small">No token yet.</p>
            ) : (
              <DataTable
                label="tokens"
                rows={found}
                rowKey={(token) => token.id}
                columns={[
                  { key: "name", header: "For", value: (token) => token.name },
                  {
                    key: "made",
                    header: "Made",
                    value: (token) => token.creation_time,
                    cell: (token) => <Ago at={new Date(token.creation_time).toISOString()} />,
                  },
                  {
                    key: "do",
                    header: <span className="visually-hidden">Do</span>,
                    value: () => "",
                    cell: (token) => (
                      <button
                        type="button"
                        className="button danger"
                        aria-label={`Take the token ${token.name} back`}
                        disabled={drop.isPending}
                        onClick={() => drop.mutate(token.id)}
                      >
                        Take back
                      </button>
                    ),
                  },
                ]}
              />
            )
          }
        </Answer>
      </div>
    </Card>
  );
}
