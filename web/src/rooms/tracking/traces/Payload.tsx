import { useMemo, useState } from "react";
import type { Json } from "../../../api/types.gen";
import { CodeView } from "../../../ui/CodeView";
import { CopyButton } from "../../../ui/CopyButton";
import { Attachments } from "./Attachments";
import { attachmentsOf } from "./attachments";
import { chat, type ChatMessage, unpacked } from "./chat";

/** Characters that are shown until the reader asks for all. */
const FIRST = 20_000;

/** What went into a span or came out: a conversation as one, a text as it is, else JSON. */
export function Payload({ title, value: given }: { title: string; value: Json }) {
  const value = useMemo(() => unpacked(given), [given]);
  const [plain, setPlain] = useState(false);
  const [whole, setWhole] = useState(false);
  const messages = useMemo(() => chat(value), [value]);
  const text = useMemo(() => (typeof value === "string" ? value : JSON.stringify(value, null, 2)), [value]);
  if (value === null) return null;
  const attachments = attachmentsOf(value);
  const cut = !whole && text.length > FIRST;
  return (
    <section className="stack" style={{ gap: 6 }}>
      <div className="row spread">
        <h3>{title}</h3>
        <span className="row">
          {messages && (
            <label className="row small">
              <input type="checkbox" checked={plain} onChange={(event) => setPlain(event.target.checked)} /> as JSON
            </label>
          )}
          <CopyButton text={text} label={`Copy the ${title.toLowerCase()}`} />
        </span>
      </div>
      {messages && !plain ? (
        messages.map((message, index) => (
          // Messages of a span that ended do not change.
          // oxlint-disable-next-line react/no-array-index-key
          <Message key={index} message={message} />
        ))
      ) : (
        <>
          <CodeView
            text={cut ? text.slice(0, FIRST) : text}
            language={typeof value === "string" ? "plain" : "yaml"}
            label={title}
          />
          {cut && (
            <div>
              <button type="button" className="button" onClick={() => setWhole(true)}>
                Show all {text.length.toLocaleString("en")} characters
              </button>
            </div>
          )}
        </>
      )}
      <Attachments attachments={attachments} />
    </section>
  );
}

function Message({ message: { role, text, more } }: { message: ChatMessage }) {
  return (
    <div className={`message ${role}`}>
      <div className="small muted">{role}</div>
      {text && <div className="text">{text}</div>}
      {more.map((part, index) => (
        // oxlint-disable-next-line react/no-array-index-key
        <pre key={index} className="code" tabIndex={0} aria-label="more of the message">
          {JSON.stringify(part, null, 2)}
        </pre>
      ))}
    </div>
  );
}
