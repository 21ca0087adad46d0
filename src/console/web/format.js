// Numbers, times and contents as text.

export function count(number) {
  return number === null || number === undefined ? "–" : number.toLocaleString("en-US");
}

/** A number with its noun, such as "1 topic". */
export function amount(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function rate(perSecond, show = count) {
  return perSecond === undefined ? "…" : `${show(Math.max(0, Math.round(perSecond)))}/s`;
}

/** A span of time, such as a lag. */
export function seconds(number) {
  if (number === null || number === undefined) return "–";
  if (number < 60) return `${number.toFixed(number < 10 ? 1 : 0)} s`;
  if (number < 3600) return `${Math.floor(number / 60)} min ${Math.floor(number % 60)} s`;
  if (number < 86400) return `${Math.floor(number / 3600)} h ${Math.floor(number % 3600 / 60)} min`;
  return `${count(Math.floor(number / 86400))} d ${Math.floor(number % 86400 / 3600)} h`;
}

export function time(milliseconds) {
  if (milliseconds === null || milliseconds === undefined || milliseconds < 0) return "–";
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString().replace("T", " ").replace("Z", " UTC");
}

/** Control characters and those that change the direction of text, as something visible. */
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (it) => `\\u${it.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** Indents JSON without parsing its numbers, which may have more digits than JavaScript's. */
export function prettyJson(text) {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === "\"") {
      let end = index + 1;
      while (end < text.length && text[end] !== "\"") end += text[end] === "\\" ? 2 : 1;
      out += text.slice(index, end + 1);
      index = end;
    } else if (character === "{" || character === "[") {
      const close = character === "{" ? "}" : "]";
      const rest = /^\s*/.exec(text.slice(index + 1, index + 1000))[0].length;
      if (text[index + 1 + rest] === close) {
        out += character + close;
        index += 1 + rest;
      } else {
        depth += 1;
        out += character + line();
      }
    } else if (character === "}" || character === "]") {
      depth = Math.max(0, depth - 1);
      out += line() + character;
    } else if (character === ",") {
      out += character + line();
    } else if (character === ":") {
      out += ": ";
    } else if (!/\s/.test(character)) {
      out += character;
    }
  }
  return out;
}

/** Hexadecimal digits, 16 bytes in each line, with their ASCII characters. */
export function hexDump(digits) {
  const lines = [];
  for (let at = 0; at < digits.length; at += 32) {
    const bytes = digits.slice(at, at + 32).match(/../g) || [];
    const text = bytes.map((byte) => parseInt(byte, 16)).map((it) => it > 31 && it < 127 ? String.fromCharCode(it) : ".");
    lines.push(`${(at / 2).toString(16).padStart(8, "0")}  ${bytes.join(" ").padEnd(48)} ${text.join("")}`);
  }
  return lines.join("\n");
}

/** The text of a key or value of the API. */
export function content(part) {
  if (part === null || part === undefined) return "null";
  if (part.format === "hex") return hexDump(part.text);
  if (part.format === "text") return visible(part.text);
  return visible(part.truncated ? part.text : prettyJson(part.text));
}

export function kind(part) {
  if (part === null || part === undefined) return "null";
  const schema = part.schema_id === undefined ? "" : `, schema ${part.schema_id}`;
  return `${part.format}${schema}, ${size(part.bytes)}${part.truncated ? ", cut" : ""}`;
}
