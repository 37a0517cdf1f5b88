import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compress } from "./vite/compress.ts";

/** What every page needs goes first, so that no group of a single page takes it in. */
const SHARED = /node_modules[\\/](?:react|react-dom|scheduler|use-sync-external-store)[\\/]/;

/** Heavy packages that only some pages need; each group is one lazily loaded file. */
const GROUPS = [
  { name: "react", test: SHARED, priority: 10 },
  { name: "echarts", test: /node_modules[\\/](?:echarts|zrender)[\\/]/ },
  { name: "codemirror", test: /node_modules[\\/](?:@codemirror|@lezer|@marijn|crelt|style-mod|w3c-keyname)[\\/]/ },
  { name: "graph", test: /node_modules[\\/](?:@xyflow|@dagrejs|d3-[a-z]+|classcat|zustand)[\\/]/ },
];

const API = "http://127.0.0.1:7878";

export default defineConfig({
  plugins: [react(), compress()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: { proxy: { "/api": API, "/endpoints": { target: API, bypass: pageRequest } } },
  build: {
    outDir: "dist",
    target: "es2023",
    sourcemap: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    rolldownOptions: { output: { codeSplitting: { groups: GROUPS } } },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});

/** A browser that navigates wants the page of an endpoint, not the endpoint. */
function pageRequest(request: { headers: { accept?: string } }): string | undefined {
  return request.headers.accept?.includes("text/html") ? "/index.html" : undefined;
}
