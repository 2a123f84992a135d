/** English: one file an area of the page. It is what the other languages are measured by. */

import { access } from "./en/access";
import { action, copy, many } from "./en/action";
import { common } from "./en/common";
import { cloudinit, config } from "./en/config";
import { consoles } from "./en/consoles";
import { figures } from "./en/figures";
import { fix } from "./en/fix";
import { clone, create, guests, summary } from "./en/guests";
import { history } from "./en/history";
import { login } from "./en/login";
import { node } from "./en/node";
import { notifications } from "./en/notifications";
import { option } from "./en/option";
import { overview } from "./en/overview";
import { pools } from "./en/pools";
import { settings } from "./en/settings";
import { shell } from "./en/shell";
import { snapshots } from "./en/snapshots";
import { storage } from "./en/storage";
import { tasks } from "./en/tasks";
import { templates } from "./en/templates";

export const en = {
  access, action, clone, cloudinit, common, config, consoles, copy, create, figures, fix, guests, history, login, many, node,
  notifications, option, overview, pools, settings, shell, snapshots, storage, summary, tasks, templates,
} as const;
