import type { ReactNode } from "react";

/** 16 px drawings; decoration beside a word, so hidden from screen readers. */
function Icon({ children }: { children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 16 16"
      width="1em"
      height="1em"
      fill="none"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

const stroke = {
  stroke: "currentColor",
  strokeWidth: 1.75,
  strokeLinecap: "round",
  strokeLinejoin: "round",
} as const;

export const TickIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="7" fill="currentColor" />
    <path d="m4.8 8.2 2.2 2.2 4.2-4.6" {...stroke} stroke="var(--cut)" />
  </Icon>
);

export const ArcIcon = () => (
  <Icon>
    <path d="M8 1.8A6.2 6.2 0 1 1 2.6 5" {...stroke} strokeWidth={2.2} />
  </Icon>
);

export const ClockIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6.2" {...stroke} />
    <path d="M8 4.6V8l2.3 1.6" {...stroke} />
  </Icon>
);

export const TriangleIcon = () => (
  <Icon>
    <path d="M8 1.2 15.4 14.4H.6Z" fill="currentColor" />
    <path d="M8 6v3.6M8 12v.1" {...stroke} stroke="var(--cut)" />
  </Icon>
);

export const OctagonIcon = () => (
  <Icon>
    <path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5Z" fill="currentColor" />
    <path d="m5.6 5.6 4.8 4.8m0-4.8-4.8 4.8" {...stroke} stroke="var(--cut)" />
  </Icon>
);

export const RingIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" {...stroke} strokeDasharray="2.2 2.5" strokeLinecap="butt" />
  </Icon>
);

export const MenuIcon = () => (
  <Icon>
    <path d="M1.5 3.5h13M1.5 8h13m-13 4.5h13" {...stroke} />
  </Icon>
);

export const ChevronIcon = () => (
  <Icon>
    <path d="m4 6 4 4 4-4" {...stroke} />
  </Icon>
);

export const PauseIcon = () => (
  <Icon>
    <path d="M5.2 3v10M10.8 3v10" {...stroke} strokeWidth={2.4} />
  </Icon>
);

export const PlayIcon = () => (
  <Icon>
    <path d="M4.5 2.5v11l9-5.5Z" {...stroke} />
  </Icon>
);

export const ReleaseIcon = () => (
  <Icon>
    <path
      d="m9.6 3.6 1-1a2 2 0 0 1 2.8 2.8l-1 1M6.4 12.4l-1 1a2 2 0 0 1-2.8-2.8l1-1M6.2 9.8l1.3-1.3m1-1 1.3-1.3m1.6 5.2 2.4 2.4m0-2.4-2.4 2.4"
      {...stroke}
      strokeWidth={1.5}
    />
  </Icon>
);

export const AskIcon = () => (
  <Icon>
    <path d="M2.5 3h11v7.5H8L5 13.2v-2.7H2.5Z" {...stroke} strokeWidth={1.5} />
  </Icon>
);

export const SortIcon = ({ down }: { down: boolean }) => (
  <Icon>
    <path d={down ? "M8 3v10m-4-4 4 4 4-4" : "M8 13V3M4 7l4-4 4 4"} {...stroke} />
  </Icon>
);

export const Mark = () => (
  <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="7" fill="#1c4691" />
    <circle cx="16" cy="9" r="4" fill="#fff" />
    <circle cx="8.5" cy="22" r="4" fill="#fff" />
    <circle cx="23.5" cy="22" r="3" fill="none" stroke="#fff" strokeWidth="2" />
  </svg>
);
