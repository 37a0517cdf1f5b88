import { expect, it } from "vitest";
import { shade } from "./colors";

const RAMP = ["#000000", "#808080", "#ffffff"];

it("mixes the colours of a ramp", () => {
  expect(shade(RAMP, 0)).toBe("rgb(0,0,0)");
  expect(shade(RAMP, 0.25)).toBe("rgb(64,64,64)");
  expect(shade(RAMP, 1)).toBe("rgb(255,255,255)");
});

it("stays within the ramp", () => {
  expect(shade(RAMP, -3)).toBe("rgb(0,0,0)");
  expect(shade(RAMP, 7)).toBe("rgb(255,255,255)");
});
