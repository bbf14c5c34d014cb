// Run where the page is built, not in the page (prerender.mjs).

import { renderToString } from "preact-render-to-string";
import { App } from "./views/App";

export const html = renderToString(<App />);
