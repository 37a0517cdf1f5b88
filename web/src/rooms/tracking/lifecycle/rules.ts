import type { RetentionRulesView } from "../../../api/types.gen";

/** Rules as they are typed. */
export interface RulesText {
  deleteAfter: string;
  bestCount: string;
  bestMetric: string;
  bestSmallest: boolean;
  newest: string;
  tags: string;
  purgeAfter: string;
}

const text = (value: number | null | undefined) => (value ? String(value) : "");

export function typed(rules: RetentionRulesView | null): RulesText {
  return {
    deleteAfter: text(rules?.delete_after_days),
    bestCount: text(rules?.keep_best?.count),
    bestMetric: rules?.keep_best?.metric ?? "",
    bestSmallest: rules?.keep_best?.smallest ?? false,
    newest: text(rules?.keep_newest),
    tags: rules?.keep_tagged.join(", ") ?? "",
    purgeAfter: text(rules?.purge_after_days),
  };
}

const whole = (value: string) => (/^\d+$/.test(value.trim()) ? Number(value.trim()) : null);

/** The rules that the fields say; the server says what is wrong with them. */
export function rulesOf(fields: RulesText): RetentionRulesView {
  const metric = fields.bestMetric.trim();
  const count = whole(fields.bestCount);
  return {
    delete_after_days: whole(fields.deleteAfter),
    keep_best: metric || count ? { count: count ?? 0, metric, smallest: fields.bestSmallest } : null,
    keep_newest: whole(fields.newest),
    keep_tagged: fields.tags
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
    purge_after_days: whole(fields.purgeAfter),
  };
}

/** Whether the fields say nothing. */
export const isEmpty = (fields: RulesText) => fields.deleteAfter.trim() === "" && fields.purgeAfter.trim() === "";
