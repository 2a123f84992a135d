/** What concerns who is logged in: rights, keys, look, language, leaving. */

import { Button, Menu, useMantineColorScheme } from "@mantine/core";
import type { ReactNode } from "react";

import { choose, type Language, LANGUAGES, t, useLanguage } from "../i18n";
import { href } from "../lib/router";

export default function UserMenu(props: { name: string; onHelp: () => void; onLogout: () => void }): ReactNode {
  const scheme = useMantineColorScheme();
  const language = useLanguage();
  return (
    <Menu>
      <Menu.Target>
        <Button size="compact-sm" variant="default">
          {props.name}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component="a" href={href("access")}>
          {t("shell.permissions")}
        </Menu.Item>
        <Menu.Item onClick={props.onHelp}>{t("shell.keyboard")}</Menu.Item>
        <Menu.Item onClick={() => scheme.toggleColorScheme()}>{t("shell.scheme")}</Menu.Item>
        <Menu.Label>{t("shell.language")}</Menu.Label>
        {(Object.keys(LANGUAGES) as Language[]).map((one) => (
          <Menu.Item key={one} lang={one} aria-current={one === language} onClick={() => void choose(one)}>
            {one === language ? "● " : ""}
            {LANGUAGES[one]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={props.onLogout}>{t("shell.logout")}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
