import { discover, stops } from "./demo.mjs";
import { walk } from "./walk.mjs";
const [address, folder, pattern] = process.argv.slice(2);
await walk(address, folder, async (read) =>
  stops(await discover(read)).filter((s) => new RegExp(pattern).test(s.name)),
);
