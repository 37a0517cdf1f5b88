import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { AssessmentForm, readValue } from "./AssessmentForm";

afterEach(cleanup);

it.each([
  ["yes", true],
  [" false ", false],
  ["0.5", 0.5],
  ['{"a": 1}', { a: 1 }],
  ["rather good", "rather good"],
])("reads %s as a value", (text, expected) => expect(readValue(text)).toEqual(expected));

it("tells what a person thinks, of the chosen span if they say so", () => {
  const onDone = vi.fn();
  render(<AssessmentForm span="s1" busy={false} onCancel={vi.fn()} onDone={onDone} />);
  fireEvent.change(screen.getByLabelText("Name"), { target: { value: " grounded " } });
  fireEvent.change(screen.getByLabelText("Value"), { target: { value: "0.8" } });
  fireEvent.change(screen.getByLabelText("Why"), { target: { value: "looked" } });
  fireEvent.click(screen.getByLabelText("only of the chosen span"));
  fireEvent.submit(screen.getByRole("form"));
  expect(onDone).toHaveBeenCalledWith({
    kind: "feedback",
    name: "grounded",
    value: 0.8,
    rationale: "looked",
    span: "s1",
  });
});
