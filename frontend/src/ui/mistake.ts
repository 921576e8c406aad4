/** Leads from a form that was sent to the first field that is wrong, once it says so. */
export function toMistake(form: HTMLFormElement): void {
  requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
}
