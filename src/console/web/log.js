import { h, show } from "./dom.js";
import { get } from "./api.js";
import { visible } from "./format.js";

const INTERVAL = 2000;

export const title = () => "Log";

export async function render(page) {
  const text = h("pre", { id: "log", tabindex: "0", "aria-label": "The last lines of the log" });
  show(page.element, h("h1", {}, "The last lines of the log"), text);
  await page.repeat(INTERVAL, async () => {
    try {
      const { lines } = await get("/log", page.signal);
      const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
      text.textContent = lines.map(visible).join("\n");
      if (isAtEnd) text.scrollTop = text.scrollHeight;
    } catch (error) {
      if (error.status !== 404) throw error;
      show(page.element, h("h1", {}, "Log"), h("p", {}, "This program keeps no lines of its log."));
    }
  });
}
