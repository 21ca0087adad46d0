import { facts, h, refresh, table } from "./dom.js";
import { getAt, query } from "./api.js";
import { amount, count, time } from "./format.js";

const INTERVAL = 5000;

export const title = (id) => id || "Client metrics";

export async function render(page) {
  const [id] = page.names;
  await page.repeat(INTERVAL, () => (id ? one(page, id) : list(page)));
}

const name = (it) => it.client_id || it.client_instance_id;

async function list(page) {
  const { clients } = await getAt("/client-metrics", page.signal);
  refresh(page.element, h("h1", {}, "Client metrics"),
    h("p", {}, "Clients push metrics if a subscription asks them to. This makes one for all clients that start after it:"),
    h("pre", { tabindex: "0" }, "ottla kafka-client-metrics --bootstrap-server localhost:9092 --alter --generate-name --metrics '*' --interval 5000"),
    table("clients", `${amount(clients.length, "client")} pushed metrics lately`, [
      { title: "Client", cell: (it) => h("a", { href: `#/client-metrics/${encodeURIComponent(it.client_instance_id)}` }, name(it)) },
      { title: "Software", cell: (it) => `${it.client_software_name || "–"} ${it.client_software_version || ""}` },
      { title: "Address", cell: (it) => it.client_source_address },
      { title: "Group", cell: (it) => it.attributes.group_id || "–" },
      { title: "Series", number: true, cell: (it) => count(it.series) },
      { title: "Last push", cell: (it) => time(it.last_push_timestamp) },
      { title: "State", cell: (it) => (it.terminated ? "ended" : "pushes") },
    ], clients));
}

async function one(page, id) {
  const client = await getAt(`/client-metrics${query({ "client-instance-id": id })}`, page.signal);
  const labels = (it) => Object.entries(it.labels).map(([key, value]) => `${key}=${value}`).join(", ");
  refresh(page.element, h("h1", {}, name(client)), facts([
    ["Instance", client.client_instance_id], ["Address", client.client_source_address],
    ["Pushes", count(client.pushes)], ["Last push", time(client.last_push_timestamp)],
    ...Object.entries(client.attributes),
  ]), table("client-series", amount(client.metrics.length, "series", "series"), [
    { title: "Metric", cell: (it) => it.name },
    { title: "Labels", cell: labels },
    { title: "Value", number: true, cell: (it) => (it.value === null ? "–" : String(it.value)) },
  ], client.metrics));
}
