export interface AssetRef {
  asset: string;
  uri: string;
  name?: string;
  version?: number;
  rows?: number;
  size_bytes?: number;
}

/** The asset that a value is, if it is one. */
export function assetOf(value: unknown): AssetRef | null {
  if (typeof value !== "object" || value === null || !("asset" in value) || !("uri" in value)) return null;
  return value as AssetRef;
}
