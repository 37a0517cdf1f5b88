// Changes a flow on its canvas, connections, and copies a table, on a real server of a workspace of its own: node e2e/data.mjs FOLDER writes the workspace,
// node e2e/data.mjs BASE_URL FOLDER WORKSPACE walks its pages as e2e/real.mjs does.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { walk } from "./walk.mjs";

const FLOW = `# Orders of the shop, by day.
flow: by_day

nodes:
  orders: {source: orders}   # as they were copied

  # Those that were cancelled are no revenue.
  kept:
    filter: status <> 'cancelled'   # the shop's word
    from: orders
  by_day:
    aggregate:
      by: [day]
      values:
        revenue: sum(amount)  # in euros
    from: kept

output: by_day
`;

const CONNECTIONS = `# Where data is.
local: {sqlite: {path: shop.db}}   # ours

old:
  postgres: {url: "postgres://shop:s3cret@127.0.0.1:1/shop"}
`;

const FILES = {
  "millrace.yaml": "name: shop\n",
  "connections.yaml": CONNECTIONS,
  "raw/orders.csv": [
    "id,day,status,amount",
    ...Array.from({ length: 300 }, (_, at) => {
      const day = `2026-03-${String((at % 28) + 1).padStart(2, "0")}`;
      return `${at},${day},${at % 7 === 0 ? "cancelled" : "paid"},${((at * 37) % 900) / 10}`;
    }),
    "",
  ].join("\n"),
  "raw/days.csv": "day,holiday\n2026-03-01,Sunday\n2026-03-08,Sunday\n",
  "pipelines/load.yaml":
    'steps:\n  orders: {copy: {from: raw/orders.csv, to: "data:orders"}}\n  days: {copy: {from: raw/days.csv, to: "data:days"}}\n' +
    '  by_day: {flow: flows/by_day.yaml, inputs: {orders: "${{ steps.orders.data }}"}}\n' +
    "  models: {sql_models: {}, needs: [orders, days]}\n",
  "sources.yaml": 'shop:\n  tables:\n    orders: {from: "data:orders"}\n    days: {from: "data:days"}\n',
  "models/staging/paid.sql": "select id, day, amount\nfrom {{ source('shop', 'orders') }}\nwhere status = 'paid'\n",
  "models/staging/paid.yaml":
    "description: Orders that were paid.\ntags: [daily]\ncolumns:\n  id: {description: The shop's number., tests: [unique, not_null]}\n",
  "models/revenue.sql":
    "select day, sum(amount) as amount, count(d.holiday) > 0 as is_holiday\nfrom {{ ref('paid') }} left join {{ source('shop', 'days') }} d using (day)\ngroup by day\n",
  "flows/by_day.yaml": FLOW,
};

