import { announce, announceNext, button, danger, errorBox, facts, field, form, h, input, refresh, select, show, svg, table } from "./dom.js";
import { get, path, post, remove } from "./api.js";
import { count, seconds } from "./format.js";

const INTERVAL = 2000;
const MAX_SAMPLES = 150;

export const title = (id) => id;

export async function render(page) {
  const [id] = page.names;
  const summary = h("div");
  const chart = h("div");
  const lists = h("div");
  const first = await get(path`/groups/${id}`, page.signal);
  show(page.element, h("h1", {}, id), summary, h("h2", {}, "Lag"), chart, lists, reset(page, id, first), deletion(id));
  const samples = [];
  await page.repeat(INTERVAL, async () => {
    const group = await get(path`/groups/${id}`, page.signal);
    samples.push([performance.now(), group.lag, group.max_lag_seconds]);
    if (samples.length > MAX_SAMPLES) samples.shift();
    refresh(summary, facts([
      ["Type", group.type], ["State", group.state], ["Assignor", group.assignor],
      ["Members", count(group.members.length)], ["Lag", count(group.lag)],
      ["Longest lag in time", seconds(group.max_lag_seconds)],
    ]));
    refresh(chart, h("div", { class: "charts" },
      curve("lag-chart", "Lag in offsets", samples.map(([at, lag]) => [at, lag]), count),
      curve("lag-seconds-chart", "Longest lag in time", samples.map(([at, , lag]) => [at, lag]), seconds)));
    refresh(lists, h("h2", {}, "Offsets"), table("offsets", "Offsets and lag", [
      { title: "Topic", cell: (it) => it.topic },
      { title: "Partition", number: true, cell: (it) => it.partition },
      { title: "Committed", number: true, cell: (it) => count(it.committed) },
      { title: "End", number: true, cell: (it) => count(it.end_offset) },
      { title: "Lag", number: true, cell: (it) => count(it.lag) },
      { title: "Lag in time", number: true, cell: (it) => seconds(it.lag_seconds) },
      { title: "Member", cell: (it) => it.member || "–" },
    ], group.offsets), h("h2", {}, "Members"), table("members", "Members", [
      { title: "Member", cell: (it) => it.instance_id ? `${it.id} (${it.instance_id})` : it.id },
      { title: "Client", cell: (it) => it.client_id },
      { title: "Host", cell: (it) => it.host },
      { title: "Partitions", cell: (it) => (it.assignment || []).map((one) => `${one.topic}-${one.partition}`).join(", ") || "–" },
    ], group.members));
  });
}

/** A figure since the page was opened. Samples without a value are left out. */
function curve(id, name, all, text) {
  const samples = all.filter(([, value]) => value !== null && value !== undefined);
  if (samples.length === 0) return h("p", { class: "soft", id }, `${name}: unknown`);
  const [start] = samples[0];
  const [end, now] = samples[samples.length - 1];
  const highest = Math.max(...samples.map(([, value]) => value));
  const x = (at) => end === start ? 100 : 100 * (at - start) / (end - start);
  const y = (value) => 38 - 36 * value / Math.max(1, highest);
  const points = samples.map(([at, value]) => `${x(at).toFixed(2)},${y(value).toFixed(2)}`);
  if (points.length === 1) points.unshift(`0,${y(now).toFixed(2)}`);
  const label = `${name} over ${Math.round((end - start) / 1000)} seconds: now ${text(now)}, at most ${text(highest)}`;
  return h("figure", {}, svg("svg", { class: "chart", id, viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("polyline", { points: points.join(" ") })), h("figcaption", { class: "soft" }, label));
}

function reset(page, id, group) {
  const to = select("reset-to", [["earliest", "the oldest record"], ["latest", "the end"], ["offset", "an offset"], ["shift", "so many records further (or back)"], ["timestamp", "a time"]]);
  const number = input("reset-value", { type: "number", value: 0 });
  const moment = input("reset-time", { type: "datetime-local", step: 1 });
  const places = [field("Number", number), field("Time (of this machine)", moment)];
  const showPlaces = () => {
    places[0].hidden = to.value !== "offset" && to.value !== "shift";
    places[1].hidden = to.value !== "timestamp";
  };
  to.addEventListener("change", () => { showPlaces(); result.replaceChildren(); });
  showPlaces();
  const topics = [...new Set(group.offsets.map((it) => it.topic))];
  const topic = select("reset-topic", [["", "all with committed offsets"], ...topics.map((it) => [it, it])]);
  const result = h("div", { id: "reset-result", "aria-live": "polite" });
  const body = (isDry) => {
    const wanted = { to: to.value, dry_run: isDry };
    if (to.value === "offset" || to.value === "shift") wanted.value = Number(number.value);
    if (to.value === "timestamp") wanted.value = new Date(moment.value || 0).getTime();
    if (topic.value) wanted.topics = [{ topic: topic.value }];
    return wanted;
  };
  const apply = (wanted) => async () => {
    try {
      await post(path`/groups/${id}/offsets`, wanted);
      result.replaceChildren();
      announce("The offsets were reset.");
    } catch (error) {
      show(result, errorBox(error));
    }
  };
  const dryRun = async () => {
    const wanted = body(true);
    const { offsets } = await post(path`/groups/${id}/offsets`, wanted);
    show(result, table("reset-plan", "What the reset changes", [
      { title: "Topic", cell: (it) => it.topic },
      { title: "Partition", number: true, cell: (it) => it.partition },
      { title: "Committed now", number: true, cell: (it) => count(it.committed) },
      { title: "New", number: true, cell: (it) => count(it.new) },
    ], offsets), h("button", { id: "reset-apply", type: "button", class: "danger", onclick: apply({ ...wanted, dry_run: false }) }, "Reset the offsets"));
  };
  return h("fieldset", {}, h("legend", {}, "Reset offsets"),
    h("p", { class: "soft" }, "The group must have no members. A dry run shows the new offsets first."),
    form("reset-form", {}, dryRun, field("Topic", topic), field("To", to), places, button("reset-dry-run", "Dry run", { class: "primary" })), result);
}

function deletion(id) {
  return danger("delete-group", "Delete the group", `Delete ${id} and its committed offsets?`, async () => {
    await remove(path`/groups/${id}`);
    announceNext(`Group ${id} was deleted.`);
    location.hash = "#/groups";
  });
}
