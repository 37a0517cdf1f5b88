// Signs in and out, makes and deletes accounts, roles, tokens, aliases, tags, requests and rules as people do, on a server that asks for a
// login and has run the bundled demo: node e2e/accounts.mjs BASE_URL FOLDER TOKEN, the administrator's. What it makes it takes away again. Pictures go to FOLDER.
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
/** What the server is meant to refuse just now. */
let refusals = null;
const report = (what) => {
  if (!refusals?.test(what)) findings.push(`${at}: ${what}`);
};

const press = (shown, name) => shown.getByRole("button", { name, exact: true }).click();
const cell = (shown, name) => shown.getByRole("cell", { name, exact: true });

await mkdir(folder, { recursive: true });
const browser = await launch();
try {
  await looks();
  const admin = await page();
  await signIn(admin, "/account", "admin", token);
  await users(admin);
  const shown = await page();
  await person(shown);
  await roles(admin);
  await expired(admin, shown);
  await signOut(shown);
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
console.log(`sign-in, accounts, roles, labels, requests and rules: ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;

async function page(options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    ...options,
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

/** Opens a page, which leads to the sign-in page and from there back. */
async function signIn(shown, path, name, password) {
  await shown.goto(`${origin}${path}`);
  await shown.getByRole("heading", { name: "Sign in to Millrace" }).waitFor();
  await fill(shown, name, password);
  await shown.waitForURL(`${origin}${path}`);
}

async function fill(shown, name, password) {
  await shown.getByLabel("Name", { exact: true }).fill(name);
  await shown.getByLabel("Password", { exact: true }).fill(password);
  await press(shown, "Sign in");
}

/** The sign-in page in both colour schemes, wide and narrow, as it is and as it says no. */
async function looks() {
  at = "sign-in";
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of [
      [1440, 900],
      [360, 740],
    ]) {
      const shown = await page({ colorScheme, viewport: { width, height } });
      await shown.goto(`${origin}/runs?status=failed`);
      await shown.getByRole("heading", { name: "Sign in to Millrace" }).waitFor();
      if (!shown.url().endsWith("/sign-in?next=%2Fruns%3Fstatus%3Dfailed")) report(`led to ${shown.url()}`);
      await look(shown, `sign-in-${colorScheme}-${width}`);
      refusals = /^403 for \/api\/login$|status of 403/;
      await fill(shown, `nobody-${Date.now()}`, "a wrong password");
      await shown.getByText("no account has this name and this password").waitFor();
      refusals = null;
      await look(shown, `sign-in-refused-${colorScheme}-${width}`);
      await shown.context().close();
    }
  }
}

async function users(admin) {
  at = "users";
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
  await signIn(shown, "/account", anna, PASSWORD);
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
  // The browser that changed the password stays signed in.
  await shown.goto(`${origin}/runs`);
  await shown.getByRole("button", { name: `Account of ${anna}` }).waitFor();
}

async function roles(admin) {
  at = "roles";
  await admin.goto(`${origin}/account`);
  const name = `owner-${Date.now()}`;
  await admin.getByLabel("Role", { exact: true }).fill(name);
  await press(admin, "Make a role");
  const role = admin.getByRole("region", { name: `role ${name}`, exact: true });
  await role.getByRole("combobox", { name: /^User/ }).selectOption(anna);
  await press(role, "Give the role");
  await role.getByRole("button", { name: `Take ${name} from ${anna}` }).waitFor();
  await role.getByRole("combobox", { name: /^Which/ }).selectOption({ label: "flights" });
  await role.getByRole("combobox", { name: /^May/ }).selectOption("EDIT");
  await press(role, "Allow it");
  await role.getByLabel(`what ${name} may with flights`, { exact: true }).selectOption("MANAGE");
  await admin.getByRole("row", { name: anna }).filter({ hasText: name }).first().waitFor();
  await look(admin, "roles");
  await admin.setViewportSize({ width: 360, height: 740 });
  await look(admin, "roles-narrow");
  await admin.setViewportSize({ width: 1440, height: 900 });
  await press(role, `Remove what ${name} may with flights`);
  await role.getByText("It allows nothing beyond what everybody may.").waitFor();
  await press(role, "Delete the role");
  await press(admin, "Delete it");
  await role.waitFor({ state: "detached" });
}

/** A session that is over leads to the sign-in page, from the middle of a page, and back. */
async function expired(admin, shown) {
  at = "expired";
  await shown.getByRole("link", { name: "Models", exact: true }).click();
  await shown.waitForURL(`${origin}/models`);
  await admin.getByRole("row", { name: anna }).getByRole("button", { name: "New password" }).click();
  await admin.getByLabel("New password", { exact: true }).fill("a third long password");
  await press(admin, "Change");
  await admin.getByText("Changed.").waitFor();
  refusals = /^401 for |status of 401/;
  await shown.getByRole("link", { name: "Experiments", exact: true }).click();
  await shown.waitForURL(/\/sign-in\?next=%2Fexperiments/);
  await fill(shown, anna, "a third long password");
  await shown.waitForURL(`${origin}/experiments`);
  refusals = null;
  await shown.getByRole("button", { name: `Account of ${anna}` }).waitFor();
}

async function signOut(shown) {
  at = "sign-out";
  await shown.getByRole("button", { name: `Account of ${anna}` }).click();
  await look(shown, "account-menu");
  await shown.getByRole("menuitem", { name: "Sign out" }).click();
  await shown.waitForURL(`${origin}/sign-in`);
  await shown.goto(`${origin}/models`);
  await shown.waitForURL(`${origin}/sign-in?next=%2Fmodels`);
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
