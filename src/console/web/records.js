import { announce, button, check, errorBox, field, form, h, input, select, show } from "./dom.js";
import { lines, path, query } from "./api.js";
import { content, count, kind, time, visible } from "./format.js";

const MAX_SHOWN = 2000;
const PREVIEW = 160;

/** Browses and searches the records of a topic. */
export function browser(page, place, topic) {
  const from = select("records-from", [
    ["newest", "the newest records"], ["earliest", "the oldest records"], ["offset", "an offset"],
    ["timestamp", "a time"], ["latest", "new records only"],
  ]);
  const offset = input("records-offset", { type: "number", min: 0, value: 0 });
  const moment = input("records-time", { type: "datetime-local", step: 1 });
  const places = { offset: field("Offset", offset), timestamp: field("Time (of this machine)", moment) };
  const showPlaces = () => {
    for (const [name, element] of Object.entries(places)) element.hidden = from.value !== name;
  };
  from.addEventListener("change", showPlaces);
  showPlaces();
  const partition = select("records-partition", [["", "all"], ...topic.partitions.map((it) => [it.partition, it.partition])]);
  const limit = select("records-limit", [[20, "20"], [50, "50"], [200, "200"], [1000, "1,000"]], "50");
  const key = input("records-key");
  const text = input("records-text");
  const jq = input("records-jq", { placeholder: ".customer.id == 7", "aria-describedby": "records-jq-help" });
  const follow = check("records-follow", "Wait for new records");
  const committed = check("records-committed", "Only committed records");
  const list = h("div", { id: "records" });
  const more = h("div");
  let running;

  const parameters = () => {
    const share = Math.ceil(Number(limit.value) / (partition.value === "" ? topic.partitions.length : 1));
    const start = {
      newest: { latest: share }, earliest: { from: "earliest" }, latest: { from: "latest" },
      offset: { offset: offset.value || 0 }, timestamp: { timestamp: new Date(moment.value || 0).getTime() },
    }[from.value];
    return {
      ...start, partition: partition.value, limit: limit.value, key: key.value, text: text.value, jq: jq.value,
      follow: follow.box.checked || from.value === "latest" ? "true" : undefined,
      isolation: committed.box.checked ? "read_committed" : undefined,
    };
  };

  const stop = () => running && running.abort();

  const run = async (wanted, isFirst) => {
    stop();
    const mine = new AbortController();
    running = mine;
    page.signal.addEventListener("abort", () => mine.abort(), { once: true });
    if (isFirst) list.replaceChildren();
    show(more, h("button", { id: "records-stop", type: "button", onclick: stop }, "Stop"));
    announce("Reading …");
    let found = list.childElementCount;
    let end;
    try {
      for await (const line of lines(path`/topics/${topic.name}/records` + query(wanted), mine.signal)) {
        if (line.record) {
          found += 1;
          // The newest first, when new ones arrive.
          if (wanted.follow) list.prepend(element(line.record));
          else list.append(element(line.record));
          if (list.childElementCount > MAX_SHOWN) (wanted.follow ? list.lastChild : list.firstChild).remove();
        } else if (line.progress) announce(`${count(found)} found in ${count(line.progress.scanned)} records …`);
        else if (line.warning) list.append(errorBox({ message: line.warning }));
        else if (line.error) throw new Error(`${line.error.code}: ${line.error.message}`);
        else if (line.end) end = line.end;
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (running === mine) more.replaceChildren();
    }
    if (isFirst && wanted.latest && !wanted.follow) newestFirst(list);
    if (mine.signal.aborted || !end) {
      if (!page.signal.aborted) announce(`${count(found)} shown.`);
      return;
    }
    const failed = end.failed ? ` Records without a result of the filter: ${count(end.failed)}.` : "";
    announce(`${count(end.found)} found in ${count(end.scanned)} records.${failed}`);
    if (wanted.follow && end.reason === "bound") return run({ ...without(wanted), cursor: end.cursor }, false);
    if (end.cursor) {
      const next = { ...without(wanted), cursor: end.cursor };
      show(more, h("button", { id: "records-more", type: "button", onclick: () => run(next, false).catch((error) => show(more, errorBox(error))) },
        end.reason === "bound" ? "Search further" : "Show more"));
    }
  };

  const action = () => run(parameters(), true);
  show(place,
    form("records-form", {}, action, field("From", from), Object.values(places), field("Partition", partition), field("Number", limit),
      field("Key contains", key), field("Text in key, value or header", text), field("Filter (jq)", jq),
      follow.element, committed.element, button("records-submit", "Show", { class: "primary" })),
    h("p", { id: "records-jq-help", class: "soft" },
      "A filter is an expression such as .amount > 10 and (.tags | any(startswith(\"a\"))); $key, $headers, $partition, $offset and $timestamp are the other parts of a record."),
    list, more);
  return action();
}

/** The records of a response come partition by partition. */
function newestFirst(list) {
  const time = (it) => Number(it.dataset.timestamp);
  list.append(...[...list.children].reverse().sort((left, right) => time(right) - time(left)));
}

function without({ latest, from, offset, timestamp, cursor, ...rest }) {
  return rest;
}

function element(record) {
  const preview = (part) => {
    if (part === null) return "null";
    const text = visible(part.text.slice(0, PREVIEW)).replace(/\s+/g, " ");
    return text + (part.text.length > PREVIEW ? "…" : "");
  };
  const part = (label, it) => [h("dt", {}, label, " ", h("span", { class: "soft" }, `(${kind(it)})`)), h("dd", {}, h("pre", { tabindex: "0" }, content(it)))];
  // The contents are made when they are opened: a page of a thousand records stays quick.
  const body = h("div");
  const details = h("details", {
    class: "record", id: `record-${record.partition}-${record.offset}`, "data-timestamp": record.timestamp,
    ontoggle: () => {
      if (!details.open || body.hasChildNodes()) return;
      show(body, h("dl", {},
        h("dt", {}, "Time"), h("dd", {}, `${time(record.timestamp)} (${record.timestamp_type})`),
        part("Key", record.key),
        record.headers.map((it) => part(`Header ${visible(it.key)}`, it.value)),
        part("Value", record.value)));
    },
  },
  h("summary", {}, h("span", { class: "mono" }, `${record.partition}:${record.offset}`), ` ${time(record.timestamp)} `,
    record.key !== null && h("strong", {}, preview(record.key)), " ", h("span", { class: "preview" }, preview(record.value))), body);
  return details;
}
