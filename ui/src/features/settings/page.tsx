/** One's own account and its second factors and tokens, how the page looks, and where figures are sent. */

import { Button, SegmentedControl, useMantineColorScheme } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { whoami } from "../../api/session";
import { choose, type Language, LANGUAGES, t, useLanguage } from "../../i18n";
import { NewPassword } from "../access/password";
import { Tokens } from "../access/tokens";
import { Factors } from "./factors";
import { MetricServers } from "./servers";

const SCHEMES = ["auto", "light", "dark"] as const;

export default function SettingsPage(): ReactNode {
  const user = whoami();
  const [password, setPassword] = useState(false);
  return (
    <section className="page">
      <header>
        <h2>{t("settings.title")}</h2>
      </header>
      <div className="page-body">
        <h3>{t("settings.account")}</h3>
        <p>
          {t("settings.loggedIn", { user })}{" "}
          {user.endsWith("@pve") && (
            <Button size="compact-sm" variant="default" onClick={() => setPassword(true)}>
              {t("settings.password")}
            </Button>
          )}
        </p>
        <h3>{t("settings.appearance")}</h3>
        <Appearance />
        <Factors user={user} />
        <h3>{t("settings.tokens")}</h3>
        <Tokens user={user} />
        <MetricServers />
      </div>
      {password && <NewPassword user={user} onClose={() => setPassword(false)} />}
    </section>
  );
}

function Appearance(): ReactNode {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const language = useLanguage();
  return (
    <div className="line-form">
      <SegmentedControl
        size="xs" aria-label={t("settings.scheme")} value={colorScheme} onChange={(value) => setColorScheme(value as "auto")}
        data={SCHEMES.map((one) => ({ value: one, label: t(`settings.scheme_${one}`) }))}
      />
      <SegmentedControl
        size="xs" aria-label={t("settings.language")} value={language} onChange={(value) => void choose(value as Language)}
        data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
      />
    </div>
  );
}
