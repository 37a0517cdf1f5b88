import { Link } from "@tanstack/react-router";
import { bytes } from "../../../format/bytes";
import { count } from "../../../format/number";
import type { AssetRef } from "./asset";

/** A table, model, file or report: what it is, where its page is, how large it is. */
export function AssetValue({ asset: found }: { asset: AssetRef }) {
  return (
    <span className="row">
      <span className="tag">{found.asset}</span>
      <AssetName asset={found} />
      <span className="muted small">
        {[found.rows ? `${count(found.rows)} rows` : null, found.size_bytes ? bytes(found.size_bytes) : null]
          .filter(Boolean)
          .join(", ")}
      </span>
    </span>
  );
}

function AssetName({ asset: { asset: kind, name, version, uri } }: { asset: AssetRef }) {
  const label = name ? `${name}${version ? `@${version}` : ""}` : (uri.split("/").findLast(Boolean) ?? uri);
  if (name && kind === "table") {
    return (
      <Link to="/data/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  if (name && kind === "model") {
    return (
      <Link to="/models/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  return (
    <span className="mono" title={uri}>
      {label}
    </span>
  );
}
