import type { DatasetView } from "../../../api/types.gen";
import { AliasEditor } from "../AliasEditor";
import { removeDatasetAlias, removeDatasetTag, setDatasetAlias, setDatasetTag } from "../queries";
import { TagEditor } from "../TagEditor";

const KEY = ["datasets"];
/** In the place of a version: the dataset itself. */
const ITSELF = 0;

/** The aliases and tags of a version, and the tags of the dataset, to be changed. */
export function DatasetLabels({ dataset }: { dataset: DatasetView }) {
  const { name, version, aliases, tags } = dataset.version;
  return (
    <div className="body stack">
      <h3>Aliases of version {version}</h3>
      <p className="muted small">
        An alias points at one version: <span className="mono">data:{name}@ALIAS</span> reads it. One that points
        elsewhere is moved here.
      </p>
      <AliasEditor
        aliases={aliases}
        set={(alias) => setDatasetAlias(name, alias, version)}
        remove={(alias) => removeDatasetAlias(name, alias)}
        queryKey={KEY}
      />
      <h3>Tags of version {version}</h3>
      <TagEditor
        label={`tags of version ${version}`}
        tags={tags}
        set={(key, value) => setDatasetTag(name, version, key, value)}
        remove={(key) => removeDatasetTag(name, version, key)}
        queryKey={KEY}
      />
      <h3>Tags of the dataset</h3>
      <TagEditor
        label="tags of the dataset"
        tags={dataset.tags}
        set={(key, value) => setDatasetTag(name, ITSELF, key, value)}
        remove={(key) => removeDatasetTag(name, ITSELF, key)}
        queryKey={KEY}
      />
    </div>
  );
}
