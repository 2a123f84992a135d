// proxmox-api of npm, unchanged: what it reads, how it logs in, what it makes of an error, and ten guests' lives at a
// time without a single retry. Prints JSON.
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/");
const made = require("proxmox-api");
const proxmoxApi = made.default ?? made;

const [, , , port, user, password] = process.argv;
const proxmox = proxmoxApi({ host: "127.0.0.1", port: Number(port), username: user, password });
const node = proxmox.nodes.$("n1");

async function ended(upid) {
  for (;;) {
    const task = await node.tasks.$(upid).status.$get();
    if (task.status !== "running") return task.exitstatus;
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return String(error.message ?? error);
  }
  return "it was not refused";
}

async function life(vmid) {
  const guest = node.qemu.$(vmid);
  const told = [await ended(await node.qemu.$post({ vmid, memory: "32", name: `life-${vmid}`, freeze: true, vga: "none" }))];
  // Each reads at once what it has written.
  for (let turn = 0; turn < 5; turn++) {
    await guest.config.$put({ description: `turn ${turn} of ${vmid}` });
    const config = await guest.config.$get();
    if (config.description.trim() !== `turn ${turn} of ${vmid}`) told.push(`read ${config.description}`);
  }
  told.push(await ended(await guest.status.start.$post()));
  told.push((await guest.status.current.$get()).status);
  told.push(await ended(await guest.status.stop.$post()));
  told.push(await ended(await guest.$delete()));
  const rows = await proxmox.cluster.resources.$get({ type: "vm" });
  if (rows.some((row) => row.vmid === vmid)) told.push("it is still listed");
  return told;
}

const told = {};
told.version = await proxmox.version.$get();
told.nodes = await proxmox.nodes.$get();
told.guests = await node.qemu.$get();
told.task = await ended(await node.qemu.$post({ vmid: 300, memory: "64", name: "by-npm" }));
told.config = await node.qemu.$(300).config.$get();
told.error = await refusal(() => node.qemu.$(999).config.$get());
told.taken = await refusal(() => node.qemu.$post({ vmid: 300 }));
told.unknown = await refusal(() => node.qemu.$(300).config.$put({ nonsense: "1" }));
told.lives = await Promise.all(Array.from({ length: 10 }, (_, n) => life(310 + n)));
console.log(JSON.stringify(told));
