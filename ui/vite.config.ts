import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const OUT = resolve(import.meta.dirname, "../src/tarmac/faces/page");

/** Sizes in KiB, compressed by gzip: the build fails above them. */
const BUDGET: { name: string; what: RegExp; limit: number }[] = [
  { name: "the shell's code", what: /^index-.*\.js$/, limit: 215 },
  { name: "the styles", what: /^index-.*\.css$/, limit: 26 },
  { name: "charts", what: /^charts-.*\.js$/, limit: 25 },
  { name: "the screen", what: /^vnc-.*\.js$/, limit: 60 },
  { name: "the terminal", what: /^terminal-.*\.js$/, limit: 85 },
];

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
        const name = path.split("/").pop() ?? "";
        for (const rule of BUDGET) {
          const size = packed.length / 1024;
          if (rule.what.test(name) && size > rule.limit) {
            throw new Error(`${rule.name}: ${size.toFixed(1)} KiB, more than the budget of ${rule.limit}`);
          }
        }
      }
    },
  };
}

function files(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? files(path) : [path]));
}

export default defineConfig({
  plugins: [react(), compressed()],
  build: { outDir: OUT, emptyOutDir: true, target: "es2023", reportCompressedSize: false },
  server: { proxy: { "/api2": { target: "https://127.0.0.1:8006", secure: false, ws: true } } },
});
