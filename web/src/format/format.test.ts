import { describe, expect, it } from "vitest";
import { bytes } from "./bytes";
import { csv } from "./csv";
import { duration } from "./duration";
import { count, number, percent, plural } from "./number";
import { ago, span } from "./time";
import { value } from "./value";

describe("duration", () => {
  it.each([
    [0, "0 ms"],
    [0.25, "250 µs"],
    [1.44, "1.4 ms"],
    [840, "840 ms"],
    [999.6, "1.0 s"],
    [12_400, "12.4 s"],
    [59_960, "1 m 00 s"],
    [185_000, "3 m 05 s"],
    [3_599_900, "1 h 00 m"],
    [7_800_000, "2 h 10 m"],
    [356_400_000, "4 d 3 h"],
    [-1500, "-1.5 s"],
    [null, "–"],
  ])("%s ms reads %s", (ms, text) => expect(duration(ms)).toBe(text));
});

describe("bytes", () => {
  it.each([
    [0, "0 B"],
    [512, "512 B"],
    [999, "999 B"],
    [1_214_000, "1.21 MB"],
    [999_700, "1 MB"],
    [undefined, "–"],
  ])("%s reads %s", (size, text) => expect(bytes(size)).toBe(text));
});

describe("numbers", () => {
  it("keeps four digits and sets thousands apart", () => {
    expect(number(0.812_345)).toBe("0.8123");
    expect(number(336_776)).toBe("336,776");
    expect(number(2013)).toBe("2013");
    expect(number(1039.9)).toBe("1040");
    expect(number(0.000_012)).toBe("1.20e-5");
    expect(number(Number.NaN)).toBe("NaN");
    expect(number(123_456.7)).toBe("123,457");
  });
  it("says shares and counts", () => {
    expect(percent(0.1234)).toBe("12.3 %");
    expect(percent(0.05)).toBe("5 %");
    expect(count(null)).toBe("–");
    expect(plural(1, "run")).toBe("1 run");
    expect(plural(2000, "run")).toBe("2,000 runs");
  });
  it("puts any value on a line", () => {
    expect(value({ a: [1] })).toBe('{"a":[1]}');
    expect(value(null)).toBe("null");
  });
});

describe("time", () => {
  const now = Date.parse("2026-01-02T12:00:00Z");
  it.each([
    ["2026-01-02T11:59:55Z", "just now"],
    ["2026-01-02T11:55:00Z", "5 minutes ago"],
    ["2026-01-02T14:00:00Z", "in 2 hours"],
    ["2025-12-31T12:00:00Z", "2 days ago"],
    ["nonsense", "–"],
  ])("%s is %s", (at, text) => expect(ago(at, now)).toBe(text));
  it("counts up to now while something lasts", () => {
    expect(span("2026-01-02T11:59:30Z", null, now)).toBe("30.0 s");
    expect(span(null, null, now)).toBe("–");
  });
});

describe("csv", () => {
  it("quotes what needs quoting", () => {
    expect(
      csv(
        ["a", "b"],
        [
          [1, 'say "hi"'],
          [null, "x,y"],
        ],
      ),
    ).toBe('a,b\r\n1,"say ""hi"""\r\n,"x,y"\r\n');
  });
});
