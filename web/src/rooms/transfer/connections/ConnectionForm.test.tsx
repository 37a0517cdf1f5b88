import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { ConnectionsView } from "../../../api/types.gen";
import { ConnectionForm } from "./ConnectionForm";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const VIEW: ConnectionsView = {
  file: "connections.yaml",
  etag: "e1",
  read_only: null,
  problem: null,
  connections: [],
  kinds: [
    {
      name: "ftp",
      family: "files",
      summary: "Files of an FTP server.",
      description: "",
      secrets: ["password"],
      schema: {
        type: "object",
        properties: { host: { type: "string" }, password: { type: "string" } },
        required: ["host"],
      },
    },
  ],
};
const SHOP = { name: "shop", kind: "ftp", settings: { host: "h", password: "••••••" }, line: 3, problem: null };

function shown(answer: unknown, view = VIEW) {
  const asked = vi.fn((_path: string, _init: RequestInit) => Promise.resolve(new Response(JSON.stringify(answer))));
  vi.stubGlobal("fetch", asked);
  const onDone = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ConnectionForm view={view} connection={SHOP} onDone={onDone} />
    </QueryClientProvider>,
  );
  return { asked, onDone };
}

it("saves what stands in the form, hidden secrets as they are, over the file it was read from", async () => {
  const { asked, onDone } = shown(VIEW);
  fireEvent.change(screen.getByLabelText("host"), { target: { value: "files.example" } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(onDone).toHaveBeenCalledWith("shop"));
  const [path, init] = asked.mock.lastCall ?? [];
  expect([path, init?.method]).toEqual(["/api/connections/shop", "PUT"]);
  expect(JSON.parse(String(init?.body))).toEqual({
    kind: "ftp",
    settings: { host: "files.example", password: "••••••" },
    etag: "e1",
  });
});

it("says what answered, until something else stands there", async () => {
  shown({ said: "ftp://h/", names: ["a.csv"], elapsed_ms: 12, problem: null });
  fireEvent.click(screen.getByRole("button", { name: "Test connection" }));
  expect(await screen.findByText("shop:a.csv")).toBeTruthy();
  fireEvent.change(screen.getByLabelText("host"), { target: { value: "other" } });
  expect(screen.queryByText("shop:a.csv")).toBeNull();
});

it("changes nothing that is read only", () => {
  shown(VIEW, { ...VIEW, read_only: "not yours" });
  expect(screen.getByRole("button", { name: "Save" })).toHaveProperty("disabled", true);
  expect(screen.queryByRole("button", { name: "Remove" })).toBeNull();
});
