// Walks every page of a real server that has run the bundled demo: node e2e/real.mjs BASE_URL FOLDER
// In both colour schemes, wide and narrow. Fails on a stop whose heading or content does not come, an error in the page, an answer of 400
// or more, a request to another host, a page wider than its window, or a serious finding of axe-core. Pictures go to FOLDER. It reads and
// scores, and changes nothing else. The server listens on the loopback address, as `millrace demo` does, and so asks for no login.
import { discover, stops } from "./demo.mjs";
import { walk } from "./walk.mjs";

const [address = "http://127.0.0.1:7878", folder = "real"] = process.argv.slice(2);
// What the README shows: one screen of it, not the whole page.
await walk(address, folder, async (read) => stops(await discover(read)), "run-light-1440");
