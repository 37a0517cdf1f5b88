import type { SpanSummary } from "../../../api/types.gen";

/** A span as a line of the tree. */
export interface SpanRow {
  span: SpanSummary;
  depth: number;
  /** Spans within it, at any depth. */
  inside: number;
  open: boolean;
}

/** Children by parent, in the order of time; what lies in a span that has not come stands at the top. */
export function childrenOf(spans: readonly SpanSummary[]): Map<string | null, SpanSummary[]> {
  const known = new Set(spans.map(({ id }) => id));
  const children = new Map<string | null, SpanSummary[]>();
  for (const span of spans) {
    const parent =
      span.parent_id !== null && span.parent_id !== span.id && known.has(span.parent_id) ? span.parent_id : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(span);
    else children.set(parent, [span]);
  }
  for (const siblings of children.values()) siblings.sort((a, b) => a.start_ms - b.start_ms);
  return children;
}

/** The ids of the spans that have the text in their name or type, and of all that they lie in; null if there is no text. */
export function found(spans: readonly SpanSummary[], text: string): Set<string> | null {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  const byId = new Map(spans.map((span) => [span.id, span]));
  const shown = new Set<string>();
  for (const span of spans) {
    if (!span.name.toLowerCase().includes(wanted) && !span.kind.toLowerCase().includes(wanted)) continue;
    let at: SpanSummary | undefined = span;
    while (at && !shown.has(at.id)) {
      shown.add(at.id);
      at = at.parent_id === null ? undefined : byId.get(at.parent_id);
    }
  }
  return shown;
}

/** The lines of the tree; spans that were closed hide what is in them. Without recursion: a chain may be as deep as the trace is long. */
export function spanRows(
  spans: readonly SpanSummary[],
  closed: ReadonlySet<string>,
  only: ReadonlySet<string> | null = null,
): SpanRow[] {
  const children = childrenOf(spans);
  const counts = insideCounts(children);
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const stack = (children.get(null) ?? []).map((span) => ({ span, depth: 0 })).toReversed();
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { span, depth } = next;
    if (seen.has(span.id) || (only && !only.has(span.id))) continue;
    seen.add(span.id);
    const open = !closed.has(span.id);
    rows.push({ span, depth, inside: counts.get(span.id) ?? 0, open });
    if (!open) continue;
    const inner = children.get(span.id) ?? [];
    for (let at = inner.length - 1; at >= 0; at -= 1) {
      const child = inner[at];
      if (child) stack.push({ span: child, depth: depth + 1 });
    }
  }
  return rows;
}

function insideCounts(children: Map<string | null, SpanSummary[]>): Map<string, number> {
  const order: SpanSummary[] = [];
  const seen = new Set<string>();
  const stack = [...(children.get(null) ?? [])];
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (seen.has(next.id)) continue;
    seen.add(next.id);
    order.push(next);
    for (const child of children.get(next.id) ?? []) stack.push(child);
  }
  const counts = new Map<string, number>();
  for (const span of order.toReversed())
    counts.set(
      span.id,
      (children.get(span.id) ?? []).reduce((sum, child) => sum + 1 + (counts.get(child.id) ?? 0), 0),
    );
  return counts;
}

/** When the last span ends, milliseconds after the first began; spans that go on end there. */
export function traceEnd(spans: readonly SpanSummary[]): number {
  return spans.reduce((end, span) => Math.max(end, span.start_ms + (span.duration_ms ?? 0)), 0);
}
