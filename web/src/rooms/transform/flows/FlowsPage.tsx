import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { flowsQuery, saveFlow } from "../queries";

/** The flow files of the workspace. */
export function FlowsPage() {
  const flows = useQuery(flowsQuery());
  return (
    <>
      <PageHead title="Flows" about="Data transformed without code, node by node; each is a file in flows/." />
      <Card flush>
        <Answer query={flows}>
          {(found) =>
            found.length === 0 ? (
              <Empty what="No flow yet. Name one below and it opens." />
            ) : (
              <DataTable
                label="flows"
                rows={found}
                rowKey={(flow) => flow.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (flow) => flow.name,
                    cell: (flow) => (
                      <Link to="/flows/$name" params={{ name: flow.name }}>
                        {flow.name}
                      </Link>
                    ),
                  },
                  { key: "nodes", header: "Nodes", numeric: true, value: (flow) => flow.nodes },
                  { key: "description", header: "Description", wrap: true, value: (flow) => flow.description },
                  {
                    key: "used",
                    header: "Run by",
                    value: (flow) => flow.used_by.map(({ pipeline, step }) => `${pipeline} (${step})`).join(", "),
                  },
                  {
                    key: "problem",
                    header: "Problem",
                    wrap: true,
                    value: (flow) => flow.problems[0]?.message,
                    cell: ({ problems: [problem] }) =>
                      problem ? <span className="wrong">{problem.message}</span> : <span className="muted">–</span>,
                  },
                ]}
              />
            )
          }
        </Answer>
      </Card>
      <NewFlow />
    </>
  );
}

function NewFlow() {
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const made = useMutation({
    mutationFn: (wanted: string) => saveFlow(wanted, `flow: ${wanted}\n\nnodes: {}\n`),
    onSuccess: (view) => navigate({ to: "/flows/$name", params: { name: view.name } }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    made.mutate(name.trim());
  };
  return (
    <Card title="New flow">
      <form className="row" onSubmit={submit}>
        <input
          className="input"
          aria-label="name of the flow"
          placeholder="name"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="button primary" disabled={name.trim() === "" || made.isPending}>
          Make it
        </button>
      </form>
      {made.error && <Failure problem={explain(made.error)} />}
    </Card>
  );
}
