/**
 * A key that makes repeating a mutation safe. crypto.randomUUID is missing on
 * pages served without TLS, getRandomValues is not.
 */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
