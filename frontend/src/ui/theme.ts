import { createTheme } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: { light: 8, dark: 6 },
  colors: {
    ink: [
      "#e4ecfa",
      "#cbd9f3",
      "#a5bee9",
      "#7ba0df",
      "#5a88d6",
      "#4074cb",
      "#2f62ba",
      "#2554a6",
      "#1c4691",
      "#133268",
    ],
    dark: [
      "#e8ebf0",
      "#acb3bf",
      "#8d95a3",
      "#5c6470",
      "#3a414d",
      "#2b3039",
      "#15181d",
      "#1b1e23",
      "#15181d",
      "#0f1115",
    ],
  },
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: "var(--font-mono)",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  lineHeights: { xs: "16px", sm: "20px", md: "20px", lg: "24px", xl: "28px" },
  defaultRadius: 6,
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "compact-md", h: 32, px: 14, fz: 13 } },
  },
});
