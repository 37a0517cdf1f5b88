import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { AliasEditor } from "./AliasEditor";
import { TagEditor } from "./TagEditor";

afterEach(cleanup);

const set = vi.fn(() => Promise.resolve());
const remove = vi.fn(() => Promise.resolve());
const refuse = () => Promise.reject(new Error("`a b` is not a name for an alias"));
const shown = (editor: React.ReactNode) =>
  render(<QueryClientProvider client={new QueryClient()}>{editor}</QueryClientProvider>);

it("changes a tag with what it has, sets others, and takes them away", async () => {
  shown(<TagEditor label="tags of x" tags={{ owner: "anna" }} set={set} remove={remove} queryKey={["x"]} />);
  fireEvent.click(screen.getByTitle("change it"));
  const value = screen.getByLabelText("Value, tags of x");
  expect(value).toHaveProperty("value", "anna");
  fireEvent.change(value, { target: { value: "bert" } });
  fireEvent.click(screen.getByRole("button", { name: "Set" }));
  await vi.waitFor(() => expect(set).toHaveBeenCalledWith("owner", "bert"));
  fireEvent.click(screen.getByRole("button", { name: "Remove the tag owner" }));
  await vi.waitFor(() => expect(remove).toHaveBeenCalledWith("owner"));
});

it("says why an alias is refused, and keeps what was typed", async () => {
  shown(<AliasEditor aliases={["live"]} set={refuse} remove={remove} queryKey={["x"]} />);
  const field = screen.getByLabelText("New alias");
  fireEvent.change(field, { target: { value: "a b" } });
  fireEvent.click(screen.getByRole("button", { name: "Point here" }));
  expect(await screen.findByText(/is not a name for an alias/)).toBeDefined();
  expect(field).toHaveProperty("value", "a b");
});
