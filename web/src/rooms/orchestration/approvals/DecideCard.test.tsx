import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import type { ApprovalView } from "../../../api/types.gen";
import { DecideCard } from "./DecideCard";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const APPROVAL: ApprovalView = {
  id: "a1",
  state: "waiting",
  run: "r1",
  pipeline: "churn",
  step: "gate",
  environment: null,
  subject: { kind: "model", label: "churn@3", digest: "blake3:1", reference: null, name: "churn", version: 3 },
  message: "",
  asked_by: "anna",
  own: false,
  asked_at: "2026-01-01T00:00:00Z",
  deadline: null,
  on_timeout: "reject",
  escalated_at: null,
  approvers: [{ name: "role:ml_owner", people: ["bert"] }],
  each: false,
  needed: 2,
  given: 0,
  waits_for: "for 2 approvals by role:ml_owner",
  form: [{ name: "traffic", type: "integer", default: 10, required: false, allowed: null, description: null }],
  values: {},
  decisions: [],
  reason: null,
  decided_at: null,
  caller: "bert",
  logged_in: true,
  may_not: null,
};

function show(approval: ApprovalView) {
  const sent: { url: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    sent.push({ url, body: JSON.parse(String(init.body)) });
    return Promise.resolve(new Response(JSON.stringify(approval), { status: 200 }));
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <DecideCard approval={approval} />
    </QueryClientProvider>,
  );
  return sent;
}

test("an approval is sent with the form that was filled in", async () => {
  const sent = show(APPROVAL);
  fireEvent.change(screen.getByLabelText("traffic"), { target: { value: "50" } });
  fireEvent.change(screen.getByLabelText("Comment"), { target: { value: "fine" } });
  fireEvent.click(screen.getByRole("button", { name: "Approve" }));
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(sent[0]).toEqual({
    url: "/api/approvals/a1/decisions",
    body: { approve: true, comment: "fine", form: { traffic: 50 } },
  });
});

test("who may not approve is told why, and who rejects says why", () => {
  show({ ...APPROVAL, may_not: "`anna` started this run: somebody else has to approve it" });
  expect(screen.getByText(/anna started this run/)).toBeTruthy();
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Approve" }).disabled).toBe(true);
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Reject" }).disabled).toBe(true);
});

test("what was filled in is approved as it is", () => {
  show({ ...APPROVAL, values: { traffic: 50 } });
  expect(screen.queryByLabelText("traffic")).toBeNull();
});
