/** The actions on what is selected: as a row of buttons, with the question that a dangerous one asks. */

import { Button, Group, Menu, Modal, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t } from "../i18n";
import { type Resource, titleOf } from "../store/inventory";
import { useForms } from "./forms";
import { useActionKeys } from "./keys";
import { type Action, asCurl, fitting, labelOf, lossOf } from "./registry";
import { run } from "./run";

const SHOWN = 3;

/** `keys`: the actions' keys work, too (on the page of one guest). */
export function ActionBar(props: { rows: readonly Resource[]; keys?: boolean }): ReactNode {
  const { rows, keys } = props;
  const [asked, setAsked] = useState<Action | null>(null);
  const openForm = useForms();
  const [busy, setBusy] = useState<string | null>(null);
  const actions = fitting(rows);

  const begin = async (action: Action): Promise<void> => {
    setAsked(null);
    setBusy(action.id);
    await run(action, rows);
    setBusy(null);
  };
  const choose = (action: Action): void => {
    if (action.form && rows[0]) openForm(action.form, rows[0]);
    else if (action.danger) setAsked(action);
    else void begin(action);
  };
  useActionKeys(keys ? rows[0] : undefined, choose);

  return (
    <Group gap={6} role="toolbar" aria-label={t("action.actions")}>
      {actions.slice(0, SHOWN).map((action) => (
        <Button
          key={action.id} size="compact-sm" variant="default" loading={busy === action.id}
          onClick={() => choose(action)} title={action.key ? t("action.withKey", { action: labelOf(action), key: action.key }) : labelOf(action)}
        >
          {labelOf(action)}
        </Button>
      ))}
      {actions.length > 0 && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <Button size="compact-sm" variant="default" aria-label={t("action.more")}>
              ⋯
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {actions.slice(SHOWN).map((action) => (
              <Menu.Item key={action.id} onClick={() => choose(action)} color={action.danger ? "red" : ""}>
                {labelOf(action)}
              </Menu.Item>
            ))}
            <Menu.Label>{t("action.copyAs")}</Menu.Label>
            {actions.slice(0, SHOWN).flatMap((action) =>
              rows.length === 1 && rows[0]
                ? [
                    <CopyItem key={`${action.id} cli`} name={t("action.copyCommand", { action: labelOf(action) })} text={action.cli(rows[0])} />,
                    <CopyItem key={`${action.id} curl`} name={t("action.copyCurl", { action: labelOf(action) })} text={asCurl(action, rows[0])} />,
                  ]
                : [],
            )}
          </Menu.Dropdown>
        </Menu>
      )}
      {asked && <Question action={asked} rows={rows} onYes={() => void begin(asked)} onNo={() => setAsked(null)} />}
    </Group>
  );
}

function CopyItem(props: { name: string; text: string }): ReactNode {
  return <Menu.Item onClick={() => void navigator.clipboard.writeText(props.text)}>{props.name}</Menu.Item>;
}

function Question(props: { action: Action; rows: readonly Resource[]; onYes: () => void; onNo: () => void }): ReactNode {
  const { action, rows, onYes, onNo } = props;
  const [typed, setTyped] = useState("");
  const wanted = rows.length === 1 ? String(rows[0]?.vmid ?? "") : String(rows.length);
  const ready = action.danger !== "name" || typed === wanted;
  return (
    <Modal opened onClose={onNo} title={t("action.sure", { action: labelOf(action) })} centered>
      <Text fw={600}>{rows.slice(0, 8).map((row) => t("common.on", { what: titleOf(row), where: row.node ?? "" })).join(", ")}</Text>
      {rows.length > 8 && <Text>{t("action.andMore", { n: rows.length - 8 })}</Text>}
      <Text my="sm">{lossOf(action)}</Text>
      {action.danger === "name" && (
        <TextInput
          label={rows.length === 1 ? t("action.typeNumber", { wanted }) : t("action.typeCount", { wanted })}
          value={typed} onChange={(event) => setTyped(event.currentTarget.value)} data-autofocus
        />
      )}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onNo}>
          {t("common.keep")}
        </Button>
        <Button color="red" disabled={!ready} onClick={onYes}>
          {labelOf(action)}
        </Button>
      </Group>
    </Modal>
  );
}
