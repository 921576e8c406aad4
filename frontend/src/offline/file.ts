/** What a file may be at most, as the platform has it. */
export const MOST_BYTES = 5 * 1024 * 1024;

export type FileKind = "request" | "update" | "receipt";

export const ENDINGS: Record<FileKind, string> = {
  request: ".lreq",
  update: ".lupd",
  receipt: ".lrcp",
};

/** A file as its headers tell it; only the platform says whether that is true. */
export interface OfflineFile {
  text: string;
  kind: FileKind;
  /** The virtual serial of a TMR group; null: it is of one container. */
  group: string | null;
  /** Each container once, in the order of the file. */
  serials: string[];
}

export type Read = { file: OfflineFile } | { error: string };

const LABELS: Record<string, FileKind> = {
  FINGERPRINT: "request",
  UPDATE: "update",
  RECEIPT: "receipt",
};

const NAMES: Record<FileKind, string> = {
  request: "a request file (.lreq)",
  update: "an update file (.lupd)",
  receipt: "a receipt file (.lrcp)",
};

/** Reads the headers of a file's text, and refuses what is not of the kind that is wanted. */
export function readText(text: string, wanted: FileKind): Read {
  if (text.trim() === "") return { error: `It is empty: give ${NAMES[wanted]}.` };
  if (text.length > MOST_BYTES) return { error: "It is larger than 5 MiB: no such file is." };
  const lines = text.trim().split(/\r?\n/);
  const begin = /^-----BEGIN QUORATE ([A-Z]+)-----$/.exec(lines[0]?.trimEnd() ?? "");
  const kind = LABELS[begin?.[1] ?? ""];
  if (!kind) {
    return { error: `It does not begin as a file of Quorate does: give ${NAMES[wanted]}.` };
  }
  if (kind !== wanted) return { error: `This is ${NAMES[kind]}: give ${NAMES[wanted]}.` };
  if (!/^-----END QUORATE [A-Z]+-----$/.test(lines.at(-1)?.trimEnd() ?? "")) {
    return { error: "Its end is missing: copy or send the whole file." };
  }
  let group: string | null = null;
  const serials: string[] = [];
  for (const line of lines.slice(1)) {
    const header = /^([A-Za-z]+): ([^;]*)/.exec(line);
    if (!header) break;
    const value = (header[2] ?? "").trim();
    if (header[1] === "Group") group = value;
    if (header[1] === "Container" && !serials.includes(value)) serials.push(value);
  }
  return { file: { text, kind, group, serials } };
}

/** Reads a picked or dropped file as text, after a look at its size. */
export async function readFile(file: File, wanted: FileKind): Promise<Read> {
  if (file.size > MOST_BYTES)
    return { error: `${file.name} is larger than 5 MiB: no such file is.` };
  try {
    return readText(await file.text(), wanted);
  } catch {
    return { error: `${file.name} could not be read: choose it again.` };
  }
}

/** Has the browser save a text as a file. */
export function saveText(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the content once the click has been dealt with.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
