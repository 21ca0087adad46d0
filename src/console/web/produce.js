import { announce, button, check, field, form, h, input, select, show } from "./dom.js";
import { get, path, postText } from "./api.js";

/** Produces one record. */
export async function producer(page, place, topic) {
  const [keySchemas, valueSchemas] = await Promise.all([schemas(page, topic, "key"), schemas(page, topic, "value")]);
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
      headers: lines.map((line) => {
        const [name, ...rest] = line.split("=");
        return { key: name.trim(), value: rest.join("=") };
      }),
    };
    if (partition.value !== "") record.partition = Number(partition.value);
    const fields = JSON.stringify(record).slice(1, -1);
    const parts = [part("key", noKey.box.checked, key.value, keySchemas), part("value", noValue.box.checked, value.value, valueSchemas)];
    const { records: [stored] } = await postText(path`/topics/${topic.name}/records`, `{${[fields, ...parts].join(",")}}`);
    announce(`The record has offset ${stored.offset} in partition ${stored.partition}.`);
  };
  show(place, form("produce-form", { class: "tall" }, action, field("Partition", partition), noKey.element, field("Key", key),
    keySchemas && field("Schema of the key", keySchemas), noValue.element, field("Value", value),
    valueSchemas && field("Schema of the value", valueSchemas), field("Headers, one in each line", headers),
    button("produce-submit", "Produce", { class: "primary" })));
}

/** The fields of a key or value. JSON is sent as it was written, so that numbers keep their digits. */
function part(name, isNull, text, schema) {
  if (isNull) return `"${name}":null`;
  if (!schema || schema.value === "") return `"${name}":${JSON.stringify(text)}`;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`The ${name} has a schema, and is not valid JSON: ${error.message}`);
  }
  return `"${name}":${text},"${name}_schema_id":${Number(schema.value)}`;
}

/** A choice of the latest schema for the topic's keys or values; nothing if there is none, or none may be read. */
async function schemas(page, topic, name) {
  try {
    const subject = `${topic.name}-${name}`;
    const { id, version, schemaType = "AVRO" } = await get(path`/registry/subjects/${subject}/versions/latest`, page.signal);
    return select(`produce-${name}-schema`, [["", "none"], [id, `${subject}, version ${version} (${schemaType}, id ${id})`]], id);
  } catch (error) {
    if (error.status !== 404 && error.status !== 403) throw error;
    return null;
  }
}
