/** Texts that one can go back and forward among. */
export interface Past<T> {
  before: readonly T[];
  now: T;
  after: readonly T[];
}

/** States beyond these are forgotten. */
const MOST = 200;

export const begin = <T>(now: T): Past<T> => ({ before: [], now, after: [] });

export const went = <T>(past: Past<T>, next: T): Past<T> => ({
  before: [...past.before, past.now].slice(-MOST),
  now: next,
  after: [],
});

/** The same state as it is known now: nothing to go back to. */
export const amended = <T>(past: Past<T>, now: T): Past<T> => ({ ...past, now });

export function undone<T>(past: Past<T>): Past<T> {
  const last = past.before.at(-1);
  return last === undefined ? past : { before: past.before.slice(0, -1), now: last, after: [past.now, ...past.after] };
}

export function redone<T>(past: Past<T>): Past<T> {
  const [next] = past.after;
  return next === undefined ? past : { before: [...past.before, past.now], now: next, after: past.after.slice(1) };
}
