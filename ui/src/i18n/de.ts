/** German: one file an area of the page. What an action is called is a verb, as in the buttons of other programs. */

import type { Messages } from ".";
import { access } from "./de/access";
import { action, copy, many } from "./de/action";
import { clone, create, guests, summary } from "./de/guests";
import { common } from "./de/common";
import { consoles } from "./de/consoles";
import { cloudinit, config } from "./de/config";
import { option } from "./de/option";
import { login } from "./de/login";
import { node } from "./de/node";
import { shell } from "./de/shell";
import { snapshots } from "./de/snapshots";
import { storage } from "./de/storage";
import { tasks } from "./de/tasks";

export const de: Messages = {
  access, action, clone, cloudinit, common, config, consoles, copy, create, guests, login, many, node, option, shell, snapshots, storage, summary, tasks,
};
