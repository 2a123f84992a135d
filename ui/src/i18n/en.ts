/** English: one file an area of the page. It is what the other languages are measured by. */

import { access } from "./en/access";
import { action, copy, many } from "./en/action";
import { clone, create, guests, summary } from "./en/guests";
import { common } from "./en/common";
import { consoles } from "./en/consoles";
import { cloudinit, config } from "./en/config";
import { option } from "./en/option";
import { login } from "./en/login";
import { node } from "./en/node";
import { shell } from "./en/shell";
import { snapshots } from "./en/snapshots";
import { storage } from "./en/storage";
import { tasks } from "./en/tasks";

export const en = {
  access, action, clone, cloudinit, common, config, consoles, copy, create, guests, login, many, node, option, shell, snapshots, storage, summary, tasks,
} as const;
