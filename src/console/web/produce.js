import { announce, button, check, field, form, h, input, select, show } from "./dom.js";
import { path, post } from "./api.js";

/** Produces one record. */
export function producer(place, topic) {
  const partition = select("produce-partition", [["", "by the key"], ...topic.partitions.map((it) => [it.partition, it.partition])]);
  const noKey = check("produce-no-key", "No key (null)", true);
  const key = input("produce-key");
  const noValue = check("produce-no-value", "No value (null), which deletes the key of a compacted topic");
  const value = h("textarea", { id: "produce-value" });
  const headers = h("textarea", { id: "produce-headers", placeholder: "source=console" });
  key.addEventListener("input", () => { noKey.box.checked = key.value === ""; });
  const action = async () => {
    const lines = headers.value.split("\n").filter((line) => line.trim());
    const record = {
      key: noKey.box.checked ? null : key.value,
      value: noValue.box.checked ? null : value.value,
      headers: lines.map((line) => {
        const [name, ...rest] = line.split("=");
        return { key: name.trim(), value: rest.join("=") };
      }),
    };
    if (partition.value !== "") record.partition = Number(partition.value);
    const { records: [stored] } = await post(path`/topics/${topic.name}/records`, record);
    announce(`The record has offset ${stored.offset} in partition ${stored.partition}.`);
  };
  show(place, form("produce-form", { class: "tall" }, action, field("Partition", partition), noKey.element, field("Key", key),
    noValue.element, field("Value", value), field("Headers, one in each line", headers),
    button("produce-submit", "Produce", { class: "primary" })));
}
