/**
 * A button for what can't be taken back. Under the pointer Mantine would darken
 * it, and dark letters on it would be too faint.
 */
export const DANGER = {
  color: "var(--bad-solid)",
  c: "var(--on-bad)",
  vars: () => ({ root: { "--button-hover": "var(--bad-hover)" } }),
};
