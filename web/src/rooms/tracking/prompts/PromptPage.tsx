import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { PromptVersionView, PromptView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CopyButton } from "../../../ui/CopyButton";
import { Empty } from "../../../ui/Empty";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { TextDiff } from "../../../ui/TextDiff";
import { Tags } from "../Tags";
import type { PromptSearch } from "../search";
import { Aliases } from "./Aliases";
import { promptQuery } from "./queries";
import { comparable, messages, variables } from "./template";

export function PromptPage() {
  const { name } = useParams({ from: "/prompts/$name" });
  const query = useQuery(promptQuery(name));
  return <Answer query={query}>{(found) => <PromptBody key={name} view={found} />}</Answer>;
}

function PromptBody({ view }: { view: PromptView }) {
  const { prompt, versions } = view;
  const search = useSearch({ from: "/prompts/$name" });
  const navigate = useNavigate({ from: "/prompts/$name" });
  const set = (change: PromptSearch) =>
    void navigate({ search: { ...search, ...change }, replace: true, resetScroll: false });
  const shown = versions.find(({ version }) => version === search.version) ?? versions[0];
  const against = versions.find(({ version }) => version === search.against);
  return (
    <>
      <PageHead
        title={prompt.name}
        status={shown && <span className="tag accent">version {shown.version}</span>}
        about={prompt.description}
      />
      <Tags tags={prompt.tags} />
      {!shown ? (
        <Empty
          what="This prompt has no version."
          command={`python -c "import mlflow; mlflow.genai.register_prompt('${prompt.name}', 'Answer: {{question}}')"`}
        />
      ) : (
        <div className="prompt">
          <Card title={`${versions.length} versions`}>
            <ul className="plain" aria-label="versions">
              {versions.map((version) => (
                <li key={version.version}>
                  <VersionButton
                    version={version}
                    on={version === shown}
                    onClick={() => set({ version: version.version })}
                  />
                </li>
              ))}
            </ul>
          </Card>
          <div className="stack">
            <Card
              title={against ? `Version ${against.version} → ${shown.version}` : `Version ${shown.version}`}
              actions={
                <>
                  <label className="row small">
                    compare with
                    <select
                      className="input"
                      value={search.against ?? ""}
                      onChange={(event) => set({ against: Number(event.target.value) || undefined })}
                    >
                      <option value="">nothing</option>
                      {versions
                        .filter((version) => version !== shown)
                        .map(({ version }) => (
                          <option key={version} value={version}>
                            version {version}
                          </option>
                        ))}
                    </select>
                  </label>
                  <CopyButton text={shown.template} label="Copy the template" />
                </>
              }
            >
              {against ? (
                <TextDiff before={comparable(against)} after={comparable(shown)} label="differences" />
              ) : (
                <Template version={shown} />
              )}
            </Card>
            <Card title="About this version">
              <div className="stack">
                <Facts facts={facts(shown)} />
                <Tags tags={shown.tags} />
                <Aliases name={prompt.name} version={shown} />
              </div>
            </Card>
          </div>
        </div>
      )}
      <Source
        cli={`python -c "import mlflow; print(mlflow.genai.load_prompt('prompts:/${prompt.name}/${shown?.version ?? 1}').template)"`}
        json={view}
      />
    </>
  );
}

const json = (value: unknown) => value !== null && <code>{JSON.stringify(value)}</code>;

function facts(version: PromptVersionView): [string, React.ReactNode][] {
  return [
    ["made", <Ago key="made" at={version.created_at} />],
    ["why", version.message],
    ["kind", version.kind],
    ["variables", variables(version.template).join(", ")],
    ["model", json(version.model_config)],
    ["answers", json(version.response_format)],
  ];
}

function VersionButton({ version, on, onClick }: { version: PromptVersionView; on: boolean; onClick: () => void }) {
  return (
    <button type="button" className="version" aria-current={on || undefined} onClick={onClick}>
      <span className="row">
        <strong>{version.version}</strong>
        {version.aliases.map((alias) => (
          <span key={alias} className="tag accent">
            {alias}
          </span>
        ))}
        <span className="muted small">
          <Ago at={version.created_at} />
        </span>
      </span>
      {version.message && <span className="small muted">{version.message}</span>}
    </button>
  );
}

function Template({ version }: { version: PromptVersionView }) {
  const chat = messages(version);
  if (!chat)
    return (
      <pre className="code" style={{ whiteSpace: "pre-wrap" }} tabIndex={0} aria-label="template">
        {version.template}
      </pre>
    );
  return (
    <div className="stack">
      {chat.map(({ role, content }, index) => (
        // A version does not change.
        // oxlint-disable-next-line react/no-array-index-key
        <div key={index} className="stack" style={{ gap: 4 }}>
          <span className="small muted">{role}</span>
          <pre className="code" style={{ whiteSpace: "pre-wrap" }} tabIndex={0} aria-label={`${role} message`}>
            {content}
          </pre>
        </div>
      ))}
    </div>
  );
}
