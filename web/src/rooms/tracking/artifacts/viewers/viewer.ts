export interface ViewerProps {
  /** In the artifact store. */
  path: string;
  /** The file's own name. */
  name: string;
  size: number | null;
}
