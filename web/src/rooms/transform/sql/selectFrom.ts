/** The first rows of a dataset or file; its name is quoted unless it is a plain word. */
export function selectFrom(name: string): string {
  const table = /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
  return `select *\nfrom ${table}\nlimit 100`;
}
