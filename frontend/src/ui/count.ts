const GROUPED = new Intl.NumberFormat("en");

/** `1,234`. */
export function count(n: number): string {
  return GROUPED.format(n);
}

/** `1 license`, `1,234 licenses`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
