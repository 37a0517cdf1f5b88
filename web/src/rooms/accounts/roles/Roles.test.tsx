import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { Roles } from "./Roles";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const OWNER = {
  id: 7,
  name: "ml_owner",
  description: "decides",
  permissions: [{ id: 3, resource_type: "experiment", resource_pattern: "5", permission: "EDIT" }],
};

const shown = () => {
  const asked: string[] = [];
  const answers: Record<string, unknown> = {
    "GET /api/3.0/mlflow/roles/list": { roles: [OWNER] },
    "GET /api/2.0/mlflow/users/list": {
      users: [
        { id: 1, username: "anna", is_admin: false, roles: [OWNER] },
        { id: 2, username: "bert", is_admin: false, roles: [] },
      ],
    },
    "GET /api/experiments": [{ id: "5", name: "flights" }],
    "POST /api/3.0/mlflow/roles/create": { role: { ...OWNER, id: 8, name: "risk" } },
  };
  vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
    const call = `${init.method ?? "GET"} ${url}`;
    if (init.body) asked.push(`${call.replace(/\/api\/[23].0\/mlflow\//, "")} ${String(init.body)}`);
    return Promise.resolve(new Response(JSON.stringify(answers[call] ?? {})));
  });
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <Roles />
    </QueryClientProvider>,
  );
  return asked;
};

const edit = async () => fireEvent.click(await screen.findByRole("button", { name: "Edit the role ml_owner" }));

it("gives a role to a user and takes it back", async () => {
  const asked = shown();
  await edit();
  expect(within(screen.getByLabelText("users of ml_owner")).getByText("anna")).toBeDefined();
  fireEvent.change(screen.getByLabelText("User"), { target: { value: "bert" } });
  fireEvent.click(screen.getByRole("button", { name: "Give the role" }));
  await vi.waitFor(() => expect(asked).toContain('POST roles/assign {"username":"bert","role_id":7}'));
  fireEvent.click(screen.getByRole("button", { name: "Take ml_owner from anna" }));
  await vi.waitFor(() => expect(asked).toContain('DELETE roles/unassign {"username":"anna","role_id":7}'));
});

it("says by name what a role may, changes it and allows more", async () => {
  const asked = shown();
  await edit();
  const level = await screen.findByLabelText("what ml_owner may with flights");
  expect((level as HTMLSelectElement).value).toBe("EDIT");
  fireEvent.change(level, { target: { value: "DENY" } });
  await vi.waitFor(() =>
    expect(asked).toContain('PATCH roles/permissions/update {"role_permission_id":3,"permission":"DENY"}'),
  );
  const form = within(screen.getByRole("form", { name: "new permission of ml_owner" }));
  fireEvent.change(form.getByLabelText("On"), { target: { value: "workspace" } });
  fireEvent.click(form.getByRole("button", { name: "Allow it" }));
  await vi.waitFor(() =>
    expect(asked).toContain(
      'POST roles/permissions/add {"role_id":7,"resource_type":"workspace","resource_pattern":"*","permission":"USE"}',
    ),
  );
});

it("makes a role, and asks before one is deleted", async () => {
  HTMLDialogElement.prototype.showModal = vi.fn();
  HTMLDialogElement.prototype.close = vi.fn();
  const asked = shown();
  await edit();
  fireEvent.change(screen.getByLabelText("Role"), { target: { value: "risk" } });
  fireEvent.click(screen.getByRole("button", { name: "Make a role" }));
  await vi.waitFor(() =>
    expect(asked).toContain('POST roles/create {"name":"risk","description":"","workspace":"default"}'),
  );
  await edit();
  fireEvent.click(await screen.findByRole("button", { name: "Delete the role" }));
  expect(asked.some((call) => call.startsWith("DELETE"))).toBe(false);
  expect(screen.getByText(/1 user loses what it allows/)).toBeDefined();
  fireEvent.click(screen.getByRole("button", { name: "Delete it", hidden: true }));
  await vi.waitFor(() => expect(asked).toContain('DELETE roles/delete {"role_id":7}'));
});
