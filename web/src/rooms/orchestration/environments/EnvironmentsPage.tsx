import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { EnvironmentView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { environmentsQuery } from "../queries";

/** Environments that are deployed into, what that takes, and who has them. */
export function EnvironmentsPage() {
  const environments = useQuery({ ...environmentsQuery(), refetchInterval: 15_000 });
  return (
    <>
      <PageHead
        title="Environments"
        about="What a deployment takes, whichever pipeline asks for it: the rules of environments.yaml."
      />
      <Answer query={environments} rows={6}>
        {(all) =>
          all.length === 0 ? (
            <Card>
              <Empty
                what="No environment yet. They stand in environments.yaml, for example production: {approvers: {by: [role:ml_owner]}, exclusive: true}."
                command="millrace environments"
              />
            </Card>
          ) : (
            <>
              {all.map((environment) => (
                <EnvironmentCard key={environment.name} environment={environment} />
              ))}
              <Source cli="millrace environments" json={all} />
            </>
          )
        }
      </Answer>
    </>
  );
}

function EnvironmentCard({ environment }: { environment: EnvironmentView }) {
  const { held_by: held, approvers, approvals } = environment;
  const how = approvals === null ? "one of each of " : approvals > 1 ? `${approvals} of ` : "";
  return (
    <Card
      title={environment.name}
      actions={
        <>
          {environment.waiting > 0 && (
            <Link to="/approvals" className="button primary">
              {plural(environment.waiting, "approval")} to decide
            </Link>
          )}
          {!environment.open && <span className="tag">closed</span>}
          {held && <span className="tag accent">held</span>}
        </>
      }
    >
      <div className="stack">
        {environment.description && <p>{environment.description}</p>}
        <Facts
          facts={[
            [
              "endpoints",
              environment.endpoints.length > 0 && <Endpoints key="endpoints" names={environment.endpoints} />,
            ],
            ["approved by", approvers.length > 0 && how + approvers.join(", ")],
            ["branches", environment.branches.join(", ")],
            ["hours", environment.hours && <Hours key="hours" environment={environment} />],
            ["evaluation", environment.evaluation.join("; ")],
            ["exclusive", environment.exclusive && (held ? <Hold key="hold" environment={environment} /> : "free")],
          ]}
        />
      </div>
    </Card>
  );
}

function Endpoints({ names }: { names: string[] }) {
  return names.map((name, index) => (
    <span key={name}>
      {index > 0 && ", "}
      <Link to="/endpoints/$name" params={{ name }}>
        {name}
      </Link>
    </span>
  ));
}

function Hours({ environment }: { environment: EnvironmentView }) {
  return (
    <>
      {environment.hours}: {environment.open ? "open" : "closed"}
      {environment.open_changes_at && (
        <>
          , {environment.open ? "closes" : "opens"} <Ago at={environment.open_changes_at} />
        </>
      )}
    </>
  );
}

function Hold({ environment: { held_by: held } }: { environment: EnvironmentView }) {
  if (!held) return null;
  return (
    <>
      run{" "}
      <Link to="/runs/$run" params={{ run: held.run }} search={{ step: held.step }} className="mono">
        {short(held.run)}
      </Link>{" "}
      of {held.pipeline} has it since <Ago at={held.since} />
    </>
  );
}
