import { Button, Textarea } from "@mantine/core";
import { useEffect, useEffectEvent, useId, useRef, useState } from "react";
import { ENDINGS, type FileKind, type OfflineFile, readFile, readText } from "./file";
import styles from "./offline.module.css";

const TITLES: Record<FileKind, string> = {
  request: "Request file",
  update: "Update file",
  receipt: "Receipt file",
};

const focusOn = (field: HTMLTextAreaElement | null) => field?.focus();

export interface FileInputProps {
  kind: FileKind;
  /** What was handed in; null: nothing yet. */
  value: OfflineFile | null;
  onChange: (file: OfflineFile | null) => void;
  disabled?: boolean;
}

function Handed({
  kind,
  value,
  onRemove,
  disabled,
}: {
  kind: FileKind;
  value: OfflineFile;
  onRemove: () => void;
  disabled: boolean;
}) {
  return (
    <div className={styles["handed"]} data-testid={`${kind}-file`}>
      <p>
        <b>{TITLES[kind]}</b>{" "}
        {value.group && (
          <>
            of the group <span className="mono">{value.group}</span>:{" "}
          </>
        )}
        <span className="soft">{value.serials.length === 1 ? "container" : "containers"}</span>{" "}
        <span className="mono">{value.serials.join(", ") || "not named"}</span>
      </p>
      <Button variant="default" onClick={onRemove} disabled={disabled}>
        Choose another
      </Button>
    </div>
  );
}

/** Lets files be dropped on an element; for the keyboard there is a button. */
function useDrop(
  onFiles: (files: File[]) => void,
  disabled: boolean,
): [(element: HTMLElement | null) => void, boolean] {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [over, setOver] = useState(false);
  const taken = useEffectEvent(onFiles);
  useEffect(() => {
    if (!element) return undefined;
    const onOver = (event: DragEvent) => {
      event.preventDefault();
      setOver(!disabled);
    };
    const onLeave = () => setOver(false);
    const onDrop = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      if (!disabled) taken([...(event.dataTransfer?.files ?? [])]);
    };
    element.addEventListener("dragover", onOver);
    element.addEventListener("dragleave", onLeave);
    element.addEventListener("drop", onDrop);
    return () => {
      element.removeEventListener("dragover", onOver);
      element.removeEventListener("dragleave", onLeave);
      element.removeEventListener("drop", onDrop);
    };
  }, [element, disabled]);
  return [setElement, over];
}

/** Takes one file by choosing, dropping or pasting it; it stays in the page until it is sent. */
export function FileInput({ kind, value, onChange, disabled = false }: FileInputProps) {
  const id = useId();
  const picker = useRef<HTMLInputElement>(null);
  const [pasting, setPasting] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);

  const take = (read: Awaited<ReturnType<typeof readFile>>) => {
    if ("error" in read) {
      setRefused(read.error);
      onChange(null);
      return;
    }
    setRefused(null);
    setPasting(false);
    onChange(read.file);
  };
  const pick = async ([file, second]: readonly File[]) => {
    if (second) return setRefused("These are several files: give one.");
    if (file) take(await readFile(file, kind));
  };

  const [zone, over] = useDrop((files) => void pick(files), disabled);

  if (value) {
    return (
      <Handed
        kind={kind}
        value={value}
        disabled={disabled}
        onRemove={() => {
          setRefused(null);
          onChange(null);
        }}
      />
    );
  }
  return (
    <fieldset
      className={styles["zone"]}
      ref={zone}
      data-over={over}
      disabled={disabled}
      aria-labelledby={`${id}-label`}
      aria-describedby={refused ? `${id}-error` : undefined}
      data-testid={`${kind}-zone`}
    >
      <p id={`${id}-label`}>
        <b>{TITLES[kind]}</b> <span className="soft">({ENDINGS[kind]}): drop it here, or</span>
      </p>
      <div className={styles["ways"]}>
        <input
          ref={picker}
          type="file"
          className="hidden"
          tabIndex={-1}
          aria-label={TITLES[kind]}
          accept={`${ENDINGS[kind]},.txt,text/plain`}
          onChange={(event) => {
            const input = event.currentTarget;
            const files = [...(input.files ?? [])];
            input.value = ""; // the same file can be chosen again
            void pick(files);
          }}
          data-testid={`${kind}-picker`}
        />
        <Button variant="default" onClick={() => picker.current?.click()}>
          Choose file
        </Button>
        <Button variant="default" aria-expanded={pasting} onClick={() => setPasting((now) => !now)}>
          Paste text
        </Button>
      </div>
      {pasting && (
        <Textarea
          label={`Text of the ${TITLES[kind].toLowerCase()}`}
          placeholder="-----BEGIN QUORATE …"
          autosize={false}
          rows={4}
          ref={focusOn}
          spellCheck={false}
          classNames={{ input: "mono" }}
          onChange={(event) => take(readText(event.currentTarget.value, kind))}
        />
      )}
      {refused && (
        <p id={`${id}-error`} className={styles["problem"]} role="alert">
          {refused}
        </p>
      )}
    </fieldset>
  );
}
