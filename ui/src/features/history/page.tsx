/** The history of all that is defined, or of one kind or thing: `#/history`, `#/history/pool`, `#/history/pool/web`. */

import { Select, TextInput } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";

import { t } from "../../i18n";
import { go, useDrawnPlace } from "../../lib/router";
import { Changes, type Sought } from "./changes";

const KINDS = ["user", "group", "role", "grants", "pool", "password", "tfa", "realm", "storage", "options", "node"] as const;
const PAUSE_MS = 400;

export default function HistoryPage(): ReactNode {
  const { parts } = useDrawnPlace();
  const kind = KINDS.find((one) => one === parts[1]);
  const [name, setName] = useState(parts[2] ?? "");
  const [userid, setUser] = useState("");
  const [of, setOf] = useState<Sought>({ kind, name: name || undefined });
  useEffect(() => setName(parts[2] ?? ""), [parts]);
  useEffect(() => {
    const timer = setTimeout(() => setOf({ kind, name: name || undefined, userid: userid || undefined }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [kind, name, userid]);
  return (
    <section className="page">
      <header>
        <h2>{t("history.title")}</h2>
      </header>
      <div className="page-body">
        <p className="hint">{t("history.help")}</p>
        <div className="line-form">
          <Select
            size="xs" label={t("history.kind")} clearable value={kind ?? null} placeholder={t("history.all")}
            data={KINDS.map((one) => ({ value: one, label: t(`history.kind_${one}`) }))} onChange={(next) => go("history", ...(next ? [next] : []))}
          />
          <TextInput size="xs" label={t("history.name")} value={name} onChange={(e) => setName(e.currentTarget.value)} />
          <TextInput size="xs" label={t("history.by")} value={userid} onChange={(e) => setUser(e.currentTarget.value)} />
        </div>
        <Changes key={JSON.stringify(of)} of={of} />
      </div>
    </section>
  );
}
