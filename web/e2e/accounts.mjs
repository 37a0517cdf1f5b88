// Makes and deletes accounts, tokens, aliases, tags, requests and rules as people do, on a server that asks for a login and has run the
// bundled demo: node e2e/accounts.mjs BASE_URL FOLDER TOKEN, the administrator's. What it makes it takes away again. Pictures go to FOLDER.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { barriers, overflow, watch } from "./watch.mjs";

const [address, folder, token] = process.argv.slice(2);
const { origin, host } = new URL(address);
const [anna, bert] = ["anna", "bert"].map((name) => `${name}-${Date.now()}`);
const PASSWORD = "a long password";
const findings = [];
let at = "start";
const report = (what) => findings.push(`${at}: ${what}`);

const press = (shown, name) => shown.getByRole("button", { name, exact: true }).click();
const cell = (shown, name) => shown.getByRole("cell", { name, exact: true });

await mkdir(folder, { recursive: true });
const browser = await launch();
try {
  const admin = await page("admin", token);
  await users(admin);
  await person(await page(anna, PASSWORD));
  await labels(admin);
  await promotion(admin);
  await retention(admin);
  await remove(admin, anna);
} catch (error) {
  report(error.message.split("\n").slice(0, 4).join(" "));
} finally {
  await browser.close();
}
for (const finding of findings) console.error(finding);
console.log(`accounts, labels, requests and rules: ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;

async function page(username, password) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    // Sent with every request: else each page begins with a refusal that looks like trouble.
    httpCredentials: { username, password, send: "always" },
  });
  const made = await context.newPage();
  made.setDefaultTimeout(15_000);
  watch(made, host, report);
  return made;
}

async function look(shown, name) {
  await shown.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  for (const what of [...(await overflow(shown)), ...(await barriers(shown))]) report(what);
}

async function users(admin) {
  at = "users";
  await admin.goto(`${origin}/account`);
  for (const name of [anna, bert]) {
    await admin.getByLabel("Name", { exact: true }).fill(name);
    await admin.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await press(admin, "Make an account");
    await cell(admin, name).waitFor();
  }
  const box = admin.getByLabel(`${bert} is an administrator`);
  await box.click();
  await admin.getByRole("checkbox", { name: `${bert} is an administrator`, checked: true }).waitFor();
  await look(admin, "users");
  await remove(admin, bert);
}

async function remove(admin, name) {
  await admin.goto(`${origin}/account`);
  await admin.getByRole("row", { name }).getByRole("button", { name: "Delete" }).click();
  await press(admin, "Delete it");
  await cell(admin, name).waitFor({ state: "detached" });
}

async function person(shown) {
  at = "account";
  await shown.goto(`${origin}/account`);
  await shown.getByLabel("What the token is for").fill("laptop");
  await press(shown, "Make a token");
  await shown.getByText("It is shown this once").waitFor();
  await cell(shown, "laptop").waitFor();
  await look(shown, "account");
  await press(shown, "Take the token laptop back");
  await cell(shown, "laptop").waitFor({ state: "detached" });
  await shown.getByLabel("Password so far").fill(PASSWORD);
  await shown.getByLabel("New password").fill("another long password");
  await press(shown, "Change");
  await shown.getByText("Changed.").waitFor();
}

async function labels(admin) {
  at = "labels";
  await admin.goto(`${origin}/data/flights?tab=labels`);
  await admin.getByLabel("New alias").fill("stable");
  await press(admin, "Point here");
  for (const [label, key] of [
    [/^tags of version/, "owner"],
    ["tags of the dataset", "domain"],
  ]) {
    const form = admin.getByRole("form", { name: label });
    await form.getByLabel(/^Key/).fill(key);
    await form.getByLabel(/^Value/).fill("flights");
    await form.getByRole("button", { name: "Set", exact: true }).click();
    await form.getByRole("button", { name: `Remove the tag ${key}` }).waitFor();
  }
  await look(admin, "labels");
  for (const name of ["Remove the alias stable", "Remove the tag owner", "Remove the tag domain"]) {
    await press(admin, name);
    await admin.getByRole("button", { name, exact: true }).waitFor({ state: "detached" });
  }
}

async function promotion(admin) {
  at = "promotion";
  await admin.goto(`${origin}/models/late_flights?tab=promotions`);
  await admin.getByLabel("Alias").fill("live");
  await press(admin, "Ask");
  await admin.getByRole("button", { name: "Withdraw" }).first().waitFor();
  await look(admin, "promotion");
  await admin.getByRole("button", { name: "Withdraw" }).first().click();
  await admin
    .getByText(/^withdrawn/)
    .first()
    .waitFor();
}

async function retention(admin) {
  at = "retention";
  await admin.goto(`${origin}/experiments`);
  await admin.getByLabel("Delete runs after days").fill("365");
  await press(admin, "Save");
  await admin.getByText("These rules hold in every experiment").waitFor();
  await look(admin, "retention");
  await press(admin, "Take the rules away");
  await admin.getByText("No rules hold").waitFor();
}
