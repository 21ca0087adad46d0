import { announce, announceNext, button, danger, errorBox, facts, field, form, h, input, select, show, table } from "./dom.js";
import { get, path, post, put, remove } from "./api.js";
import { amount, count, prettyJson, visible } from "./format.js";

const LEVELS = ["BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE", "NONE"];
const TYPES = [["AVRO", "Avro"], ["PROTOBUF", "Protobuf"], ["JSON", "JSON Schema"]];

export const title = (subject) => subject || "Schemas";

export async function render(page) {
  const [subject] = page.names;
  try {
    await (subject === undefined ? subjects(page) : versions(page, subject));
  } catch (error) {
    if (error.code !== "NOT_FOUND") throw error;
    show(page.element, h("h1", {}, "Schemas"),
      h("p", {}, "This broker has no schema registry. The option --registry-port 8081 starts one with the broker."));
  }
}

export function subjectLink(subject) {
  return h("a", { href: `#${path`/schemas/${subject}`}` }, visible(subject));
}

async function subjects(page) {
  const [active, all, config] = await Promise.all([
    get("/registry/subjects", page.signal), get("/registry/subjects?deleted=true", page.signal), get("/registry/config", page.signal),
  ]);
  const list = h("div");
  const filter = input("subject-filter", { type: "search", oninput: () => draw() });
  const known = new Set(active);
  const draw = () => {
    const rows = all.filter((it) => it.toLowerCase().includes(filter.value.toLowerCase()));
    show(list, table("subjects", amount(rows.length, "subject"), [
      { title: "Subject", cell: subjectLink },
      { title: "State", cell: (it) => known.has(it) ? "active" : "deleted (its versions can still be read)" },
    ], rows));
  };
  const name = input("new-subject", { required: true, placeholder: "orders-value" });
  const open = async () => { location.hash = `#${path`/schemas/${name.value}`}`; };
  show(page.element, h("h1", {}, "Schemas"),
    levelForm(page, "/registry/config", config.compatibilityLevel, "Compatibility of subjects without a level of their own"),
    h("form", { onsubmit: (event) => event.preventDefault() }, field("Name contains", filter)), list,
    h("h2", {}, "New subject"),
    form("subject-form", {}, open, field("Name", name), button("subject-submit", "Continue", { class: "primary" })));
  draw();
}

/** The level of all subjects, or of one; the level of one can be removed. */
function levelForm(page, address, level, label, own) {
  const choice = select("compatibility", LEVELS.map((it) => [it, it]), level);
  const change = async () => {
    await put(address, { compatibility: choice.value });
    await page.reload();
    announce(`The compatibility level is ${choice.value}.`);
  };
  const unset = async () => {
    await remove(address);
    await page.reload();
    announce("The level of all subjects counts.");
  };
  return form("compatibility-form", {}, change, field(label, choice), button("compatibility-submit", "Save"),
    own && h("button", { type: "button", id: "compatibility-remove", onclick: () => unset().catch((error) => announce(error.message)) }, "Remove, so that the level of all subjects counts"));
}

/** Responses of the registry, or another value where it answers 404. */
async function or(promise, otherwise) {
  try {
    return await promise;
  } catch (error) {
    // An answer of the console itself has a name as its code.
    if (error.status !== 404 || !/^\d+$/.test(error.code)) throw error;
    return otherwise;
  }
}

