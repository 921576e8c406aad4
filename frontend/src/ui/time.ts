const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const SHORT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const LONG = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** `06:41:12` in the reader's time zone. */
export function clock(at: string | number): string {
  return CLOCK.format(new Date(at));
}

/** `22 Nov, 06:41` in the reader's time zone, with the year where it is another one than now. */
export function moment(at: string, now = Date.now()): string {
  const date = new Date(at);
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return (sameYear ? SHORT : LONG).format(date);
}

/** The zone that times are shown in: `Europe/Berlin`. */
export function zone(): string {
  return SHORT.resolvedOptions().timeZone;
}

export function day(at: string): string {
  return DAY.format(new Date(at));
}

/** `300 ms`, `4 s`, `2 min 5 s`, `3 h 12 min`, `4 d`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms / 10) * 10)} ms`;
  const s = Math.floor(ms / 1_000);
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return s % 60 === 0 || min >= 10 ? `${min} min` : `${min} min ${s % 60} s`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 === 0 ? `${h} h` : `${h} h ${min % 60} min`;
  return `${Math.floor(h / 24)} d`;
}
