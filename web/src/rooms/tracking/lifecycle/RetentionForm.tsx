import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import type { RetentionPlanView, RetentionView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { planRetention, removeRetention, renewAll, setRetention } from "./queries";
import { isEmpty, type RulesText, rulesOf, typed } from "./rules";

/** In the place of an experiment: those without rules of their own. */
export const EVERY_OTHER = "default";

/** For how long the runs of an experiment are kept. */
export function RetentionForm({ experiment, view }: { experiment: string; view: RetentionView }) {
  const client = useQueryClient();
  const [fields, setFields] = useState(() => typed(view.own ?? view.default));
  const change = (part: Partial<RulesText>) => setFields({ ...fields, ...part });
  const plan = useMutation({ mutationFn: () => planRetention(experiment, rulesOf(fields)) });
  const save = useMutation({
    mutationFn: () => setRetention(experiment, rulesOf(fields)),
    onSuccess: () => renewAll(client),
  });
  const drop = useMutation({
    mutationFn: () => removeRetention(experiment),
    onSuccess: async (after) => {
      setFields(typed(after.default));
      plan.reset();
      await renewAll(client);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const everywhere = experiment === EVERY_OTHER;
  const error = plan.error ?? save.error ?? drop.error;
  return (
    <form onSubmit={submit} className="stack">
      <p className="muted small">
        {everywhere
          ? view.default
            ? "These rules hold in every experiment without rules of its own, evaluated every hour."
            : "No rules hold in experiments without rules of their own: nothing of them is deleted by itself."
          : view.own
            ? "This experiment has rules of its own, evaluated every hour."
            : view.default
              ? "The default rules of the server hold here until this experiment has its own."
              : "Nothing is deleted by itself."}{" "}
        What a registered model or a deployment refers to is always kept.
      </p>
      <div className="fields">
        <Field
          label="Delete runs after days"
          value={fields.deleteAfter}
          onChange={(deleteAfter) => change({ deleteAfter })}
        />
        <Field
          label="Purge what is deleted after days"
          value={fields.purgeAfter}
          onChange={(purgeAfter) => change({ purgeAfter })}
        />
        <Field label="Keep the newest" value={fields.newest} onChange={(newest) => change({ newest })} />
        <Field label="Keep the best" value={fields.bestCount} onChange={(bestCount) => change({ bestCount })} />
        <Field
          label="by the metric"
          numeric={false}
          value={fields.bestMetric}
          onChange={(bestMetric) => change({ bestMetric })}
        />
        <Field
          label="Keep those tagged"
          numeric={false}
          placeholder="key, key=value"
          value={fields.tags}
          onChange={(tags) => change({ tags })}
        />
      </div>
      <label className="row small">
        <input
          type="checkbox"
          checked={fields.bestSmallest}
          onChange={(event) => change({ bestSmallest: event.target.checked })}
        />
        The smallest values of the metric are the best
      </label>
      <div className="row">
        {!everywhere && (
          <button
            type="button"
            className="button"
            disabled={isEmpty(fields) || plan.isPending}
            onClick={() => plan.mutate()}
          >
            What would go now?
          </button>
        )}
        <button type="submit" className="button" disabled={isEmpty(fields) || save.isPending}>
          Save
        </button>
        {(everywhere ? view.default : view.own) && (
          <button type="button" className="button quiet" disabled={drop.isPending} onClick={() => drop.mutate()}>
            Take the rules away
          </button>
        )}
      </div>
      {Boolean(error) && <Failure problem={explain(error)} />}
      {plan.data && <Plan plan={plan.data} />}
    </form>
  );
}

function Plan({ plan }: { plan: RetentionPlanView }) {
  const more = plan.more ? " at first, and more after them" : "";
  return (
    <div className="small" role="status">
      <p>
        {plural(plan.deletes, "run")} would be deleted and {plural(plan.purges, "run")} purged{more};{" "}
        {plural(plan.kept, "old run")} kept by the rules, {plan.referenced} since something refers to them.
      </p>
      {plan.purges_experiment && <p>The experiment itself would be purged.</p>}
      {plan.delete.length > 0 && (
        <p className="muted">
          {plan.delete
            .slice(0, 10)
            .map((run) => run.name)
            .join(", ")}
          {plan.deletes > 10 && ", …"}
        </p>
      )}
    </div>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  numeric?: boolean;
  placeholder?: string;
}

function Field({ label, value, onChange, numeric = true, placeholder }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        inputMode={numeric ? "numeric" : undefined}
        placeholder={placeholder}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
