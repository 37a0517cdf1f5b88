import { address } from "../../../api/client";

/** Scheme of what this server keeps. */
const OWN = "mlflow-artifacts:/";

/** The path of the artifact store that an address names; null if the files are kept elsewhere. */
export function storePath(uri: string): string | null {
  return uri.startsWith(OWN) ? uri.slice(OWN.length).replace(/^\/+|\/+$/g, "") : null;
}

export function join(folder: string, name: string): string {
  return folder === "" ? name : name === "" ? folder : `${folder}/${name}`;
}

const encoded = (path: string) => path.split("/").map(encodeURIComponent).join("/");

/** Where a file comes from to be shown: sandboxed. */
export const shownAddress = (path: string) => `/api/artifacts/${encoded(path)}`;

/** Where a file comes from to be kept. */
export const downloadAddress = (path: string) => `/api/2.0/mlflow-artifacts/artifacts/${encoded(path)}`;

/** Where a folder comes from as one file. */
export const archiveAddress = (path: string) => address("/api/artifact-archive", { path });
