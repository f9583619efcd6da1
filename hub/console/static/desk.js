// The attendant's desk: checks what is typed, has it sealed, clears the fields, sends, shows the answer.
// Words stand in the page, in templates; this script has none of its own.

import { isIdNumber, typed } from "./desk_number.js";
import { LOOK_UP, REGISTRATION, fingerprint, fromHex, sealed, told } from "./desk_seal.js";

const COLOURS = ["green", "red", "yellow", "notice", "grey"];
const SHOWN_MS = 60_000;
const desk = document.getElementById("desk");
const form = document.getElementById("desk-form");
const result = document.getElementById("result");
const here = { place: desk.dataset.place, gate: desk.dataset.gate };
const registering = desk.dataset.ask === "registration";
const resolver = fromHex(desk.dataset.key);
let unsent = null;
let hiding = 0;

// The fields work only once it is certain that what is typed can be sealed, and to the key whose fingerprint is shown.
async function open() {
  if (!globalThis.crypto?.subtle) return show("no-seal");
  const shown = document.getElementById("fingerprint");
  if ((await fingerprint(resolver)) !== shown.textContent.trim()) return show("no-seal");
  form.querySelector("fieldset").disabled = false;
  first().focus();
}

function first() {
  return form.querySelector("[data-field=number]");
}

// --- What is typed -------------------------------------------------------------------------------------------------

function person(block) {
  const at = (field) => block.querySelector(`[data-field=${field}]`);
  return { name: at("name"), number: at("number"), child: at("child") };
}

// A reader types the whole card in one go, and Enter. Enter goes on to what is still missing; it never sends half of it.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.target.type === "checkbox") return;
  event.preventDefault();
  if (event.target.dataset.field === "number") settle(event.target);
  const missing = [...form.querySelectorAll("[data-needed]")].find((field) => !field.disabled && empty(field));
  (missing ?? form.querySelector("button.main")).focus();
});

form.addEventListener("change", (event) => {
  const field = event.target.dataset.field;
  if (field === "number") settle(event.target);
  if (field === "child") {
    const { number } = person(event.target.closest("[data-person]"));
    number.disabled = event.target.checked;
    number.value = "";
    wrong(number, false);
  }
});

form.addEventListener("input", (event) => {
  if (event.target.getAttribute("aria-invalid")) wrong(event.target, false);
});

function settle(field) {
  const found = typed(field.value);
  field.value = found.number;
  const block = field.closest("[data-person]");
  const name = block && person(block).name;
  if (name && found.name && !name.value) name.value = found.name;
  if (field.value) wrong(field, !isIdNumber(field.value));
}

function empty(field) {
  return field.type === "checkbox" ? !field.checked : !field.value.trim();
}

function wrong(field, is) {
  if (is) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  document.getElementById(field.getAttribute("aria-describedby").split(" ")[0]).hidden = !is;
}

// Every field that must not stay as it is; the first of them gets the focus.
function checked() {
  const bad = [];
  for (const field of form.querySelectorAll("input")) {
    if (field.disabled || !field.dataset.field) continue;
    const is = { number: () => !isIdNumber(field.value), phone: () => !/^([0-9+-]{5,20})?$/.test(field.value) };
    const found = (is[field.dataset.field] ?? (() => "needed" in field.dataset && empty(field)))();
    if (field.hasAttribute("aria-describedby")) wrong(field, found);
    if (found) bad.push(field);
  }
  bad[0]?.focus();
  return bad.length === 0;
}

// --- Companions ----------------------------------------------------------------------------------------------------

const companions = document.getElementById("companions");
const more = document.getElementById("add-companion");
let added = 0;

more?.addEventListener("click", () => {
  added += 1;
  const block = document.getElementById("companion").content.firstElementChild.cloneNode(true);
  for (const each of block.querySelectorAll("[id], [for], [aria-describedby]"))
    for (const name of ["id", "for", "aria-describedby"])
      if (each.hasAttribute(name)) each.setAttribute(name, `${each.getAttribute(name)}-${added}`);
  block.querySelector("[data-remove]").addEventListener("click", () => {
    block.remove();
    count();
    more.focus();
  });
  companions.append(block);
  count();
  person(block).number.focus();
});

