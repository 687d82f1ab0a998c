// Opens pages in a real browser as readers would, and says what they would see.
//
//     node look.mjs <folder for screenshots> <page.html> ...
//
// prints, as JSON, a list of what was found for each page and each way of looking at it. It judges nothing.
// CHROMIUM names a browser to look with. Without it, the one that @sparticuz/chromium ships for Linux on x86-64 is
// unpacked into node_modules, with the libraries and the font that it needs: it takes no root. `npm ci` clears it away.

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import chromium, { inflate } from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const VIEWS = [
  { width: 1280, height: 900, scheme: "light" },
  { width: 1280, height: 900, scheme: "dark" },
  { width: 800, height: 1000, scheme: "light" },
  { width: 400, height: 800, scheme: "light" },
  { width: 400, height: 800, scheme: "dark" },
  { width: 700, height: 1000, scheme: "dark", media: "print" },
];
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url));
/** The one that comes along looks in /tmp only. */
const fontsOf = (folder) =>
  `<fontconfig><dir prefix="relative">fonts</dir><cachedir>${join(folder, "cache")}</cachedir></fontconfig>`;

/** Unpack the browser, once. It is only then called by its name, so that nobody finds half of it. */
async function unpacked() {
  const folder = join(CACHE, "chromium");
  if (!existsSync(folder)) {
    const partial = `${folder}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    const usual = tmpdir();
    process.env.TMPDIR = partial;
    await chromium.executablePath();
    await inflate(fileURLToPath(new URL("../bin/al2023.tar.br", import.meta.resolve("@sparticuz/chromium"))));
    process.env.TMPDIR = usual;
    writeFileSync(join(partial, "fonts", "fonts.conf"), fontsOf(folder));
    try {
      renameSync(partial, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
      rmSync(partial, { recursive: true });
    }
  }
  return folder;
}

async function launch() {
  // the pages are our own, and a container lets nobody make a sandbox
  const args = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"];
  if (process.env.CHROMIUM) return puppeteer.launch({ executablePath: process.env.CHROMIUM, args });
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error("No browser for this machine comes from npm. Set CHROMIUM to the path of Chrome or Chromium.");
  }
  const folder = await unpacked();
  return puppeteer.launch({
    executablePath: join(folder, "chromium"),
    args,
    headless: "shell",
    env: {
      ...process.env,
      HOME: folder,
      FONTCONFIG_PATH: join(folder, "fonts"),
      LD_LIBRARY_PATH: [join(folder, "al2023", "lib"), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":"),
    },
  });
}

/** Runs in the page. Sizes are CSS pixels; a text is outside if less than all of it can be seen. */
function whatIsSeen() {
  const screen = document.documentElement;
  const slack = 0.75;

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest(".unseen, title, desc") || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
    if (boxes.length) texts.push({ node, parent, boxes, svg: parent.closest("svg") });
  }

  const isInside = (box, frame) => box.left >= frame.left - slack && box.right <= frame.right + slack;
  const page = { left: 0, right: screen.clientWidth };
  const isOutside = ({ boxes, svg }) => {
    const drawing = svg?.getBoundingClientRect();
    return boxes.some(
      (box) =>
        !isInside(box, page) ||
        (drawing && !(isInside(box, drawing) && box.top >= drawing.top - slack && box.bottom <= drawing.bottom + slack)),
    );
  };

  const inDrawings = texts.filter((text) => text.svg);
  const overlap = (one, other) =>
    one.left < other.right - slack && other.left < one.right - slack && one.top < other.bottom - 2 && other.top < one.bottom - 2;
  const overlaps = [];
  inDrawings.forEach((one, index) => {
    for (const other of inDrawings.slice(index + 1)) {
      if (one.svg === other.svg && overlap(one.boxes[0], other.boxes[0])) overlaps.push([one.node.data, other.node.data]);
    }
  });

  const size = ({ parent, svg }) => parseFloat(getComputedStyle(parent).fontSize) * (svg ? parent.getScreenCTM().a : 1);
  const smallest = texts.map((text) => [size(text), text.node.data]).sort((one, other) => one[0] - other[0])[0];

  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [red, green, blue] = channels(color)
      .slice(0, 3)
      .map((value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    const isOpaque = (channels(color)[3] ?? 1) === 1;
    return isOpaque || !element.parentElement ? color : background(element.parentElement);
  };
  const contrast = ({ parent, svg }) => {
    const ink = luminance(getComputedStyle(parent)[svg ? "fill" : "color"]);
    const paper = luminance(background(svg ?? parent));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const faintest = texts.map((text) => [contrast(text), text.node.data]).sort((one, other) => one[0] - other[0])[0];

  const drawings = [...document.querySelectorAll('svg[role="img"]')].filter((svg) => svg.getBoundingClientRect().width);
  return {
    scroll_width: screen.scrollWidth,
    client_width: screen.clientWidth,
    texts: texts.length,
    outside: texts.filter(isOutside).map((text) => text.node.data),
    overlaps,
    smallest,
    faintest,
    drawings: drawings.map((svg) => svg.getBoundingClientRect().width),
    background: background(document.body),
    unfolded: [...document.querySelectorAll("details > :last-child")].filter((each) => each.checkVisibility()).length,
    labels: [...document.querySelectorAll(".label")].filter((label) => label.getBoundingClientRect().width).length,
  };
}

/** Open a page, and look at it in every way. What it asks for beside itself is refused, and told. */
async function look(browser, path, folder) {
  const address = pathToFileURL(resolve(path)).href;
  const name = basename(path, ".html");
  const requests = [];
  const errors = [];
  const page = await browser.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && errors.push(message.text()));
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    if (request.url() === address) return request.continue();
    requests.push(request.url());
    return request.abort();
  });
  await page.goto(address);
  const devtools = await page.createCDPSession();
  const found = [];
  for (const view of VIEWS) {
    await page.setViewport({ width: view.width, height: view.height });
    // puppeteer's own methods for medium and scheme each undo the other
    await devtools.send("Emulation.setEmulatedMedia", {
      media: view.media ?? "screen",
      features: [{ name: "prefers-color-scheme", value: view.scheme }],
    });
    const seen = await page.evaluate(whatIsSeen);
    const screenshot = join(folder, `${name}-${view.width}-${view.media ?? view.scheme}.png`);
    await page.screenshot({ path: screenshot, fullPage: true });
    found.push({ page: name, ...view, ...seen, requests, errors, screenshot });
  }
  await page.close();
  return found;
}

const [folder, ...paths] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
try {
  const found = [];
  for (const path of paths) found.push(...(await look(browser, path, folder)));
  console.log(JSON.stringify(found, null, 1));
} finally {
  await browser.close();
}
