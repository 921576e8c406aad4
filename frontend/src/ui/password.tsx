import { PasswordInput } from "@mantine/core";

/** A password's field; what it holds can be shown by the keyboard, too. */
export function PasswordField({
  label,
  shows = "the password",
  description,
  autoComplete,
  focused = false,
  value,
  error,
  onChange,
}: {
  label: string;
  /** What its button shows, in words. */
  shows?: string;
  description?: string;
  autoComplete: "current-password" | "new-password" | "off";
  /** Where another field or button has gone, that had the focus. */
  focused?: boolean;
  value: string;
  error?: string | undefined;
  onChange: (value: string) => void;
}) {
  return (
    <PasswordInput
      label={label}
      description={description}
      autoComplete={autoComplete}
      // oxlint-disable-next-line jsx-a11y/no-autofocus -- see above.
      autoFocus={focused}
      value={value}
      error={error}
      // Mantine tells of the error by colour and words alone.
      aria-invalid={error ? true : undefined}
      visibilityToggleFocusable
      visibilityToggleButtonProps={{ "aria-label": `Show ${shows}` }}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