async function versions(page, subject) {
  const base = path`/registry/subjects/${subject}/versions`;
  const signal = page.signal;
  const [active, all, own, level] = await Promise.all([
    or(get(base, signal), []), or(get(`${base}?deleted=true`, signal), []),
    or(get(path`/registry/config/${subject}`, signal), null),
    get(path`/registry/config/${subject}?defaultToGlobal=true`, signal),
  ]);
  const known = new Set(active);
  const text = h("div", { id: "schema-version" });
  const showVersion = (version) => schema(page, text, subject, version, known.has(version)).catch((error) => {
    if (error.name !== "AbortError") show(text, errorBox(error));
  });
  const choice = select("version", [...all].reverse().map((it) => [it, known.has(it) ? it : `${it} (deleted)`]), active.at(-1));
  choice.addEventListener("change", () => showVersion(Number(choice.value)));
  show(page.element, h("h1", {}, visible(subject)),
    facts([["Versions", count(active.length)], ["Compatibility", `${level.compatibilityLevel} (${own ? "of this subject" : "of all subjects"})`]]),
    all.length > 0 && h("form", { onsubmit: (event) => event.preventDefault() }, field("Version", choice)), text,
    registration(page, subject, active.length > 0),
    h("h2", {}, "Compatibility"),
    levelForm(page, path`/registry/config/${subject}`, level.compatibilityLevel, "Level of this subject", own),
    active.length > 0 && h("fieldset", {}, h("legend", {}, "Delete"),
      h("p", { class: "soft" }, "Deleted versions can still be read by their ids, so records stay readable."),
      danger("delete-subject", "Delete the subject", `Delete all versions of ${subject}?`, async () => {
        await remove(path`/registry/subjects/${subject}`);
        announceNext(`Subject ${subject} was deleted.`);
        location.hash = "#/schemas";
      })));
  if (all.length > 0) await showVersion(Number(choice.value));
}

async function schema(page, place, subject, version, isActive) {
  const base = path`/registry/subjects/${subject}/versions/${version}`;
  const [found, users] = await Promise.all([
    get(`${base}?deleted=true`, page.signal), or(get(`${base}/referencedby`, page.signal), []),
  ]);
  const type = found.schemaType || "AVRO";
  const references = (found.references || []).map((it) => h("li", {}, visible(it.name), ": ", subjectLink(it.subject), `, version ${it.version}`));
  show(place, facts([
    ["Id", String(found.id)], ["Type", type], ["GUID", found.guid],
    ["References", references.length > 0 ? h("ul", {}, references) : null],
    ["Referred to by", users.length > 0 ? `schemas ${users.join(", ")}` : null],
  ]), h("pre", { id: "schema-text", tabindex: "0", "aria-label": `Schema of version ${version}` },
    visible(type === "PROTOBUF" ? found.schema : prettyJson(found.schema))),
  isActive && danger("delete-version", "Delete this version", `Delete version ${version}?`, async () => {
    await remove(base);
    await page.reload();
    announce(`Version ${version} was deleted.`);
  }));
}

/** Registers a schema after a check. */
function registration(page, subject, isKnown) {
  const type = select("schema-type", TYPES);
  const text = h("textarea", { id: "new-schema", required: true });
  const references = h("textarea", { id: "new-references", placeholder: "[{\"name\": \"Customer\", \"subject\": \"customer\", \"version\": 1}]" });
  const result = h("div", { id: "check-result", "aria-live": "polite" });
  for (const control of [type, text, references]) control.addEventListener("input", () => result.replaceChildren());
  const body = () => {
    const wanted = { schemaType: type.value, schema: text.value };
    if (references.value.trim()) {
      try {
        wanted.references = JSON.parse(references.value);
      } catch {
        throw new Error("The references are not valid JSON.");
      }
    }
    return wanted;
  };
  const register = (wanted) => async () => {
    try {
      const { id } = await post(path`/registry/subjects/${subject}/versions`, wanted);
      await page.reload();
      announce(`The schema has the id ${id}.`);
    } catch (error) {
      show(result, errorBox(error));
    }
  };
  const check = async () => {
    const wanted = body();
    const found = await or(post(path`/registry/subjects/${subject}`, wanted), null);
    if (found) {
      show(result, h("p", {}, `It is version ${found.version} already, with the id ${found.id}.`));
      return;
    }
    const checked = await post(path`/registry/compatibility/subjects/${subject}/versions?verbose=true`, wanted);
    if (!checked.is_compatible) {
      show(result, h("p", { class: "bad" }, "It is not compatible:"), h("ul", {}, (checked.messages || []).map((it) => h("li", {}, visible(it)))));
      return;
    }
    show(result, h("p", { class: "good" }, isKnown ? "It is compatible." : "It is valid."),
      h("button", { id: "schema-register", type: "button", class: "primary", onclick: register(wanted) }, "Register"));
  };
  return h("details", { open: !isKnown }, h("summary", { id: "new-version" }, "Register a version"),
    form("schema-form", { class: "tall" }, check, field("Type", type), field("Schema", text), field("References (JSON, may be empty)", references),
      button("schema-check", "Check", { class: "primary" })), result);
}
