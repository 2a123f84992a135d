import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const OUT = resolve(import.meta.dirname, "../src/tarmac/faces/page");

/** Sizes in KiB, compressed by gzip: the build fails above them. Of a screen it is what it loads beside shell and parts. */
const SHELL = 140;
const COMMON = 75;
const SCREEN = 40;
/** `server`: all that the server can say, in one other language; only who reads that fetches it. */
const PARTS: Record<string, number> = { charts: 25, vnc: 60, terminal: 85, server: 56 };
const STYLES = 26;

/** Everything is compressed once here, so that the daemon only hands out bytes. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const path of files(OUT)) {
        const plain = readFileSync(path);
        if (plain.length < 512 || /\.(br|gz|png)$/.test(path)) continue;
        const packed = gzipSync(plain, { level: 9 });
        writeFileSync(`${path}.gz`, packed);
        writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
    },
  };
}

type Bundle = Parameters<Extract<Plugin["generateBundle"], (...args: never[]) => unknown>>[1];

/** Fails the build where a part is larger than it may be, and says how large each is. */
function budget(): Plugin {
  return {
    name: "budget",
    apply: "build",
    generateBundle(_options, bundle: Bundle) {
      const size = (name: string): number => {
        const made = bundle[name];
        const text = made?.type === "chunk" ? made.code : (made?.source ?? "");
        return gzipSync(text, { level: 9 }).length / 1024;
      };
      const needs = (name: string, found = new Set<string>()): Set<string> => {
        const chunk = bundle[name];
        if (chunk?.type !== "chunk" || found.has(name)) return found;
        found.add(name);
        chunk.imports.forEach((other) => needs(other, found));
        return found;
      };
      const check = (what: string, names: Iterable<string>, limit: number): void => {
        const whole = [...names].reduce((sum, name) => sum + size(name), 0);
        console.log(`${what.padEnd(12)} ${whole.toFixed(1).padStart(6)} KiB of ${limit}`);
        if (whole > limit) this.error(`${what}: ${whole.toFixed(1)} KiB, more than the budget of ${limit}`);
      };
      const chunks = Object.values(bundle).filter((one) => one.type === "chunk");
      const shell = new Set(chunks.filter((one) => one.isEntry).flatMap((one) => [...needs(one.fileName)]));
      check("shell", shell, SHELL);
      const parts = new Set(chunks.filter((one) => one.name === "parts").flatMap((one) => [...needs(one.fileName)]).filter((name) => !shell.has(name)));
      check("parts", parts, COMMON);
      check("styles", Object.keys(bundle).filter((name) => /(index|shell)-.*\.css$/.test(name)), STYLES);
      for (const part of chunks.filter((one) => one.isDynamicEntry)) {
        const own = [...needs(part.fileName)].filter((name) => !shell.has(name) && !parts.has(name));
        check(part.name, own, PARTS[part.name] ?? SCREEN);
      }
    },
  };
}

/**
 * What is loaded before anything is clicked is two things: `begin` with `start`, which ask for the event stream, and `shell`, all that
 * `main.tsx` needs. The browser is told of both at once; each small file more would be a round trip. What screens have in
 * common beside that is one file, too (`parts`), which is fetched once the first view stands.
 */
function shell(): Plugin {
  const begins = /src\/(store\/ahead|lib\/kept)\.ts$|rolldown.runtime|preload-helper/;
  const source = (name: string): string => resolve(import.meta.dirname, name);
  return {
    name: "shell",
    apply: "build",
    config: () => ({
      build: {
        rolldownOptions: {
          input: { index: source("index.html"), begin: source("src/begin.ts") },
          output: {
            codeSplitting: {
              includeDependenciesRecursively: false,
              groups: [
                { name: "start", priority: 2, test: begins },
                { name: "shell", priority: 1, tags: ["$initial"], test: (id: string) => !id.endsWith("src/begin.ts") },
                { name: "parts", test: /node_modules\/(@mantine|@floating-ui|react-|@tanstack|tabbable)/ },
              ],
            },
          },
        },
      },
    }),
    transformIndexHtml: {
      order: "post",
      handler: (_html, { bundle }) =>
        Object.values(bundle ?? {})
          .filter((one) => one.type === "chunk" && one.isEntry && one.name === "begin")
          .map((one) => ({ tag: "script", attrs: { type: "module", async: true, crossorigin: true, src: `/${one.fileName}` }, injectTo: "head-prepend" as const })),
    },
  };
}

function files(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? files(path) : [path]));
}

export default defineConfig({
  plugins: [react(), shell(), budget(), compressed()],
  build: { outDir: OUT, emptyOutDir: true, target: "es2023", reportCompressedSize: false },
  server: { proxy: { "/api2": { target: "https://127.0.0.1:8006", secure: false, ws: true } } },
});
