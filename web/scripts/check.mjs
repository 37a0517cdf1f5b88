// The journey against the made-up answers: node scripts/check.mjs FOLDER
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { serve } from "./serve.mjs";

const { base, close } = await serve();
const journey = fileURLToPath(new URL("../e2e/journey.mjs", import.meta.url));
const child = spawn(process.execPath, [journey, base, process.argv[2] ?? "journey"], { stdio: "inherit" });
child.on("exit", (code) => {
  close();
  process.exitCode = code ?? 1;
});
