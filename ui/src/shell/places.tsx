/** The places of the page that are no things of the tree. */

import type { ReactNode } from "react";

import { t } from "../i18n";
import { href, usePlace } from "../lib/router";

export const PLACES = ["", "templates", "pools", "notifications", "access", "tasks", "history", "settings"] as const;

export function Places(): ReactNode {
  const here = usePlace().parts[0] ?? "";
  return (
    <ul className="places" aria-label={t("shell.places")}>
      {PLACES.map((place) => (
        <li key={place}>
          <a href={place ? href(place) : href()} aria-current={here === place ? "page" : undefined}>
            {t(`shell.place_${place}`)}
          </a>
        </li>
      ))}
    </ul>
  );
}
