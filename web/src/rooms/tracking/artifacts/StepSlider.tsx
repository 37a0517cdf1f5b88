import { useId } from "react";
import { count } from "../../../format/number";

interface StepSliderProps {
  steps: readonly number[];
  step: number;
  onStep: (step: number) => void;
}

/** The steps at which something was logged; one is chosen. */
export function StepSlider({ steps, step, onStep }: StepSliderProps) {
  const id = useId();
  const at = Math.max(0, steps.indexOf(step));
  const go = (index: number) => {
    const next = steps[index];
    if (next !== undefined) onStep(next);
  };
  return (
    <div className="row small">
      <label htmlFor={id}>step</label>
      <button
        type="button"
        className="button icon"
        aria-label="earlier step"
        disabled={at === 0}
        onClick={() => go(at - 1)}
      >
        ‹
      </button>
      <input
        id={id}
        type="range"
        min={0}
        max={steps.length - 1}
        value={at}
        aria-valuetext={`step ${steps[at] ?? 0}`}
        onChange={(event) => go(Number(event.target.value))}
        style={{ accentColor: "var(--accent)", width: 180 }}
      />
      <button
        type="button"
        className="button icon"
        aria-label="later step"
        disabled={at >= steps.length - 1}
        onClick={() => go(at + 1)}
      >
        ›
      </button>
      <output className="num">
        {count(steps[at] ?? 0)} <span className="muted">({count(steps.length)} steps logged)</span>
      </output>
    </div>
  );
}
