// Chromium for the tests, driven by JSON lines in the manner of py/driver.py: one request per line on
// standard input, `{"id": 1, "op": ..., "session": ...}`, one answer per request on standard output, and
// events between them. Every session is a page of one browser; page.js does the work there.
//
// Arguments: the browser's path, and the origin the pages pretend to come from.

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const [executablePath, origin] = process.argv.slice(2);
const pages = new Map();

function write(record) {
  process.stdout.write(JSON.stringify(record) + "\n");
}

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("page.js", import.meta.url))],
  bundle: true,
  write: false,
  format: "iife",
  define: { global: "globalThis" },
  logLevel: "warning",
});
const browser = await chromium.launch({
  executablePath,
  chromiumSandbox: false,
  args: [
    "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    // A page may speak to a server of the same machine.
    "--disable-features=LocalNetworkAccessChecks",
  ],
});

async function open(session) {
  // Only who may use a microphone learns the addresses of the machine, which become candidates.
  const page = await (await browser.newContext({ permissions: ["microphone"] })).newPage();
  page.on("console", (message) => console.error(session, message.text()));
  page.on("pageerror", (error) => console.error(session, error.stack));
  await page.exposeFunction("emit", (record) => write({ session, ...record }));
  await page.route("**", (route) =>
    route.fulfill({ contentType: "text/html", body: `<!doctype html><body><script>${bundle.outputFiles[0].text.replaceAll("</script", "<\\/script")}</script>` }));
  await page.goto(`${origin}/`);
  // Only the page itself comes from here; what else it asks for goes to the server.
  await page.unroute("**");
  pages.set(session, page);
  return page;
}

async function carryOut({ id, op, session, ...rest }) {
  try {
    const page = op === "log_in" ? await open(session) : pages.get(session);
    if (op === "close") {
      pages.delete(session);
      await page.context().close();
      write({ id, ok: true });
      return;
    }
    const outcome = await page.evaluate(([op, rest]) => window.peer[op](rest), [op, rest]);
    write({ id, ok: true, ...outcome });
  } catch (error) {
    write({ id, ok: false, error: String(error.message ?? error) });
  }
}

write({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) carryOut(JSON.parse(line));
await browser.close();
