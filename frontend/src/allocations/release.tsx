import { Button, Group as Row } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { ReleaseAllocationMutation } from "../api/allocations";
import { type Failure, failureOf } from "../api/errors";
import { DANGER } from "../ui/danger";
import { Dialog } from "../ui/dialog";
import { useLast } from "../ui/last";
import { FailureNote } from "../ui/note";
import type { Allocation } from "./store";

/** What a release will do, before it is done. */
export function consequence(a: Allocation): string {
  const seat =
    a.licenses === 0
      ? "It takes no license, so none becomes free."
      : a.licenses === 1
        ? "Its license is free at once."
        : `Its ${a.licenses} licenses are free at once.`;
  return `The running process ${a.application} (${a.processId}) of ${a.user} on ${a.client} loses its access and gets an error at its next call; it may stop. ${seat}`;
}

export function ReleaseDialog({
  allocation: asked,
  onClose,
  onReleased,
}: {
  allocation: Allocation | null;
  onClose: () => void;
  onReleased: (id: string) => void;
}) {
  const [, release] = useMutation(ReleaseAllocationMutation);
  const allocation = useLast(asked);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const close = () => {
    setFailure(null);
    onClose();
  };
  const act = async (id: string) => {
    setBusy(true);
    setFailure(null);
    const { error } = await release({ input: { allocation: id } });
    setBusy(false);
    if (error) return setFailure(failureOf(error));
    onReleased(id);
    close();
  };
  return (
    <Dialog
      opened={asked !== null}
      onClose={close}
      title={allocation ? `Release ${allocation.product.name} from ${allocation.user}?` : ""}
    >
      {allocation && (
        <div style={{ display: "grid", gap: 16 }}>
          <p>{consequence(allocation)}</p>
          {failure && <FailureNote title="The license was not released" failure={failure} />}
          <Row justify="flex-end" gap={8}>
            <Button variant="default" onClick={close} data-autofocus data-testid="keep">
              Keep
            </Button>
            <Button
              {...DANGER}
              loading={busy}
              onClick={() => void act(allocation.id)}
              data-testid="release"
            >
              Release
            </Button>
          </Row>
        </div>
      )}
    </Dialog>
  );
}
