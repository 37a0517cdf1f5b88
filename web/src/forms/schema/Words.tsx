/** Words that an input offers; the input names them by `list`. */
export function Words({ id, words }: { id: string; words: readonly string[] | undefined }) {
  if (!words || words.length === 0) return null;
  return (
    <datalist id={id}>
      {words.map((word) => (
        <option key={word} value={word}>
          {word}
        </option>
      ))}
    </datalist>
  );
}
