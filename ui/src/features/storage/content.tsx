/** The volumes of a storage. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { bytes, time } from "../../lib/format";
import { useThrottled } from "../../lib/throttle";
import { useFollowing } from "../../store/following";
import { useTaskVersion } from "../../store/tasks";
import { AskButton } from "../../ui/confirm";
import { Rows } from "../../ui/rows";

export interface Place {
  node: string;
  storage: string;
}

const WAIT_SECONDS = 30;
const AT_MOST_MS = 2000;

export function useAgain(): () => void {
  const queries = useQueryClient();
  return () => void queries.invalidateQueries({ queryKey: ["content"] });
}

/** Ends when the volume is gone. */
export function removeVolume(place: Place, volume: string): Promise<unknown> {
  return ask("DELETE /nodes/{node}/storage/{storage}/content/{volume}", { ...place, volume, wait: WAIT_SECONDS });
}

export function Content(props: { place: Place }): ReactNode {
  const { place } = props;
  const again = useAgain();
  const version = useThrottled(useTaskVersion(), AT_MOST_MS); // a download or an import that has ended brought something
  const content = useQuery({
    queryKey: ["content", place, version], queryFn: () => ask("GET /nodes/{node}/storage/{storage}/content", place),
    placeholderData: (before) => before,
  });
  useFollowing(["content", place], [`storage/${place.node}/${place.storage}`], 5000);
  const rows = content.data ?? [];
  return (
    <>
      {rows.length > 0 && (
        <div className="volume-line volume-titles" aria-hidden="true">
          {[t("storage.volume"), t("storage.kind"), t("storage.volumeFormat"), t("storage.size"), t("storage.volumeGuest"), t("storage.made")].map((title) => (
            <span key={title}>{title}</span>
          ))}
        </div>
      )}
      <Rows
        items={rows} keyOf={(volume) => volume.volid} label={t("storage.volumes")}
        empty={<p className="hint">{t("storage.empty")}</p>}
      >
        {(volume) => (
          <div className="volume-line">
            <span title={volume.volid}>
              <bdi>{volume.volid}</bdi>
            </span>
            <span>{volume.content}</span>
            <span>{volume.format}</span>
            <span>{bytes(volume.size)}</span>
            <span>{volume.vmid}</span>
            <span>{time(volume.ctime)}</span>
            {volume.vmid === undefined && (
              <AskButton
                label={t("storage.delete")} onDone={again}
                question={{
                  title: t("storage.deleteTitle", { volume: volume.volid }), loss: t("storage.deleteLoss"), yes: t("storage.delete"),
                  act: () => removeVolume(place, volume.volid),
                }}
              />
            )}
          </div>
        )}
      </Rows>
    </>
  );
}
