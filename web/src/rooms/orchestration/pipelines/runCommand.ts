const PLAIN = /^[\w./:@%+=,-]+$/;

/** The command line that starts the same run. */
export function runCommand(pipeline: string, inputs: Record<string, unknown>): string {
  const flags = Object.entries(inputs).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `-i ${quote(`${name}=${text}`)}`;
  });
  return ["millrace run", quote(pipeline), ...flags].join(" ");
}

function quote(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
