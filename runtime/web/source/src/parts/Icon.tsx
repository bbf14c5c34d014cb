// The page's own drawings, on a grid of 24 by 24, as lines.

const PATHS = {
  attach: "M19 11.5 12 18.5a4.5 4.5 0 0 1-6.4-6.4l7.5-7.5a3 3 0 0 1 4.3 4.3L10 16.3a1.4 1.4 0 0 1-2-2l6.5-6.5",
  back: "M14 6l-6 6 6 6",
  branch: "M7 4v16M7 14c0-4 10-2 10-8M17 6m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 10a3.2 3.2 0 1 0 0 6.4a3.2 3.2 0 1 0 0-6.4z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20l1-4L16.5 4.5l3 3L8 19z",
  export: "M12 15V4M8 7.5L12 4l4 3.5M5 14v6h14v-6",
  forward: "M10 6l6 6-6 6",
  help: "M9 9a3 3 0 1 1 4.6 2.5c-1 .7-1.6 1.3-1.6 2.5M12 17.5v.5M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z",
  import: "M12 4v11M8 11.5l4 3.5 4-3.5M5 14v6h14v-6",
  info: "M12 11v6M12 7v.5M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z",
  menu: "M4 7h16M4 12h16M4 17h16",
  microphone: "M12 4a2.5 2.5 0 0 0-2.5 2.5v5a2.5 2.5 0 0 0 5 0v-5A2.5 2.5 0 0 0 12 4zM6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3",
  moon: "M19.5 14A8 8 0 1 1 10 4.5 6.5 6.5 0 0 0 19.5 14z",
  play: "M8 5.5v13l10-6.5z",
  plus: "M12 5v14M5 12h14",
  probe: "M4 18h16M5 14h3v4M10.5 8h3v10M16 11.5h3V18M10.5 8v10M16 11.5V18M5 14v4",
  retry: "M5 5v5h5M5.5 10a7.5 7.5 0 1 1-.5 5",
  search: "M10.5 4.5a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM15 15l5 5",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 8h9M17 8h3M4 16h3M11 16h9M15 8m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M9 16m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  shield: "M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6z",
  stop: "M7 7h10v10H7z",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  tool: "M14.5 5.5a4 4 0 0 0-5 5L4 16l4 4 5.5-5.5a4 4 0 0 0 5-5L16 12l-4-4z",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  wrap: "M4 6h16M4 12h12.5a3 3 0 0 1 0 6H12M14.5 15.5L12 18l2.5 2.5M4 18h4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="drawing" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Loaf() {
  return (
    <svg class="loaf" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4.6 12.2C3.6 11.6 3 10.6 3 9.5 3 6.5 7 4.5 12 4.5s9 2 9 5c0 1.1-.6 2.1-1.6 2.7V18a1.5 1.5 0 0 1-1.5 1.5H6.1A1.5 1.5 0 0 1 4.6 18z" />
      <path class="cut" d="M7.5 8.5l1.2 3M11.4 8l1.2 3M15.3 8.5l1.2 3" />
    </svg>
  );
}
