import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { AccountPage } from "./AccountPage";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const asked: string[] = [];
const shown = (answers: Record<string, unknown>) => {
  asked.length = 0;
  vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
    const call = `${init.method ?? "GET"} ${url.replace("/api/2.0/mlflow/", "")}`;
    asked.push(init.body ? `${call} ${String(init.body)}` : call);
    const answer = answers[call];
    const refused = { error_code: "ENDPOINT_NOT_FOUND", message: "it asks nobody" };
    return Promise.resolve(new Response(JSON.stringify(answer ?? refused), { status: answer ? 200 : 404 }));
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <AccountPage />
    </QueryClientProvider>,
  );
};

it("says that a server without a login asks nobody", async () => {
  shown({});
  expect(await screen.findByText(/asks nobody who they are/)).toBeDefined();
});

it("shows a person a token this once, and no other people", async () => {
  const token = { id: "1", name: "laptop", creation_time: 0 };
  shown({
    "GET users/current": { user: { id: 3, username: "anna", is_admin: false } },
    "GET users/tokens": { tokens: [] },
    "POST users/tokens": { ...token, token: "millrace_secret" },
  });
  fireEvent.change(await screen.findByLabelText("What the token is for"), { target: { value: "laptop" } });
  fireEvent.click(screen.getByRole("button", { name: "Make a token" }));
  expect(await screen.findByText("millrace_secret")).toBeDefined();
  expect(screen.queryByText("Users")).toBe(null);
});

it("lets an administrator make others, and asks before an account is deleted", async () => {
  HTMLDialogElement.prototype.showModal = vi.fn();
  HTMLDialogElement.prototype.close = vi.fn();
  shown({
    "GET users/current": { user: { id: 0, username: "admin", is_admin: true } },
    "GET users/list": { users: [{ id: 3, username: "anna", is_admin: false, roles: [{ id: 7, name: "ml_owner" }] }] },
    "PATCH users/update-admin": {},
    "DELETE users/delete": {},
  });
  expect(await screen.findByText("ml_owner")).toBeDefined();
  // The server's own token has no password and no tokens of its own.
  expect(screen.queryByText("Tokens")).toBe(null);
  fireEvent.click(screen.getByLabelText("anna is an administrator"));
  await vi.waitFor(() => expect(asked).toContain('PATCH users/update-admin {"username":"anna","is_admin":true}'));
  fireEvent.click(screen.getByRole("button", { name: "Delete" }));
  expect(asked.some((call) => call.startsWith("DELETE"))).toBe(false);
  fireEvent.click(screen.getByRole("button", { name: "Delete it", hidden: true }));
  await vi.waitFor(() => expect(asked).toContain('DELETE users/delete {"username":"anna"}'));
});
