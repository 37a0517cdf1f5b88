/** Enough of an id to tell it from its neighbours, as the command line shows it: ids of one moment begin alike and end differently. */
export function short(id: string): string {
  return id.slice(-10);
}
