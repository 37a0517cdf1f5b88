import type { Language } from "../../../ui/code/languages";

/** How a file is shown. */
export type ViewerKind =
  | "image"
  | "markdown"
  | "separated"
  | "parquet"
  | "json"
  | "html"
  | "pdf"
  | "audio"
  | "video"
  | "text"
  | "none";

const ENDINGS: Record<string, ViewerKind> = {
  ...of("image", "png jpg jpeg gif svg webp bmp avif ico"),
  ...of("markdown", "md markdown"),
  ...of("separated", "csv tsv"),
  ...of("parquet", "parquet"),
  ...of("json", "json"),
  ...of("html", "html htm"),
  ...of("pdf", "pdf"),
  ...of("audio", "mp3 wav ogg oga flac m4a aac"),
  ...of("video", "mp4 webm ogv mov m4v"),
  ...of(
    "none",
    "onnx pkl pickle joblib pt pth bin safetensors h5 hdf5 npy npz ckpt model zip gz bz2 xz zst tar whl jar so db sqlite arrow feather ubj tflite pb msgpack",
  ),
};

/** What is shown only when it is there in whole, and up to which size, bytes. */
const MOST: Partial<Record<ViewerKind, number>> = {
  image: 50_000_000,
  markdown: 2_000_000,
  json: 20_000_000,
  html: 50_000_000,
  pdf: 200_000_000,
};

function of(kind: ViewerKind, endings: string): Record<string, ViewerKind> {
  return Object.fromEntries(endings.split(" ").map((ending) => [ending, kind]));
}

/** How a file of this name is shown; what has no known ending is tried as text. */
export function viewerOf(name: string): ViewerKind {
  const file = name.split("/").at(-1) ?? name;
  const ending = file.includes(".") ? (file.split(".").at(-1) ?? "").toLowerCase() : "";
  return ENDINGS[ending] ?? "text";
}

/** The size above which such a file is not shown, if it has more bytes; null if it can be. */
export function tooLarge(kind: ViewerKind, size: number | null | undefined): number | null {
  const most = MOST[kind];
  return most !== undefined && size !== null && size !== undefined && size > most ? most : null;
}

const LANGUAGES: Record<string, Language> = {
  ...Object.fromEntries("yaml yml json jsonl ndjson".split(" ").map((ending) => [ending, "yaml" as const])),
  sql: "sql",
  ...Object.fromEntries(
    "py ipynb js mjs ts tsx jsx rs r jl java scala go c h cc cpp hpp cs sh bash zsh toml ini cfg conf dockerfile"
      .split(" ")
      .map((ending) => [ending, "code" as const]),
  ),
};
const NAMES: Record<string, Language> = { MLmodel: "yaml", Dockerfile: "code", Makefile: "code" };

/** The language of a text, for its colours. */
export function languageOf(name: string): Language {
  const file = name.split("/").at(-1) ?? name;
  return NAMES[file] ?? LANGUAGES[(file.split(".").at(-1) ?? "").toLowerCase()] ?? "plain";
}

/** Whether bytes are no text: a NUL is in none. */
export const isBinary = (bytes: Uint8Array) => bytes.subarray(0, 8192).includes(0);
