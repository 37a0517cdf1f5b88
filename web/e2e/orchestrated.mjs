// Walks what starts pipelines and what they are made of, on a real server of the workspace that e2e/orchestration.mjs wrote:
// node e2e/orchestrated.mjs BASE_URL FOLDER WORKSPACE. It tells the server what happens, and walks its pages as e2e/real.mjs does.
import { day, happen } from "./orchestration.mjs";
import { walk } from "./walk.mjs";

const [address, folder, workspace] = process.argv.slice(2);
const made = await happen(new URL(address).origin, workspace);

const text = (what) => (page) => page.locator("main").getByText(what);
const link = (prefix) => (page) => page.locator(`main a[href^="${prefix}"]`);
const button = (name) => (page) => page.getByRole("button", { name });
const cell = (state) => (page) => page.locator(`.window-cell[data-state="${state}"]`);
const windows = (pipeline) => ({
  path: `/pipelines/${pipeline}/windows`,
  heading: `Windows of ${pipeline}`,
});

const rows = (page) => page.getByRole("region", { name: /^items of/ }).locator("tbody tr");
const run = `/runs/${made.many}`;
const many = /^many_items/;

await walk(address, folder, () => [
  {
    name: "home",
    path: "/",
    come: [text("Needs you"), text("2 windows"), text("2 events that started nothing"), link("/triggers?text=")],
  },
  { name: "pipelines", path: "/pipelines", heading: "Pipelines", come: [text("when it happens"), text("by hand")] },
  {
    name: "triggers",
    path: "/triggers",
    heading: "Triggers",
    come: [text("overdue"), text("waits for"), text("listening"), text("no further firing"), text("Asia/Kolkata")],
  },
  {
    name: "triggers-upcoming",
    path: "/triggers?text=night&group=schedule",
    heading: "Triggers",
    do: (page) => page.locator("main tr", { hasText: "last_friday" }).locator("summary").click(),
    come: [text("+11:00")],
  },
  {
    name: "triggers-none",
    path: "/triggers?text=nothing",
    heading: "Triggers",
    come: [text("No trigger is like that.")],
  },
  {
    name: "windows",
    ...windows("ingest_orders"),
    come: [cell("failed"), cell("succeeded"), link("/pipelines/daily_features/")],
  },
  {
    name: "windows-failed",
    heading: "Windows of ingest_orders",
    do: (page) => page.getByTitle("go to the next window that is failed").click(),
    come: [text(day(6)), button("Run again"), link("/runs/")],
  },
  {
    name: "windows-range",
    heading: "Windows of ingest_orders",
    do: async (page) => {
      await button("Pick a range from here")(page).click();
      await page.locator(`.window-cell[data-start^="${day(20)}"]`).click();
    },
    come: [text("15 windows"), button("Run the 2 again"), button("Run all 15 again")],
  },
  {
    name: "windows-keyboard",
    heading: "Windows of ingest_orders",
    do: async (page) => {
      await page.locator('.window-cell[tabindex="0"]').first().focus();
      for (const key of ["Home", "ArrowRight", "Enter"]) await page.keyboard.press(key);
      await page.keyboard.press("Shift+ArrowRight");
    },
    come: [text("2 windows")],
  },
  {
    name: "windows-waiting",
    ...windows("daily_features"),
    come: [cell("stale"), cell("waiting_on_dependency"), cell("cancelled"), link("/pipelines/weekly_report/")],
  },
  {
    name: "windows-stale",
    heading: "Windows of daily_features",
    do: (page) => page.getByTitle("go to the next window that is stale").click(),
    come: [(page) => page.getByRole("complementary", { name: "picked windows" }).getByText("stale")],
  },
  {
    name: "windows-weeks",
    ...windows("weekly_report"),
    come: [text("after its own window 1w earlier"), text("all but 1")],
  },
  {
    name: "windows-hours",
    ...windows("hourly_clicks"),
    come: [cell("succeeded"), text("These windows wait for no others.")],
  },
  { name: "windows-months", ...windows("monthly_close"), come: [cell("succeeded"), text("2025")] },
  { name: "windows-none", ...windows("nightly"), come: [text("This pipeline has no trigger with windows.")] },
  {
    name: "events",
    path: "/events",
    heading: "Events",
    come: [text("started a run"), text("filtered out"), text("dead letter"), text("came 1 more time"), text("held")],
  },
  {
    name: "events-dead",
    heading: "Events",
    do: (page) => button(/^dead/)(page).click(),
    come: [text("has no value here"), button("Replay these 2")],
  },
  { name: "event", path: `/events?event=${made.dead}`, heading: "Events", come: [text("order 500")] },
  {
    name: "events-trigger",
    path: "/events?pipeline=on_events&trigger=landed",
    heading: "Events",
    come: [text("landing/orders.csv"), button("of all triggers, not of landed alone")],
  },
  {
    name: "items",
    path: run,
    heading: many,
    do: (page) => page.getByRole("button", { name: /^each/ }).first().click(),
    come: [text("Items (1,500)"), rows, text("200 items loaded")],
  },
  {
    name: "items-scrolled",
    heading: many,
    do: async (page) => {
      const list = page.getByRole("region", { name: "items of each" });
      for (const loaded of ["200", "400"]) {
        await text(`${loaded} items loaded`)(page).waitFor();
        await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      }
    },
    come: [text("600 items loaded")],
  },
  {
    name: "items-failed",
    heading: many,
    do: (page) =>
      page
        .getByRole("group", { name: "state of the items" })
        .getByRole("button", { name: /failed/ })
        .click(),
    come: [text("16 items loaded"), text(/cannot be computed/)],
  },
  {
    name: "item-log",
    path: `${run}?step=models&item=3`,
    heading: many,
    come: [text("model=forest, depth=8"), text("ended with exit code 1"), text("trains forest of depth 8")],
  },
  {
    name: "item-run",
    path: `${run}?step=regions&item=1`,
    heading: many,
    come: [(page) => page.getByRole("region", { name: "runs of regions[1]" }).locator('a[href^="/runs/"]')],
  },
  {
    name: "called-run",
    heading: /^score_region/,
    do: (page) => page.getByRole("region", { name: "runs of regions[1]" }).locator('a[href^="/runs/"]').click(),
    come: [link(`${run}?step=regions`), text("regions[1] of run")],
  },
  {
    name: "calling-step",
    path: `${run}?step=nested`,
    heading: many,
    come: [(page) => page.getByRole("link", { name: "Called run" })],
  },
  {
    name: "items-timeline",
    path: `${run}?tab=timeline&step=models`,
    heading: many,
    do: (page) => button("items of models")(page).click(),
    come: [button(/^forest, 8, failed/), button(/^each × 1,500/)],
  },
  { name: "items-steps", path: `${run}?tab=steps`, heading: many, come: [text(/^16 failed, /)] },
  {
    name: "runs-started-by",
    path: "/runs",
    heading: "Runs",
    do: (page) => page.getByLabel("Started by").selectOption({ label: "any event" }),
    come: [text("a webhook"), text("a file")],
  },
  {
    name: "runs-called",
    path: `/runs?parent=${made.many}`,
    heading: "Runs",
    come: [text("4 runs"), button("not only the runs that one run called")],
  },
  { name: "events-none", path: "/events?pipeline=nightly", heading: "Events", come: [text("No event here.")] },
]);
