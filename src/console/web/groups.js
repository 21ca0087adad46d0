import { field, h, input, refresh, show, table } from "./dom.js";
import { get, path } from "./api.js";
import { amount } from "./format.js";

const INTERVAL = 5000;

export const title = () => "Groups";

export async function render(page) {
  const list = h("div");
  const filter = input("group-filter", { type: "search", oninput: () => draw() });
  let groups = [];
  const draw = () => {
    const rows = groups.filter((it) => it.id.toLowerCase().includes(filter.value.toLowerCase()));
    refresh(list, table("groups", amount(rows.length, "group"), [
      { title: "Group", cell: (it) => h("a", { href: `#${path`/groups/${it.id}`}`, id: `group-${it.id}` }, it.id || "(empty name)") },
      { title: "Type", cell: (it) => it.type || "–" },
      { title: "State", cell: (it) => it.state || "–" },
      { title: "Protocol", cell: (it) => it.protocol_type || "–" },
    ], rows));
  };
  show(page.element, h("h1", {}, "Groups"), h("form", { onsubmit: (event) => event.preventDefault() }, field("Name contains", filter)), list);
  await page.repeat(INTERVAL, async () => {
    groups = (await get("/groups", page.signal)).groups;
    draw();
  });
}
