import { announce, announceNext, button, danger, facts, field, form, h, input, refresh, show, table } from "./dom.js";
import { get, patch, path, remove } from "./api.js";
import { amount, count, rate, size } from "./format.js";
import { topicLink } from "./topics.js";
import { configTable } from "./configs.js";
import { browser } from "./records.js";
import { producer } from "./produce.js";

const INTERVAL = 2000;
const TABS = [["", "Partitions"], ["records", "Records"], ["produce", "Produce"], ["settings", "Settings"]];

export const title = (name) => name;

export async function render(page) {
  const [name, tab = ""] = page.names;
  const topic = await get(path`/topics/${name}`, page.signal);
  const place = h("div");
  const link = ([id, label]) => h("li", {}, h("a", {
    id: `tab-${id || "partitions"}`, href: topicLink(name, id), "aria-current": id === tab && "page",
  }, label));
  show(page.element, h("h1", {}, topic.name), h("ul", { class: "tabs" }, TABS.map(link)), place);
  if (tab === "records") return browser(page, place, topic);
  if (tab === "produce") return producer(page, place, topic);
  if (tab === "settings") return settings(page, place, topic);
  return partitions(page, place, topic);
}

async function partitions(page, place, first) {
  const summary = h("div");
  const list = h("div");
  show(place, summary, list, management(page, first));
  let before;
  await page.repeat(INTERVAL, async () => {
    const sampled = performance.now();
    const topic = await get(path`/topics/${first.name}`, page.signal);
    const seconds = before && (sampled - before.sampled) / 1000;
    const old = new Map(before ? before.topic.partitions.map((it) => [it.partition, it]) : []);
    const perSecond = (it) => old.has(it.partition) ? (it.end_offset - old.get(it.partition).end_offset) / seconds : undefined;
    const bytesPerSecond = (it) => old.has(it.partition) && it.bytes !== null ? (it.bytes - old.get(it.partition).bytes) / seconds : undefined;
    const total = (of) => topic.partitions.reduce((sum, it) => sum + (of(it) || 0), 0);
    refresh(summary, facts([
      ["Topic id", topic.id],
      ["Internal", topic.internal ? "yes" : "no"],
      ["Offsets", count(total((it) => it.end_offset - it.start_offset))],
      ["Size", size(total((it) => it.bytes))],
      ["Records in", before ? rate(total(perSecond)) : "…"],
      ["Bytes in", before ? rate(total(bytesPerSecond), size) : "…"],
    ]));
    refresh(list, table("partitions", amount(topic.partitions.length, "partition"), [
      { title: "Partition", cell: (it) => it.partition },
      { title: "Leader", number: true, cell: (it) => it.leader },
      { title: "Start offset", number: true, cell: (it) => count(it.start_offset) },
      { title: "End offset", number: true, cell: (it) => count(it.end_offset) },
      { title: "Size", number: true, cell: (it) => size(it.bytes) },
      { title: "Records in", number: true, cell: (it) => rate(perSecond(it)) },
      { title: "Bytes in", number: true, cell: (it) => rate(bytesPerSecond(it), size) },
      { title: "Error", cell: (it) => it.error || "–" },
    ], topic.partitions));
    before = { sampled, topic };
  });
}

function management(page, topic) {
  const partitions = input("more-partitions", { type: "number", min: topic.partitions.length + 1, required: true });
  const action = async () => {
    await patch(path`/topics/${topic.name}`, { partitions: Number(partitions.value) });
    await page.reload();
    announce("Partitions were added.");
  };
  const deletion = async () => {
    await remove(path`/topics/${topic.name}`);
    announceNext(`Topic ${topic.name} was deleted.`);
    location.hash = "#/topics";
  };
  const emptying = async () => {
    const offsets = Object.fromEntries(topic.partitions.map((it) => [it.partition, -1]));
    await remove(path`/topics/${topic.name}/records`, { offsets });
    announce("All records were deleted.");
    await page.reload();
  };
  return h("fieldset", {}, h("legend", {}, "Changes"),
    form("partitions-form", {}, action, field("New number of partitions", partitions), button("partitions-submit", "Add partitions")),
    h("div", { class: "buttons" },
      danger("empty-topic", "Delete all records", `Delete all records of ${topic.name}?`, emptying),
      danger("delete-topic", "Delete the topic", `Delete ${topic.name} and its records?`, deletion)));
}

function settings(page, place, topic) {
  if (topic.configs === null) {
    show(place, h("p", { class: "soft" }, "The console's principal is not allowed to see them."));
    return;
  }
  const change = (configs) => patch(path`/topics/${topic.name}`, { configs });
  show(place, configTable(page, topic.configs, change, "DYNAMIC_TOPIC_CONFIG"));
}
