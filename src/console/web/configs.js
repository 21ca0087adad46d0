import { announce, button, check, field, form, h, input, show, table } from "./dom.js";
import { get, patch } from "./api.js";
import { amount } from "./format.js";

export const title = () => "Broker settings";

export async function render(page) {
  const broker = await get("/configs/broker", page.signal);
  const change = (configs) => patch("/configs/broker", { configs });
  show(page.element, h("h1", {}, `Settings of broker ${broker.broker}`),
    configTable(page, broker.configs, change, "DYNAMIC_BROKER_CONFIG"));
}

/** Settings with a filter, and a form for those that can be changed. */
export function configTable(page, configs, change, own) {
  const list = h("div");
  const editor = h("div");
  const filter = input("config-filter", { type: "search", oninput: () => draw() });
  const changed = check("config-changed", "Only those without the default value");
  const dynamic = check("config-dynamic", "Only those that can be changed now");
  for (const { box } of [changed, dynamic]) box.addEventListener("change", () => draw());

  const draw = () => {
    const wanted = filter.value.toLowerCase();
    const rows = configs.filter((it) => it.name.toLowerCase().includes(wanted)
      && (!changed.box.checked || it.source !== "DEFAULT_CONFIG") && (!dynamic.box.checked || it.dynamic));
    show(list, table("configs", amount(rows.length, "setting"), [
      { title: "Setting", cell: (it) => [h("span", { class: "mono" }, it.name), it.documentation && h("div", { class: "soft" }, it.documentation)] },
      { title: "Value", cell: (it) => h("span", { class: it.source === "DEFAULT_CONFIG" ? "mono" : "mono changed" }, it.sensitive ? "(hidden)" : it.value === null ? "–" : it.value) },
      { title: "From", cell: (it) => source(it) },
      { title: "Dynamic", cell: (it) => it.dynamic
        ? h("button", { type: "button", id: `edit-${it.name}`, "aria-label": `Change ${it.name}`, onclick: () => edit(it) }, "Change")
        : h("span", { class: "soft" }, "at start only") },
    ], rows));
  };

  const edit = (config) => {
    const value = input("config-value", { value: config.sensitive ? "" : config.value || "" });
    const apply = async (wanted) => {
      await change({ [config.name]: wanted });
      await page.reload();
      announce(`${config.name} was changed.`);
    };
    show(editor, h("fieldset", {}, h("legend", {}, `Change ${config.name}`),
      form("config-form", {}, () => apply(value.value), field("New value", value),
        button("config-submit", "Save", { class: "primary" }),
        config.source === own && h("button", { type: "button", id: "config-reset", onclick: () => apply(null).catch((error) => announce(error.message)) }, "Remove, so that the default counts"),
        h("button", { type: "button", id: "config-cancel", onclick: () => editor.replaceChildren() }, "Cancel"))));
    value.focus();
  };

  draw();
  return h("div", {}, editor, h("form", { onsubmit: (event) => event.preventDefault() },
    field("Name contains", filter), changed.element, dynamic.element), list);
}

const SOURCES = {
  DYNAMIC_TOPIC_CONFIG: "this topic", DYNAMIC_BROKER_CONFIG: "this broker, changed while it ran",
  DYNAMIC_DEFAULT_BROKER_CONFIG: "all brokers, changed while they ran", STATIC_BROKER_CONFIG: "the broker's start",
  DEFAULT_CONFIG: "default",
};

function source(config) {
  const overridden = config.synonyms.slice(1).map((it) => `${it.name}=${it.value} (${SOURCES[it.source] || it.source})`);
  return [SOURCES[config.source] || config.source, overridden.length > 0 && h("div", { class: "soft" }, `instead of ${overridden.join(", ")}`)];
}
