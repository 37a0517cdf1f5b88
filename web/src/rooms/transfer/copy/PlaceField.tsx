import { useQuery } from "@tanstack/react-query";
import { Words } from "../../../forms/schema/Words";
import { connectionsQuery, datasetNamesQuery } from "../queries";

interface PlaceFieldProps {
  id: string;
  value: string;
  placeholder: string;
  /** Told when the place is meant, not at each key. */
  onChange: (place: string) => void;
}

/** A place of a table, with datasets and connections to choose from. */
export function PlaceField({ id, value, placeholder, onChange }: PlaceFieldProps) {
  const datasets = useQuery(datasetNamesQuery()).data ?? [];
  const connections = useQuery(connectionsQuery()).data?.connections ?? [];
  return (
    <>
      <input
        id={id}
        key={value}
        className="input mono"
        list={`${id}-words`}
        aria-describedby={`${id}-help`}
        defaultValue={value}
        placeholder={placeholder}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        onBlur={({ target }) => target.value.trim() !== value && onChange(target.value.trim())}
      />
      <Words
        id={`${id}-words`}
        words={[...datasets.map((name) => `data:${name}`), ...connections.map(({ name }) => `${name}:`)]}
      />
    </>
  );
}
