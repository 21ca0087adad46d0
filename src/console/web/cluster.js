import { facts, h, show, table } from "./dom.js";
import { get } from "./api.js";
import { count, size } from "./format.js";

export const title = () => "Overview";

export async function render({ element, signal }) {
  const cluster = await get("/cluster", signal);
  const dirs = cluster.log_dirs;
  show(element,
    h("h1", {}, "Overview"),
    facts([
      ["Ottla", cluster.version],
      ["Cluster id", cluster.cluster_id],
      ["Controller", cluster.controller_id],
      ["Topics", count(cluster.topics)],
      ["Partitions", count(cluster.partitions)],
      ["Schema registry", cluster.schema_registry ? h("a", { href: "#/schemas" }, "on") : "off"],
      ["Features", Object.entries(cluster.features).map(([name, level]) => `${name} ${level}`).join(", ")],
    ]),
    h("h2", {}, "Brokers"),
    table("brokers", "Brokers", [
      { title: "Id", cell: (it) => it.id },
      { title: "Address", cell: (it) => `${it.host}:${it.port}` },
      { title: "Rack", cell: (it) => it.rack || "–" },
    ], cluster.brokers),
    h("h2", {}, "Log directories"),
    dirs === null
      ? h("p", { class: "soft" }, "The console's principal is not allowed to see them.")
      : table("log-dirs", "Log directories", [
        { title: "Path", cell: (it) => it.path },
        { title: "Size of the disk", number: true, cell: (it) => size(it.total_bytes) },
        { title: "Free", number: true, cell: (it) => size(it.usable_bytes) },
        { title: "Error", cell: (it) => it.error ? it.error.error.message : "–" },
      ], dirs));
}
