import { Drawer, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import styles from "./dialog.module.css";

export interface DialogProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  /** A click beside it does not close it: what it shows would be lost. */
  held?: boolean;
}

// The parts are put together by hand because the ready-made ones draw a <header>,
// which counts as a second banner of the page.

/** Asks or tells something in the middle of the page; the focus stays in it and goes back after it. */
export function Dialog({ opened, onClose, title, children, held = false }: DialogProps) {
  return (
    <Modal.Root
      opened={opened}
      onClose={onClose}
      closeOnClickOutside={!held}
      centered
      transitionProps={{ duration: 120 }}
    >
      <Modal.Overlay />
      <Modal.Content>
        <div className={styles["head"]}>
          <Modal.Title className={styles["title"]}>{title}</Modal.Title>
          <Modal.CloseButton aria-label="Close" />
        </div>
        <Modal.Body>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

/** Details beside the page. */
export function SidePanel({ opened, onClose, title, children }: DialogProps) {
  return (
    <Drawer.Root
      opened={opened}
      onClose={onClose}
      position="right"
      size={360}
      transitionProps={{ duration: 120 }}
    >
      <Drawer.Overlay />
      <Drawer.Content>
        <div className={styles["head"]}>
          <Drawer.Title className={styles["title"]}>{title}</Drawer.Title>
          <Drawer.CloseButton aria-label="Close" />
        </div>
        <Drawer.Body>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}
