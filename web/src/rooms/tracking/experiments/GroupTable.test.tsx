import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { RunGroupList } from "../../../api/types.gen";
import { columnOf } from "./columns";
import { conditionOf, GroupTable } from "./GroupTable";

afterEach(cleanup);

it("says which runs are in a group, whatever its name and value", () => {
  expect(conditionOf("params.depth", "5")).toBe("params.depth = '5'");
  expect(conditionOf("tags.my tag", "it's")).toBe("tags.`my tag` = 'it''s'");
  expect(conditionOf("status", null)).toBe("status is null");
});

it("shows the mean and range of metrics and goes to the runs of a group", async () => {
  const list: RunGroupList = {
    groups: [
      { value: "5", runs: 3, metrics: [{ count: 2, mean: 0.6, min: 0.5, max: 0.7 }] },
      { value: null, runs: 1, metrics: [null] },
    ],
    total: 2,
    runs: 4,
  };
  const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response(JSON.stringify(list)));
  const opened = vi.fn();
  const columns = ["metrics.auc", "params.depth"].map(columnOf).filter((column) => column !== null);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <GroupTable
        experiment="1"
        by="params.depth"
        columns={columns}
        sort="-start_time"
        onSort={vi.fn()}
        onOpen={opened}
      />
    </QueryClientProvider>,
  );
  expect(await screen.findByText("0.6")).toBeTruthy();
  expect(screen.getByText("0.5–0.7")).toBeTruthy();
  // What groups cannot be sorted by is not asked for.
  expect(fetched.mock.calls[0]?.[0]).toBe("/api/experiments/1/groups?by=params.depth&columns=metrics.auc");
  fireEvent.click(screen.getByRole("button", { name: "none" }));
  expect(opened).toHaveBeenCalledWith("params.depth is null");
});
