/** Rows of RFC 4180 text (commas or tabs). A last row that is cut off by the end of the text is left out unless the text is `complete`. */
export function separated(text: string, separator: string, complete = true): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  let begun = false;
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0; at < text.length; at += 1) {
    const sign = text[at] ?? "";
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && cell === "") {
      quoted = true;
      begun = true;
    } else if (sign === separator) {
      row.push(cell);
      cell = "";
      begun = true;
    } else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[at + 1] === "\n") at += 1;
      if (begun || cell !== "") rows.push([...row, cell]);
      row = [];
      cell = "";
      begun = false;
    } else cell += sign;
  }
  if (complete && (begun || cell !== "")) rows.push([...row, cell]);
  return rows;
}

/** Cells of a column as numbers, if all that are not empty are some; else as they are. */
export function typed(rows: readonly (readonly string[])[], columns: number): (string | number | null)[][] {
  const numeric = Array.from({ length: columns }, (_, at) =>
    rows.every((row) => {
      const cell = row[at] ?? "";
      return cell === "" || (cell.trim() === cell && Number.isFinite(Number(cell)) && !/^0\d/.test(cell));
    }),
  );
  return rows.map((row) =>
    numeric.map((is, at) => {
      const cell = row[at] ?? "";
      return cell === "" ? null : is ? Number(cell) : cell;
    }),
  );
}
