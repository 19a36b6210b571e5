// SPDX-License-Identifier: MIT OR Apache-2.0
// Opens a report in a real Chromium, and prints what is wrong with it, a line each: errors on the console, requests that leave the
// page, widths at which it is wider than its window, tables that the keyboard cannot sort or filter, what axe-core finds.
// Exits 1 if anything is.
//
//   browser.mjs MODULES CHROMIUM REPORT.html [DIRECTORY for screenshots]
import fs from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, chromium, report, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const puppeteer = (await import(pathToFileURL(require.resolve("puppeteer-core")))).default;
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const wrong = [];
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  const url = pathToFileURL(report).href;
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => request.url() !== url && wrong.push(`request: ${request.url()}`));
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const width of [360, 768, 1280, 1600]) {
      await page.setViewport({ width, height: 900 });
      await page.goto(url);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (over > 0) wrong.push(`${scheme}, ${width} px: ${over} px wider than the window`);
      if (pictures) await page.screenshot({ path: `${pictures}/${scheme}-${width}.png` });
    }
    const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    if ((back[0] < 128) !== (scheme === "dark")) wrong.push(`${scheme}: the background is ${back}`);
    // Injected past the page's policy, as debuggers may.
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] }));
    for (const one of found.violations) wrong.push(`${scheme}, axe ${one.id}: ${one.help}: ${one.nodes[0].html.slice(0, 200)}`);
  }

  // By the keyboard alone: the first table that has a filter, sorted twice by its first column, then filtered.
  const table = await page.$("table[data-sortable]");
  const cells = () => table.$$eval("tbody tr:not([hidden]) td:first-child", (cells) => cells.map((cell) => cell.dataset.sort ?? cell.textContent.trim()));
  const button = await table.$("th button");
  if (!button) wrong.push("no button sorts");
  else await button.focus();
  const sorted = (list, sign) => list.every((cell, at) => at === 0 || sign * list[at - 1].localeCompare(cell, "en", { numeric: true }) <= 0);
  for (const [key, sign, name] of button ? [["Enter", 1, "ascending"], ["Space", -1, "descending"]] : []) {
    await page.keyboard.press(key);
    if (!sorted(await cells(), sign)) wrong.push(`${key} does not sort`);
    if ((await table.$eval("th", (head) => head.getAttribute("aria-sort"))) !== name) wrong.push(`no aria-sort ${name}`);
  }
  const filter = await page.$(".filter:not([hidden]) input");
  if (filter) {
    const all = (await cells()).length;
    await filter.focus();
    await page.keyboard.type("no such text");
    if ((await cells()).length !== 0) wrong.push("the filter leaves rows");
    for (let count = 0; count < 12; count += 1) await page.keyboard.press("Backspace");
    if ((await cells()).length !== all) wrong.push("rows do not come back");
  } else wrong.push("no table has a filter");
  // The first stop of the tabulator key leads to the content.
  await page.goto(url);
  await page.keyboard.press("Tab");
  if ((await page.evaluate(() => document.activeElement.className)) !== "skip") wrong.push("the skip link is not first");

  // On paper, and without a script.
  await page.pdf({ path: pictures ? `${pictures}/report.pdf` : undefined, format: "A4" });
  const plain = await browser.newPage();
  await plain.setJavaScriptEnabled(false);
  await plain.goto(url);
  if ((await plain.$$("tbody tr")).length === 0) wrong.push("without a script there are no rows");
  if (await plain.$(".filter:not([hidden])")) wrong.push("without a script there is a filter that does nothing");
} catch (error) {
  wrong.push(`it could not be looked at: ${error.message}`);
} finally {
  await browser.close();
}
for (const line of wrong) console.log(line);
process.exit(wrong.length > 0 ? 1 : 0);
