import { TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { AskAllocationMutation } from "../api/allocations";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import { Dialog } from "../ui/dialog";
import { useLast } from "../ui/last";
import { clock } from "../ui/time";
import type { Allocation, Notice } from "./store";

const encoder = new TextEncoder();

/** What is wrong with the text of a notice; null: nothing. */
export function textMistake(text: string): string | null {
  return encoder.encode(text).length > 500 ? "Write at most 500 bytes." : null;
}

/** What became of a notice. */
export function noticeState(notice: Notice): string {
  if (notice.code !== "") return `Not taken: ${notice.message || notice.code}`;
  return notice.takenAt === null
    ? "On its way to the license server."
    : `The license server has it since ${clock(notice.takenAt)}: the program gets it with its next renewal.`;
}

interface AskProps {
  allocation: Allocation;
  ended: boolean;
  onClose: () => void;
}

function AskForm({ allocation: a, ended, onClose }: AskProps) {
  const [, ask] = useMutation(AskAllocationMutation);
  const { busy, failure, run } = useAct();
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState<Notice | null>(null);

  const mistake = textMistake(text);
  // The list may hear of the notice before or after the answer comes.
  const heard = a.notice;
  const behind =
    answer !== null && (heard === null || Date.parse(heard.askedAt) < Date.parse(answer.askedAt));
  const notice = behind ? answer : heard;
  const submit = () => {
    if (mistake || ended) return;
    void run(async () => {
      const { data, error } = await ask({ input: { allocation: a.id, text } });
      if (data) setAnswer(data.askAllocation.allocation.notice ?? null);
      return { error };
    });
  };
  return (
    <DialogForm
      failed="The holder was not asked"
      failure={failure}
      lost="He may have been asked all the same."
      busy={busy}
      submit="Ask"
      disabled={ended || mistake !== null}
      onSubmit={submit}
      onCancel={onClose}
    >
      <p>
        {ended
          ? "It has ended: nobody is to be asked."
          : `${a.application} (${a.processId}) of ${a.user} on ${a.client} gets a notice with your name and the text. Its license stays with it until it is returned there.`}
      </p>
      <TextInput
        label="What the holder is told"
        description="May be empty."
        autoComplete="off"
        data-autofocus
        value={text}
        error={mistake}
        onChange={(event) => setText(event.currentTarget.value)}
        data-testid="ask-text"
      />
      {notice && (
        <p role="status" data-testid="notice">
          Asked by {notice.by}, {clock(notice.askedAt)}
          {notice.text && <>: “{notice.text}”</>}. {noticeState(notice)}
        </p>
      )}
    </DialogForm>
  );
}

/** Asks the holder of an allocation to release it. */
export function AskDialog({
  allocation,
  ...props
}: Omit<AskProps, "allocation"> & { allocation: Allocation | null }) {
  const a = useLast(allocation);
  return (
    <Dialog
      opened={allocation !== null}
      onClose={props.onClose}
      title={a ? `Ask ${a.user} to release ${a.product.name}?` : ""}
    >
      {a && <AskForm key={a.id} allocation={a} {...props} />}
    </Dialog>
  );
}
