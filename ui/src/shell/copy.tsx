/** An action on what is chosen, as text for another tool. */

import { Button, Code, Modal, SegmentedControl, Select } from "@mantine/core";
import { type ReactNode, useMemo, useState } from "react";

import { copyOf, type Tool, TOOLS } from "../actions/copy";
import { actionById, fitting, labelOf } from "../actions/registry";
import { t } from "../i18n";
import { type Resource, useRows } from "../store/inventory";
import { toast } from "../store/toasts";

const KEPT = "tarmac-copy-as";

export function CopyAs(props: { rows: readonly Resource[]; onClose: () => void }): ReactNode {
  const { onClose } = props;
  const rows = useRows(useMemo(() => new Set(props.rows.map((row) => row.id)), [props.rows]));
  const actions = fitting(rows);
  const [tool, setTool] = useState<Tool>(() => TOOLS.find((one) => one === localStorage.getItem(KEPT)) ?? "cli");
  const [id, setId] = useState(actions[0]?.id ?? "");
  const action = actionById(id);
  const text = action ? copyOf(tool, action, rows) : null;
  const choose = (next: Tool): void => {
    localStorage.setItem(KEPT, next);
    setTool(next);
  };
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text ?? "");
    toast(t("copy.copied"));
    onClose();
  };
  return (
    <Modal opened onClose={onClose} title={t("copy.title")} centered size="lg">
      <div className="form">
        <Select label={t("copy.action")} value={id} allowDeselect={false} onChange={(next) => setId(next ?? "")} data={actions.map((one) => ({ value: one.id, label: labelOf(one) }))} />
        <SegmentedControl value={tool} onChange={(next) => choose(next as Tool)} data={TOOLS.map((one) => ({ value: one, label: t(`copy.tool_${one}`) }))} aria-label={t("copy.tool")} />
        {text === null ? (
          <p role="status">{t("copy.none", { tool: t(`copy.tool_${tool}`), action: action ? labelOf(action) : "" })}</p>
        ) : (
          <Code block tabIndex={0} aria-label={t("copy.text")} className="copied">
            {text}
          </Code>
        )}
        <Button disabled={text === null} onClick={() => void copy()} data-autofocus>
          {t("copy.copy")}
        </Button>
      </div>
    </Modal>
  );
}
