import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get } from "../../../api/client";
import { readPart } from "../../../api/files";
import type { ArtifactFile, ModelFolderView, TablePreview } from "../../../api/types.gen";
import { shownAddress } from "./addresses";

/** Bytes of a text that are read at once. */
export const TEXT_PART = 256 * 1024;

/** What lies in a folder of the artifact store; names are relative to it. */
export const folderQuery = (path: string) =>
  queryOptions({
    queryKey: ["tracked-runs", "folder", path],
    queryFn: ({ signal }) => get<ArtifactFile[]>("/api/artifacts", { path }, signal),
    placeholderData: keepPreviousData,
  });

/** A file, part by part. */
export const partsQuery = (path: string, size: number | null) =>
  infiniteQueryOptions({
    queryKey: ["artifact-parts", path, size],
    queryFn: ({ pageParam, signal }) => readPart(shownAddress(path), pageParam, TEXT_PART, signal),
    initialPageParam: 0,
    getNextPageParam: ({ from, bytes, total }) => (from + bytes.length < total ? from + bytes.length : undefined),
    staleTime: 60_000,
  });

/** A file as a whole, as text. */
export const wholeQuery = (path: string, size: number | null) =>
  queryOptions({
    queryKey: ["artifact-whole", path, size],
    queryFn: async ({ signal }) => {
      const { bytes } = await readPart(shownAddress(path), 0, Math.max(size ?? 0, 1), signal);
      return new TextDecoder().decode(bytes);
    },
    staleTime: 60_000,
  });

/** The first rows of a Parquet file. */
export const tableQuery = (path: string, limit: number) =>
  queryOptions({
    queryKey: ["artifact-table", path, limit],
    queryFn: ({ signal }) => get<TablePreview>("/api/artifact-table", { path, limit }, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });

/** What a model folder says of itself. */
export const modelFolderQuery = (path: string) =>
  queryOptions({
    queryKey: ["artifact-model", path],
    queryFn: ({ signal }) => get<ModelFolderView>("/api/artifact-model", { path }, signal),
    staleTime: 60_000,
  });