function count() {
  for (const [at, block] of [...companions.children].entries()) block.querySelector("[data-count]").textContent = at + 1;
  more.disabled = companions.children.length >= Number(desk.dataset.companions);
}

// --- Sealing and sending -------------------------------------------------------------------------------------------

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  for (const field of form.querySelectorAll("[data-field=number]")) if (!field.disabled) settle(field);
  if (!checked()) return;
  const direction = event.submitter?.dataset.direction === "out" ? 1 : 0;
  busy(true);
  const { question, who } = await seal(direction);
  clear();
  await send(question, who);
  busy(false);
});

async function seal(direction) {
  if (!registering) {
    const typedIn = { 10: first().value, 11: document.getElementById("consent").checked };
    return { question: await sealed({ resolver, ask: LOOK_UP, ...here, typed: typedIn, people: 1 }), who: [""] };
  }
  const people = [...form.querySelectorAll("[data-person]")].map((block) => {
    const { name, number, child } = person(block);
    return [name.value.trim(), child?.checked ? "" : number.value];
  });
  const typedIn = { 7: direction, 8: people, 9: form.querySelector("[data-field=phone]").value };
  const question = await sealed({ resolver, ask: REGISTRATION, ...here, typed: typedIn, people: people.length });
  // Enough to tell people apart whose colours are shown side by side.
  return { question, who: people.length > 1 ? people.map(([name]) => [...name][0] + "＊") : [""] };
}

function clear() {
  form.reset();
  companions?.replaceChildren();
  if (more) count();
}

async function send(question, who) {
  unsent = null;
  try {
    const answer = await ask(question);
    if (answer.state === "kept") return show("kept");
    const people = await told(Uint8Array.from(atob(answer.answer), (one) => one.charCodeAt(0)), question);
    showColours(people, who);
  } catch (error) {
    const known = ["platform_silent", "platform_refused", "too_many_requests", "place_closed", "not_signed_in"];
    const reason = known.includes(error.reason) ? error.reason : error.reason ? "failed" : "unsent";
    if (registering && ["unsent", "failed"].includes(reason)) unsent = { question, who };
    show(reason, error.wait);
  }
}

class Refused extends Error {}

async function ask(question) {
  const body = { sealed: btoa(String.fromCharCode(...question.body)) };
  if (question.ask === LOOK_UP) body.consent = true;
  const response = await fetch(registering ? "/api/v1/desk/registrations" : "/api/v1/desk/look-ups", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await response.json();
  if (response.ok) return said;
  throw Object.assign(new Refused(said.what), { reason: said.error, wait: response.headers.get("retry-after") });
}

function busy(is) {
  form.setAttribute("aria-busy", String(is));
  form.querySelector("fieldset").disabled = is;
  if (is) show("asking");
}

// --- The answer ----------------------------------------------------------------------------------------------------

function part(name) {
  return document.getElementById(`say-${name}`).content.firstElementChild.cloneNode(true);
}

function present(...parts) {
  clearTimeout(hiding);
  result.replaceChildren(...parts);
  result.hidden = false;
  const next = result.querySelector("[data-next]");
  next?.addEventListener("click", hide);
  result.querySelector("[data-again]")?.addEventListener("click", again);
  if (next) hiding = setTimeout(hide, SHOWN_MS);
}

function show(name, wait = null) {
  const said = part(name);
  const seconds = said.querySelector("[data-wait]");
  if (seconds) seconds.textContent = wait ?? "60";
  present(said);
  result.scrollIntoView({ block: "nearest" });
}

function showColours(people, who) {
  const parts = people.map(({ colour }, at) => {
    const said = part(COLOURS[colour]);
    said.querySelector("[data-who]").textContent = who[at];
    return said;
  });
  present(...(registering ? [part("stored")] : []), ...parts, part("next"));
  result.scrollIntoView({ block: "start" });
  result.querySelector("[data-next]").focus();
}

function hide() {
  clearTimeout(hiding);
  result.hidden = true;
  result.replaceChildren();
  first().focus();
}

// The same sealed bytes: the platform knows them again, and registers nobody twice.
async function again() {
  if (!unsent) return;
  const { question, who } = unsent;
  busy(true);
  await send(question, who);
  busy(false);
}

// Nothing that was typed or shown comes back with the browser's "back".
addEventListener("pagehide", () => {
  clear();
  result.replaceChildren();
});

await open();
