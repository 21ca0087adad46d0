import { announce, button, danger, errorBox, field, form, h, input, select, show, table } from "./dom.js";
import { get, post, remove } from "./api.js";
import { amount } from "./format.js";

export const title = () => "ACLs, users, quotas";

const RESOURCES = ["TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const OPERATIONS = ["ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS",
  "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT"];
const QUOTAS = ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate"];

export async function render(page) {
  const part = async (address, draw) => {
    try {
      return draw(await get(address, page.signal));
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401) throw error;
      return errorBox(error);
    }
  };
  const [acls, users, quotas] = [
    await part("/acls", (it) => aclPart(page, it)),
    await part("/users", userPart),
    await part("/quotas", (it) => quotaPart(page, it)),
  ];
  show(page.element, h("h1", {}, "ACLs, users, quotas"), h("h2", {}, "ACLs"), acls,
    h("h2", {}, "Users with SCRAM credentials"), users, h("h2", {}, "Quotas"), quotas);
}

const choices = (names) => names.map((name) => [name, name]);

function aclPart(page, { enabled, acls }) {
  if (!enabled) return h("p", { class: "soft" }, "This broker has no authorizer: every client may do everything.");
  const principal = input("acl-principal", { required: true, placeholder: "User:ann" });
  const host = input("acl-host", { value: "*" });
  const type = select("acl-resource-type", choices(RESOURCES));
  const name = input("acl-resource-name", { required: true });
  const pattern = select("acl-pattern", choices(["LITERAL", "PREFIXED"]));
  const operation = select("acl-operation", choices(OPERATIONS), "READ");
  const permission = select("acl-permission", choices(["ALLOW", "DENY"]));
  const create = async () => {
    await post("/acls", {
      principal: principal.value, host: host.value, resource_type: type.value, resource_name: name.value,
      pattern_type: pattern.value, operation: operation.value, permission: permission.value,
    });
    await page.reload();
    announce("The ACL was created.");
  };
  const deletion = (acl) => async () => {
    await remove("/acls", acl);
    await page.reload();
    announce("The ACL was deleted.");
  };
  return h("div", {}, table("acls", amount(acls.length, "ACL"), [
    { title: "Principal", cell: (it) => it.principal },
    { title: "Host", cell: (it) => it.host },
    { title: "Permission", cell: (it) => it.permission },
    { title: "Operation", cell: (it) => it.operation },
    { title: "Resource", cell: (it) => `${it.resource_type} ${it.resource_name} (${it.pattern_type})` },
    { title: "Change", cell: (it) => danger(`acl-delete-${acls.indexOf(it)}`, "Delete", "Delete this ACL?", deletion(it)) },
  ], acls), h("details", {}, h("summary", { id: "new-acl" }, "Create an ACL"),
    form("acl-form", {}, create, field("Principal", principal), field("Host", host), field("Permission", permission),
      field("Operation", operation), field("Resource type", type), field("Pattern", pattern), field("Resource name", name),
      button("acl-submit", "Create", { class: "primary" }))));
}

function userPart({ users }) {
  return table("users", amount(users.length, "user"), [
    { title: "User", cell: (it) => it.name },
    { title: "Credentials", cell: (it) => it.credentials.map((one) => `${one.mechanism} (${one.iterations} iterations)`).join(", ") },
  ], users);
}

function quotaPart(page, { quotas }) {
  const type = select("quota-type", choices(["user", "client-id", "ip"]));
  const name = input("quota-name", { "aria-describedby": "quota-help" });
  const quota = select("quota-key", choices(QUOTAS));
  const value = input("quota-value", { type: "number", step: "any", min: 0 });
  const change = async () => {
    await post("/quotas", {
      entity: { [type.value]: name.value === "" ? null : name.value },
      values: { [quota.value]: value.value === "" ? null : Number(value.value) },
    });
    await page.reload();
    announce("The quota was changed.");
  };
  const entity = (it) => Object.entries(it.entity).map(([kind, of]) => `${kind} ${of === null ? "(default)" : of}`).join(", ");
  return h("div", {}, table("quotas", amount(quotas.length, "entity with quotas", "entities with quotas"), [
    { title: "Entity", cell: entity },
    { title: "Quotas", cell: (it) => Object.entries(it.values).map(([key, of]) => `${key}=${of}`).join(", ") },
  ], quotas), h("details", {}, h("summary", { id: "new-quota" }, "Change a quota"),
    form("quota-form", {}, change, field("Entity", type), field("Name", name), field("Quota", quota), field("Value", value),
      button("quota-submit", "Save", { class: "primary" })),
    h("p", { class: "soft", id: "quota-help" }, "Without a name, the quota is the default of all that have none. Without a value, it is removed.")));
}
