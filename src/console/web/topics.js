import { announceNext, button, check, field, form, h, input, refresh, show, table } from "./dom.js";
import { get, path, post } from "./api.js";
import { amount, count, rate, size } from "./format.js";

const INTERVAL = 2000;

export const title = () => "Topics";

export function topicLink(name, tab = "") {
  return `#${path`/topics/${name}`}${tab && `/${tab}`}`;
}

export async function render(page) {
  const list = h("div");
  const filter = input("topic-filter", { type: "search", oninput: () => draw() });
  const internal = check("show-internal", "Show internal topics");
  internal.box.addEventListener("change", () => draw());
  let topics = [];
  let rates = new Map();

  const draw = () => {
    const wanted = filter.value.toLowerCase();
    const rows = topics.filter((it) => it.name.toLowerCase().includes(wanted) && (internal.box.checked || !it.internal));
    refresh(list, table("topics", amount(rows.length, "topic"), [
      { title: "Topic", cell: (it) => h("a", { href: topicLink(it.name), id: `topic-${it.name}` }, it.name) },
      { title: "Partitions", number: true, cell: (it) => count(it.partitions) },
      { title: "Offsets", number: true, cell: (it) => count(it.offsets) },
      { title: "Size", number: true, cell: (it) => size(it.bytes) },
      { title: "Records in", number: true, cell: (it) => rate((rates.get(it.id) || [])[0]) },
      { title: "Bytes in", number: true, cell: (it) => rate((rates.get(it.id) || [])[1], size) },
    ], rows));
  };

  show(page.element, h("h1", {}, "Topics"), creation(page),
    h("form", { onsubmit: (event) => event.preventDefault() }, field("Name contains", filter), internal.element), list);

  let before;
  await page.repeat(INTERVAL, async () => {
    const sampled = performance.now();
    topics = (await get("/topics", page.signal)).topics;
    if (before) {
      const seconds = (sampled - before.sampled) / 1000;
      const earlier = new Map(before.topics.map((it) => [it.id, it]));
      rates = new Map(topics.filter((it) => earlier.has(it.id)).map((it) => {
        const old = earlier.get(it.id);
        return [it.id, [(it.end_offsets - old.end_offsets) / seconds, (it.bytes - old.bytes) / seconds]];
      }));
    }
    before = { sampled, topics };
    draw();
  });
}

function creation(page) {
  const name = input("new-topic-name", { required: true });
  const partitions = input("new-topic-partitions", { type: "number", min: 1 });
  const configs = h("textarea", { id: "new-topic-configs", placeholder: "retention.ms=3600000" });
  const action = async () => {
    const lines = configs.value.split("\n").map((line) => line.trim()).filter(Boolean);
    const body = { name: name.value, configs: Object.fromEntries(lines.map((line) => {
      const [key, ...value] = line.split("=");
      return [key.trim(), value.join("=").trim()];
    })) };
    if (partitions.value) body.partitions = Number(partitions.value);
    await post("/topics", body);
    announceNext(`Topic ${name.value} was created.`);
    location.hash = topicLink(name.value);
  };
  return h("details", {}, h("summary", { id: "new-topic" }, "Create a topic"),
    form("new-topic-form", { class: "tall" }, action, field("Name", name), field("Partitions (empty: the broker's default)", partitions),
      field("Settings, one in each line", configs), button("new-topic-submit", "Create", { class: "primary" })));
}
