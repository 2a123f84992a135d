/** Notifications: targets that are told, and matchers that say who is told what. */

import type { ReactNode } from "react";

import { t } from "../../i18n";
import { Matchers } from "./matchers";
import { Targets } from "./targets";

export default function NotificationsPage(): ReactNode {
  return (
    <section className="page">
      <header>
        <h2>{t("notifications.title")}</h2>
      </header>
      <div className="page-body">
        <Targets />
        <Matchers />
      </div>
    </section>
  );
}
