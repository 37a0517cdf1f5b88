/** A sentence with the names in its backticks set as code. */
export function Message({ text }: { text: string | null | undefined }) {
  // Odd parts stood between backticks.
  // oxlint-disable-next-line react/no-array-index-key
  return (text ?? "").split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}
