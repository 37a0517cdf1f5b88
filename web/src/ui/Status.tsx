import { statusLook } from "./statusLook";

/** A state as colour, icon and word; `quiet` leaves the word to screen readers and the tooltip. */
export function Status({ status, quiet = false }: { status: string; quiet?: boolean }) {
  const { tone, word, icon: Icon, moving } = statusLook(status);
  return (
    <span className={`status tone-${tone}`} title={word}>
      <Icon size={14} stroke={2.2} className={moving ? "spin" : undefined} aria-hidden />
      {quiet ? <span className="visually-hidden">{word}</span> : word}
    </span>
  );
}