const [address, pictures, workspace] = process.argv.slice(2);
async function write(folder) {
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

async function go() {
  const { origin } = new URL(address);
  const started = await fetch(`${origin}/api/pipelines/load/runs?wait=100s`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const run = await started.json();
  if (run.status !== "succeeded") throw new Error(`the tables were not copied: ${JSON.stringify(run)}`);
  await walk(address, pictures, stops);
}

const text = (what) => (page) => page.locator("main").getByText(what);
const node = (id) => (page) => page.locator(`.react-flow__node[data-id="${id}"] button`);
const rows = (label) => (page) => page.getByRole("region", { name: label }).locator("tbody tr");
const button = (name) => (page) => page.getByRole("button", { name, exact: true });
const flowFile = join(workspace ?? ".", "flows/by_day.yaml");

/** Fails unless the file is the one of the beginning but for these lines. */
async function expectFile(lines) {
  const found = (await readFile(flowFile, "utf8")).split("\n");
  const known = FLOW.split("\n");
  const lost = known.filter((line) => !found.includes(line));
  const added = found.filter((line) => !known.includes(line));
  const said = JSON.stringify({ lost, added });
  if (said !== JSON.stringify(lines)) throw new Error(`the file differs by ${said}`);
}

async function stops() {
  await writeFile(flowFile, FLOW);
  await writeFile(join(workspace, "connections.yaml"), CONNECTIONS);
  for (const file of ["flows/fresh.yaml", "pipelines/copy_orders_again.yaml"])
    await rm(join(workspace, file), { force: true });
  return [
    {
      name: "sql-models",
      path: "/sql-models",
      heading: "SQL models",
      come: [rows("SQL models"), node("shop.orders"), node("revenue")],
    },
    {
      name: "sql-model",
      path: "/sql-models/paid",
      heading: "paid",
      come: [rows("columns of paid"), text("paid_id_unique"), node("revenue")],
    },
    { name: "flows", path: "/flows", heading: "Flows", come: [text("load (by_day)")] },
    {
      name: "flow",
      path: "/flows/by_day",
      heading: "by_day",
      come: [
        node("kept"),
        (page) => page.getByLabel("Table of orders while it is edited"),
        text(/rows are those of a/),
      ],
    },
    {
      name: "flow-configured",
      heading: "by_day",
      do: async (page) => {
        await node("kept")(page).click();
        await rows("rows of kept")(page).first().waitFor();
        await page.getByRole("combobox", { name: "filter" }).fill("amount > 80");
        await text("not saved")(page).waitFor();
      },
      come: [rows("rows of kept"), text(/^82\.|^8[1-9]\./)],
    },
    {
      name: "flow-wrong",
      heading: "by_day",
      do: (page) => page.getByRole("combobox", { name: "filter" }).fill("amuont > 80"),
      come: [text("wrong"), text(/there is no column .*amuont/), text("No rows as long as the node is not right.")],
    },
    {
      name: "flow-undone",
      heading: "by_day",
      do: async (page) => {
        await node("kept")(page).focus();
        await page.keyboard.press("Control+z");
        await page.keyboard.press("Control+z");
        await page.keyboard.press("Control+Shift+Z");
      },
      come: [(page) => page.locator('input[value="amount > 80"]'), rows("rows of kept")],
    },
    {
      name: "flow-added",
      heading: "by_day",
      do: async (page) => {
        await node("by_day")(page).click();
        await button("sort")(page).click();
        await node("sort")(page).waitFor();
        await page.getByRole("textbox", { name: "Name" }).fill("ordered");
        await page.getByRole("textbox", { name: "Name" }).press("Enter");
        await node("ordered")(page).waitFor();
      },
      come: [text(/there is no column/)],
    },
    {
      name: "flow-removed",
      heading: "by_day",
      do: async (page) => {
        await node("ordered")(page).focus();
        await page.keyboard.press("Delete");
        await node("ordered")(page).waitFor({ state: "detached" });
      },
      come: [node("by_day"), rows("rows of by_day")],
    },
    {
      name: "flow-connected",
      heading: "by_day",
      do: async (page) => {
        await button("source")(page).click();
        await node("days")(page).waitFor();
        await button("join")(page).click();
        await node("join")(page).waitFor();
        const reads = page.getByRole("group", { name: "reads" });
        await reads.getByRole("combobox", { name: "read another node" }).selectOption("by_day");
        await page.getByRole("combobox", { name: "right" }).waitFor();
      },
      come: [(page) => page.locator(".react-flow__edge").nth(3), text("left")],
    },
    {
      name: "flow-saved",
      heading: "by_day",
      do: async (page) => {
        for (let step = 0; step < 3; step += 1) await button("Undo")(page).click();
        await node("join")(page).waitFor({ state: "detached" });
        await node("days")(page).waitFor({ state: "detached" });
        await button("Save")(page).click();
        await text("not saved")(page).waitFor({ state: "detached" });
        await expectFile({
          lost: ["    filter: status <> 'cancelled'   # the shop's word"],
          added: ["    filter: amount > 80   # the shop's word"],
        });
      },
      come: [node("kept")],
    },
    {
      name: "flow-conflict",
      heading: "by_day",
      expects: /409/,
      do: async (page) => {
        await writeFile(flowFile, FLOW.replace("in euros", "in francs"));
        await node("kept")(page).click();
        await page.getByRole("combobox", { name: "filter" }).fill("amount > 90");
        await text("not saved")(page).waitFor();
        await button("Save")(page).click();
        await button("Compare")(page).click();
      },
      come: [text(/has another text since it was read/), text(/in francs/)],
    },
    {
      name: "flow-reloaded",
      heading: "by_day",
      do: (page) => button("Take the file, drop my changes")(page).click(),
      come: [(page) => page.locator(`input[value="status <> 'cancelled'"]`)],
    },
    {
      name: "flow-text",
      path: "/flows/by_day?view=yaml",
      heading: "by_day",
      do: async (page) => {
        await page.getByRole("textbox", { name: "flows/by_day.yaml" }).click();
        await page.keyboard.press("Control+End");
        await page.keyboard.insertText("# the end\n");
        await text("not saved")(page).waitFor();
        await text("What saving changes")(page).click();
      },
      come: [(page) => page.locator(".diff-added", { hasText: "# the end" })],
    },
    {
      name: "flow-fresh",
      path: "/flows",
      do: async (page) => {
        await page.getByRole("textbox", { name: "name of the flow" }).fill("fresh");
        await button("Make it")(page).click();
        await page.getByRole("heading", { level: 1, name: "fresh" }).waitFor();
        await button("source")(page).click();
      },
      heading: "fresh",
      come: [node("days"), rows("rows of days")],
    },
    {
      name: "connections",
      path: "/connections",
      heading: "Connections",
      come: [text("sqlite"), text("postgres://shop:••••••@127.0.0.1:1/shop")],
    },
    {
      name: "connection-tested",
      path: "/connections?connection=local",
      heading: "Connections",
      do: (page) => button("Test connection")(page).click(),
      come: [text("answers"), text(/the first copy into it makes it/)],
    },
    {
      name: "connection-refused",
      path: "/connections?connection=old",
      heading: "Connections",
      do: (page) => button("Test connection")(page).click(),
      come: [(page) => page.getByRole("alert")],
    },
    {
      name: "connection-new",
      path: "/connections?kind=ftp",
      heading: "Connections",
      do: async (page) => {
        await page.getByRole("textbox", { name: "Name" }).fill("partner");
        await page.getByRole("textbox", { name: "host" }).fill("files.example");
        await page.getByRole("combobox", { name: /^another option/ }).selectOption("user");
        await page.getByRole("textbox", { name: "user" }).fill("us");
        await page.getByRole("combobox", { name: /^another option/ }).selectOption("password");
        await page.getByLabel("password").fill("typed-in-a-form");
        await button("Save")(page).click();
        await text("Saved partner.")(page).waitFor();
        const kept = await readFile(join(workspace, "connections.yaml"), "utf8");
        if (!kept.startsWith(CONNECTIONS)) throw new Error(`the file lost something: ${kept}`);
        if (!kept.includes("secrets.partner_password") || kept.includes("typed")) throw new Error(`no secret: ${kept}`);
      },
      come: [text("files.example")],
    },
    {
      name: "copy",
      path: "/copy",
      heading: "Copy",
      do: async (page) => {
        const places = page.getByRole("navigation", { name: "places to read" });
        if (page.viewportSize().width < 760) await places.getByText("Files", { exact: true }).click();
        await places.getByText("raw", { exact: true }).click();
        await places.getByRole("button", { name: /^orders.csv/ }).click();
      },
      come: [rows("rows of the source"), text(/The first 50 rows, 4 columns/)],
    },
    {
      name: "copy-columns",
      heading: "Copy",
      do: async (page) => {
        await button("Next")(page).click();
        await page.getByRole("checkbox", { name: "copy status" }).uncheck();
        const name = page.getByRole("textbox", { name: "name of amount" });
        await name.fill("total");
        await name.press("Enter");
        const type = page.getByRole("combobox", { name: "type of id" });
        await type.fill("string");
        await type.press("Enter");
      },
      come: [rows("rows as they will be"), (page) => page.getByRole("columnheader", { name: "total Float64" })],
    },
    {
      name: "copy-destination",
      heading: "Copy",
      do: async (page) => {
        await button("Next")(page).click();
        await page.getByRole("combobox", { name: "To" }).fill("data:orders_again");
        await page.getByRole("combobox", { name: "To" }).press("Enter");
      },
      come: [(page) => page.locator('input[value="data:orders_again"]')],
    },
    {
      name: "copy-review",
      heading: "Copy",
      do: (page) => button("Next")(page).click(),
      come: [
        text(/^millrace copy raw\/orders.csv data:orders_again/),
        (page) => page.locator('input[value="copy_orders_again"]'),
      ],
    },
    {
      name: "copy-run",
      heading: "Copy",
      do: (page) => button("Save and run")(page).click(),
      come: [
        text("succeeded"),
        (page) => page.getByRole("link", { name: /^Run \d+ of copy_orders_again/ }),
        text("300"),
      ],
    },
  ];
}

if (workspace === undefined) await write(address);
else await go();
