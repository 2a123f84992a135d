// proxmox-api of npm, unchanged: what it reads, how it logs in, what it makes of an error. Prints JSON.
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/");
const made = require("proxmox-api");
const proxmoxApi = made.default ?? made;

const [, , , port, user, password] = process.argv;
const proxmox = proxmoxApi({ host: "127.0.0.1", port: Number(port), username: user, password });
const node = proxmox.nodes.$("n1");

const told = {};
told.version = await proxmox.version.$get();
told.nodes = await proxmox.nodes.$get();
told.guests = await node.qemu.$get();
told.made = await node.qemu.$post({ vmid: 300, memory: "64", name: "by-npm" });
for (;;) {
  const task = await node.tasks.$(told.made).status.$get();
  if (task.status !== "running") { told.task = task.exitstatus; break; }
  await new Promise((done) => setTimeout(done, 200));
}
told.config = await node.qemu.$(300).config.$get();
try {
  await node.qemu.$(999).config.$get();
} catch (error) {
  told.error = String(error.message ?? error);
}
console.log(JSON.stringify(told));
