/** Uploads to a storage: those that are under way, and those of which a part waits for its file to be chosen again. */

import { Button, Progress } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";

import { ask } from "../../api/client";
import type { UploadRow } from "../../api/types";
import { t } from "../../i18n";
import { bytes, percent } from "../../lib/format";
import { ActButton } from "../../ui/act";
import { ProblemPanel } from "../../ui/problem";
import type { Place } from "./content";
import { giveUp, type Upload, useUploads } from "./uploads";

export function Underway(props: { place: Place; onDone: () => void }): ReactNode {
  const { place, onDone } = props;
  const all = useUploads();
  const own = all.filter((one) => one.place.storage === place.storage && one.place.node === place.node);
  const queries = useQueryClient();
  const open = useQuery({ queryKey: ["uploads", place, all.length], queryFn: () => ask("GET /nodes/{node}/storage/{storage}/uploads", place), retry: false });
  useEffect(() => {
    onDone(); // one that has its place is no upload any more
  }, [own.length]); // oxlint-disable-line
  const again = (): void => void queries.invalidateQueries({ queryKey: ["uploads"] });
  const waiting = (open.data ?? []).filter((row) => !row.task && !all.some((one) => one.id === row.upload));
  if (!own.length && !waiting.length) return null;
  return (
    <ul className="uploads" aria-label={t("storage.uploads")}>
      {own.map((one) => (
        <Sending key={one.id} one={one} />
      ))}
      {waiting.map((row) => (
        <Waiting key={row.upload} row={row} place={place} onDone={again} />
      ))}
    </ul>
  );
}

function Sending(props: { one: Upload }): ReactNode {
  const { one } = props;
  const end = (): void => void giveUp(one.id, one.place);
  if (one.problem) {
    return (
      <li>
        <ProblemPanel title={one.name} problem={one.problem} onClose={end} />
      </li>
    );
  }
  return (
    <li className="upload-line">
      <span>{one.name}</span>
      <Progress value={one.size ? (100 * one.offset) / one.size : 100} aria-label={t("storage.sent", { name: one.name })} />
      <span>{t("common.of", { part: bytes(one.offset), whole: bytes(one.size) })}</span>
      <span role="status">{t(`storage.upload_${one.state}`)}</span>
      <Button size="compact-xs" variant="subtle" color="red" onClick={end}>
        {t("storage.giveUp")}
      </Button>
    </li>
  );
}

function Waiting(props: { row: UploadRow; place: Place; onDone: () => void }): ReactNode {
  const { row, place, onDone } = props;
  return (
    <li className="upload-line">
      <span>{row.filename}</span>
      <Progress value={(100 * row.offset) / (row.size || 1)} aria-label={t("storage.sent", { name: row.filename })} />
      <span>{percent(row.offset, row.size)}</span>
      <span>{t("storage.chooseAgain")}</span>
      <ActButton label={t("storage.giveUp")} act={() => giveUp(row.upload, place).then(onDone)} />
    </li>
  );
}
