import { afterEach, expect, it, vi } from "vitest";
import { leaveForSignIn, localPath } from "./signInPage";

afterEach(() => vi.unstubAllGlobals());

const at = (address: string) => {
  const { origin, pathname, search, hash } = new URL(address);
  const assign = vi.fn();
  vi.stubGlobal("location", { origin, pathname, search, hash, assign });
  dispatchEvent(new Event("pageshow"));
  return assign;
};

it("leads back to pages of this server alone", () => {
  at("https://ml.example/sign-in");
  expect(localPath("/runs?status=failed#log")).toBe("/runs?status=failed#log");
  for (const away of [
    undefined,
    "",
    "https://evil.example/",
    "//evil.example/runs",
    "/\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/sign-in?next=/sign-in",
  ])
    expect(localPath(away), away).toBe("/");
});

it("leaves once, however many requests are refused", () => {
  const assign = at("https://ml.example/experiments");
  leaveForSignIn();
  leaveForSignIn();
  expect(assign).toHaveBeenCalledOnce();
});

it("leads to the sign-in page with the way back, and not from there", () => {
  const assign = at("https://ml.example/runs/0a?step=train");
  leaveForSignIn();
  expect(assign).toHaveBeenCalledWith("/sign-in?next=%2Fruns%2F0a%3Fstep%3Dtrain");
  const home = at("https://ml.example/");
  leaveForSignIn();
  expect(home).toHaveBeenCalledWith("/sign-in");
  const there = at("https://ml.example/sign-in?next=%2Fruns");
  leaveForSignIn();
  expect(there).not.toHaveBeenCalled();
});
