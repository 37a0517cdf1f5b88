import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { SignInPage } from "./SignInPage";

const search: { next?: string } = {};
vi.mock("@tanstack/react-router", () => ({ useSearch: () => search }));

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  delete search.next;
});

const shown = (status: number, answer: unknown) => {
  const asked: unknown[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push([url, JSON.parse(String(init.body))]);
    return Promise.resolve(new Response(JSON.stringify(answer), { status }));
  });
  const replace = vi.fn();
  vi.stubGlobal("location", { origin: "https://ml.example", pathname: "/sign-in", search: "", hash: "", replace });
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <SignInPage />
      </QueryClientProvider>
    </MantineProvider>,
  );
  fireEvent.change(screen.getByLabelText("Name"), { target: { value: "anna " } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: "a long password" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  return { asked, replace };
};

it("signs in and leads back to the page that one came from", async () => {
  search.next = "/runs?status=failed";
  const { asked, replace } = shown(200, { name: "anna" });
  await vi.waitFor(() => expect(replace).toHaveBeenCalledWith("/runs?status=failed"));
  expect(asked).toEqual([["/api/login", { name: "anna", password: "a long password" }]]);
});

it("says what is wrong, and stays", async () => {
  search.next = "https://evil.example/";
  const { replace } = shown(403, { code: "wrong-login", message: "no account has this name and this password" });
  expect(await screen.findByText("no account has this name and this password")).toBeDefined();
  expect(replace).not.toHaveBeenCalled();
});
