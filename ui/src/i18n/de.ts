/** German: one file an area of the page. What an action is called is a verb, as in the buttons of other programs. */

import type { Messages } from ".";
import { access } from "./de/access";
import { action, copy, many } from "./de/action";
import { common } from "./de/common";
import { cloudinit, config } from "./de/config";
import { consoles } from "./de/consoles";
import { figures } from "./de/figures";
import { fix } from "./de/fix";
import { clone, create, guests, summary } from "./de/guests";
import { history } from "./de/history";
import { login } from "./de/login";
import { node } from "./de/node";
import { notifications } from "./de/notifications";
import { option } from "./de/option";
import { overview } from "./de/overview";
import { pools } from "./de/pools";
import { settings } from "./de/settings";
import { shell } from "./de/shell";
import { snapshots } from "./de/snapshots";
import { storage } from "./de/storage";
import { tasks } from "./de/tasks";
import { templates } from "./de/templates";

export const de: Messages = {
  access, action, clone, cloudinit, common, config, consoles, copy, create, figures, fix, guests, history, login, many, node,
  notifications, option, overview, pools, settings, shell, snapshots, storage, summary, tasks, templates,
};
