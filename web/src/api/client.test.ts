import { afterEach, expect, it, vi } from "vitest";
import { address, ApiError, get, problemOf } from "./client";

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: string) {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, { status })));
}

it("leaves empty values out of the address", () =>
  expect(address("/api/runs", { status: "failed", pipeline: "", page: undefined, limit: 5 })).toBe(
    "/api/runs?status=failed&limit=5",
  ));

it("keeps the server's explanation", async () => {
  answer(
    404,
    JSON.stringify({ code: "unknown-run", title: "x", detail: "there is no run `a`", hints: ["millrace runs"] }),
  );
  const error = await get("/api/runs/a").catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(problemOf(error)).toMatchObject({
    code: "unknown-run",
    message: "there is no run `a`",
    hints: ["millrace runs"],
  });
});

it("explains an answer that is not JSON", async () => {
  answer(502, "bad gateway");
  const error = await get("/api/runs").catch((caught: unknown) => caught);
  expect(problemOf(error)).toMatchObject({ code: "http-502", message: "bad gateway" });
});

it("says that nobody answers", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
  const error = await get("/api/runs").catch((caught: unknown) => caught);
  expect(problemOf(error)).toMatchObject({ code: "unreachable", hints: ["millrace up"] });
});
