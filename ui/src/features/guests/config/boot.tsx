/** From which devices a guest boots, in which order: chosen by a box, moved by two buttons. */

import { ActionIcon, Checkbox } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../../i18n";
import { find } from "./option";
import { parse, print } from "./property";

const BOOTABLE = /^(scsi|virtio|sata|ide|net)\d+$/;

export function BootOrder(props: { value: string; onChange: (text: string) => void; keys: readonly string[] }): ReactNode {
  const { value, onChange, keys } = props;
  const fields = find("boot")?.option.fields ?? [];
  const chosen = (parse(value, fields)["order"] ?? "").split(";").filter(Boolean);
  const others = keys.filter((key) => BOOTABLE.test(key) && !chosen.includes(key));
  const put = (order: readonly string[]): void => onChange(order.length ? print({ order: order.join(";") }, fields) : "");
  const move = (index: number, step: number): void => {
    const next = [...chosen];
    const [moved] = next.splice(index, 1);
    if (moved) next.splice(index + step, 0, moved);
    put(next);
  };
  return (
    <ol className="boot" aria-label={t("config.bootOrder")}>
      {[...chosen, ...others].map((key, index) => (
        <li key={key}>
          <Checkbox
            size="xs" label={key} checked={chosen.includes(key)}
            onChange={(event) => put(event.currentTarget.checked ? [...chosen, key] : chosen.filter((one) => one !== key))}
          />
          {chosen.includes(key) && (
            <>
              <ActionIcon size="sm" variant="subtle" aria-label={t("config.earlier", { key })} disabled={index === 0} onClick={() => move(index, -1)}>
                ↑
              </ActionIcon>
              <ActionIcon size="sm" variant="subtle" aria-label={t("config.later", { key })} disabled={index === chosen.length - 1} onClick={() => move(index, 1)}>
                ↓
              </ActionIcon>
            </>
          )}
        </li>
      ))}
    </ol>
  );
}
